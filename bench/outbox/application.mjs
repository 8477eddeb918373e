// @ts-check
/** A service that writes a row of its own in each transaction, and publishes messages with it. */

const CONNECTIONS = 16

/** @typedef {() => import('./contestant.mjs').Message[]} Messages made in the transaction, so that they are as old as it */

/**
 * @param {string} where
 * @param {(transaction: unknown, messages: import('./contestant.mjs').Message[]) => unknown} publish
 */
export async function application(where, publish) {
  return where.startsWith('sqlite:') ? onSqlite(where, publish) : onPostgres(where, publish)
}

/**
 * @param {string} where
 * @param {(transaction: unknown, messages: import('./contestant.mjs').Message[]) => unknown} publish
 */
async function onSqlite(where, publish) {
  const { default: SQLite } = await import('better-sqlite3')
  const database = new SQLite(where.slice('sqlite:'.length), { timeout: 10_000 })
  database.pragma('journal_mode = WAL')
  // Committed is on the disk, as with PostgreSQL.
  database.pragma('synchronous = FULL')
  database.exec('CREATE TABLE IF NOT EXISTS item (number INTEGER, text TEXT)')
  const insert = database.prepare('INSERT INTO item VALUES (?, ?)')
  const transact = database.transaction((/** @type {number} */ number, /** @type {Messages} */ messages) => {
    insert.run(number, 'an item')
    publish(database, messages())
  })
  return {
    async enter(/** @type {number} */ number, /** @type {Messages} */ messages) {
      transact.immediate(number, messages)
      // Others of this process have a turn.
      await new Promise((resolve) => setImmediate(resolve))
    },
    async close() {
      database.close()
    },
  }
}

/**
 * @param {string} where
 * @param {(transaction: unknown, messages: import('./contestant.mjs').Message[]) => unknown} publish
 */
async function onPostgres(where, publish) {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: where, max: CONNECTIONS })
  await pool.query('CREATE TABLE IF NOT EXISTS item (number integer, text text)').catch(() => undefined)
  return {
    pool,
    async enter(/** @type {number} */ number, /** @type {Messages} */ messages) {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        await client.query('INSERT INTO item VALUES ($1, $2)', [number, 'an item'])
        await publish(client, messages())
        await client.query('COMMIT')
      } finally {
        client.release()
      }
    },
    close: () => pool.end(),
  }
}
