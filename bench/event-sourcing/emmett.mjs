// @ts-check
/** Emmett's command handler on its event stores. It keeps no snapshots. */
import { DeciderCommandHandler } from '@event-driven-io/emmett'
import { account } from './account.mjs'

const handler = DeciderCommandHandler(account)

/**
 * @param {string} url
 * @param {string} category
 * @returns {Promise<import('./account.mjs').Contestant>}
 */
export async function openEmmettPostgres(url, category) {
  const { getPostgreSQLEventStore } = await import('@event-driven-io/emmett-postgresql')
  const store = getPostgreSQLEventStore(url)
  await store.schema.migrate()
  return contestant(store, category, () => store.close())
}

/**
 * One command at a time: with a connection for each call, as by default, commands that come together fail with
 * SQLITE_BUSY; on one connection their transactions become one.
 *
 * @param {string} fileName
 * @param {string} category
 * @returns {Promise<import('./account.mjs').Contestant>}
 */
export async function openEmmettSqlite(fileName, category) {
  const { getSQLiteEventStore, sqliteConnection } = await import('@event-driven-io/emmett-sqlite')
  const connection = sqliteConnection({ fileName })
  const store = getSQLiteEventStore({ fileName, connectionOptions: { singleton: true, connection } })
  await store.schema.migrate()
  const { synchronous } = await connection.querySingle('PRAGMA synchronous')
  if (synchronous < 2) throw new Error('Emmett does not wait for the disk on SQLite')
  const inTurn = turns()
  const { fill, load, handle } = contestant(store, category)
  return {
    fill: (stream, events) => inTurn(() => fill(stream, events)),
    load: (stream) => inTurn(() => load(stream)),
    handle: (stream, command) => inTurn(() => handle(stream, command)),
    close: async () => connection.close(),
  }
}

/**
 * @param {any} store
 * @param {string} category
 * @param {() => Promise<unknown>} close
 * @returns {import('./account.mjs').Contestant}
 */
function contestant(store, category, close = () => Promise.resolve()) {
  return {
    fill: (stream, events) => store.appendToStream(`${category}-${stream}`, events),
    load: async (stream) => (await store.aggregateStream(`${category}-${stream}`, account)).state,
    handle: async (stream, command) => (await handler(store, `${category}-${stream}`, command)).newState,
    close,
  }
}

/** Runs calls one after the other. */
function turns() {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve()
  /**
   * @template Result
   * @param {() => Promise<Result>} call
   * @returns {Promise<Result>}
   */
  return (call) => {
    const result = last.then(call)
    last = result.catch(() => undefined)
    return result
  }
}
