import { eventError } from '../../../events/errors.js'
import type { Maybe, ReadModelStore, StoreTransaction, StoreView } from '../../../events/projections/store.js'
import { passingFault, type PostgresClient, type PostgresPool, type PostgresTables } from './client.js'
import { PostgresTransaction, SCHEMA } from './transaction.js'

const CONNECTIONS = 10
const JOINED = 'banyan_joined'
/** Serialises those who make the tables at the same time. */
const SCHEMA_LOCK = 0x42524d31

/**
 * Opens read models in a PostgreSQL database, which makes its two tables if they are not there, in the schema that is first
 * in the search path.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresReadModels(
  where: string | PostgresPool,
): Promise<ReadModelStore<PostgresTables>> {
  const store = new PostgresReadModels(
    typeof where === 'string' ? await connected(where) : where,
    typeof where === 'string',
  )
  try {
    await store.prepare()
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}

async function connected(url: string): Promise<PostgresPool> {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    application_name: 'banyan read models',
  })
  // A connection that is lost while nobody uses it is replaced by the next that is needed.
  pool.on('error', () => undefined)
  return pool
}

class PostgresReadModels implements ReadModelStore<PostgresTables> {
  readonly engine = 'postgres'
  readonly transactional = true
  readonly #pool: PostgresPool
  readonly #isOwn: boolean
  #closed = false

  constructor(pool: PostgresPool, isOwn: boolean) {
    this.#pool = pool
    this.#isOwn = isOwn
  }

  async prepare(): Promise<void> {
    await this.#transact('BEGIN', async (client) => {
      const { rows } = await client.query(
        "SELECT to_regclass('banyan_projection') IS NOT NULL AND to_regclass('banyan_parked') IS NOT NULL AS known",
      )
      if (rows[0]?.['known'] === true) return
      await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
      await client.query(SCHEMA)
    })
  }

  read<Result>(work: (view: StoreView<PostgresTables>) => Maybe<Result>): Promise<Result> {
    return this.#transact('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', (client) =>
      within(client, work, true),
    )
  }

  write<Result>(work: (transaction: StoreTransaction<PostgresTables>) => Maybe<Result>): Promise<Result> {
    // Who waits for a row sees it then as the other has left it.
    return this.#transact('BEGIN ISOLATION LEVEL READ COMMITTED', (client) => within(client, work))
  }

  async join<Result>(
    transaction: unknown,
    work: (transaction: StoreTransaction<PostgresTables>) => Promise<Result>,
  ): Promise<Result> {
    if (this.#closed) throw closed()
    // Whoever goes on after an error must not commit half of it.
    const client = transaction as PostgresClient
    await client.query(`SAVEPOINT ${JOINED}`)
    try {
      const result = await within(client, work)
      await client.query(`RELEASE SAVEPOINT ${JOINED}`)
      return result
    } catch (error) {
      // If that fails too, so does everything else in the transaction.
      await client.query(`ROLLBACK TO SAVEPOINT ${JOINED}`).catch(() => undefined)
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#isOwn) await this.#pool.end()
  }

  async #transact<Result>(begin: string, work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw closed()
    let client: PostgresClient | undefined
    let failed: Error | undefined
    try {
      client = await this.#pool.connect()
      client.on('error', lost)
      await client.query(begin)
      const result = await work(client)
      const { command } = await client.query('COMMIT')
      // The server answers so when a statement had failed and nobody looked.
      if (command === 'ROLLBACK')
        throw new Error('the transaction was rolled back: a statement in it had failed')
      return result
    } catch (error) {
      // A connection that is given up takes its transaction along.
      failed = error instanceof Error ? error : new Error(String(error))
      throw passingFault(error) ?? error
    } finally {
      client?.off('error', lost)
      client?.release(failed)
    }
  }
}

/** One that breaks tells whoever uses it, and everybody: without a listener that ends the process. */
function lost(): void {
  // Its next statement fails.
}

function closed(): Error {
  return eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
}

async function within<Result>(
  client: PostgresClient,
  work: (transaction: PostgresTransaction) => Maybe<Result>,
  isRead = false,
): Promise<Result> {
  const transaction = new PostgresTransaction(client, isRead)
  try {
    const result = await work(transaction)
    await transaction.db.settle()
    return result
  } finally {
    transaction.db.end()
  }
}
