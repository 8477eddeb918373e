import type { Client, ClientConfig, PoolConfig } from 'pg'
import { BanyanError } from '../../core/errors.js'
import { isOfConnection, sqlState } from './faults.js'
import type { PostgresClient, PostgresPool } from './read-models/client.js'

const CONNECTIONS = 4
/** Serialises those who make tables at the same time. */
const SCHEMA_LOCK = 0x42524f31
/** When a server that does not answer is given up, in ms. */
const ANSWER_MS = 60_000
/** How long a server that does not answer at all is waited for, in ms. */
const CONNECT_MS = 10_000
const LISTEN_MS = 10_000

/** Shutdown, connection failures, no space, locks, a server that only reads, no database, login, table or permission. */
const SERVER_STATES = /^(57|08|53|55P03|58|XX|25006|3D|28|42P01|42501)/

/** Tables that are kept beside those of an application. */
export interface TableKind {
  /** For messages: `the outbox`. */
  readonly name: string
  /** One of them; if it is there, all are. */
  readonly table: string
  /** Makes them. */
  readonly schema: string
  /** The table that says their format, which is the newest that is known. */
  readonly format: { readonly table: string; readonly newest: number }
  /** What gives the SQL that makes them: `what banyan outbox schema prints`. */
  readonly madeBy: string
  /** Of errors. */
  readonly codes: { readonly unavailable: `BANYAN_${string}`; readonly closed: `BANYAN_${string}` }
}

/** A database of PostgreSQL that belongs to an application, with tables of ours in it: in the schema that is first in the search path. */
export class ApplicationDatabase {
  readonly #pool: PostgresPool
  readonly #isOwn: boolean
  readonly #kind: TableKind
  #closed = false

  private constructor(pool: PostgresPool, isOwn: boolean, kind: TableKind) {
    this.#pool = pool
    this.#isOwn = isOwn
    this.#kind = kind
  }

  /**
   * Makes the tables if they are not there, or says that they are not.
   *
   * @param where - a URL, or a pool of the application, which is not closed
   * @param wait - how long a statement may wait for others, in ms
   */
  static async open(
    where: string | PostgresPool,
    kind: TableKind,
    migrate: boolean,
    wait = 0,
  ): Promise<ApplicationDatabase> {
    const opened = await ApplicationDatabase.look(where, kind, wait)
    try {
      await opened.#prepare(migrate)
    } catch (error) {
      await opened.close()
      throw error
    }
    return opened
  }

  /** The same, and looks for no tables in it. */
  static async look(where: string | PostgresPool, kind: TableKind, wait = 0): Promise<ApplicationDatabase> {
    const isOwn = typeof where === 'string'
    return new ApplicationDatabase(isOwn ? await connected(where, kind, wait) : where, isOwn, kind)
  }

  /** Asks one thing. */
  async ask<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.connected(async (client) => (await client.query(text, values)).rows as Row[])
  }

  /** Works in a transaction that commits what it does, if it does not throw. */
  transact<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    return this.connected(async (client) => {
      await client.query('BEGIN')
      const result = await work(client)
      const { command } = await client.query('COMMIT')
      // The server answers so when a statement had failed and nobody looked.
      if (command === 'ROLLBACK')
        throw new Error('the transaction was rolled back: a statement in it had failed')
      return result
    })
  }

  /** Works on a connection; one that has met an error is given up, with its transaction. */
  async connected<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new BanyanError(this.#kind.codes.closed, `${this.#kind.name} is closed`)
    const client = await this.#connect()
    let failed: Error | undefined
    try {
      client.on('error', lost)
      return await work(client)
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error))
      throw this.errorOf(error)
    } finally {
      client.off('error', lost)
      client.release(failed)
    }
  }

  /** Makes connections of their own, to listen on, not connected yet; undefined if the pool does not tell how. */
  async listeners(): Promise<(() => Client) | undefined> {
    const { options } = this.#pool as PostgresPool & { options?: PoolConfig }
    if (!options) return undefined
    const { default: pg } = await import('pg')
    return () => new pg.Client({ ...options, keepAlive: true, query_timeout: LISTEN_MS })
  }

  /** Errors of the connection and of the server; others are those of whoever works. */
  errorOf(error: unknown): unknown {
    if (error instanceof BanyanError || !(error instanceof Error)) return error
    const state = sqlState(error)
    const isOfServer = state !== undefined && SERVER_STATES.test(state)
    return isOfServer || isOfConnection(error) ? this.#unusable(error) : error
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#isOwn) await this.#pool.end()
  }

  async #connect(): Promise<PostgresClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      // Whatever it says: nobody has asked anything yet.
      throw error instanceof BanyanError || !(error instanceof Error) ? error : this.#unusable(error)
    }
  }

  #unusable(error: Error): BanyanError {
    const said = error.message === '' ? String((error as { code?: unknown }).code) : error.message
    return new BanyanError(
      this.#kind.codes.unavailable,
      `${this.#kind.name} in PostgreSQL cannot be used: ${said}`,
      { cause: error },
    )
  }

  async #prepare(migrate: boolean): Promise<void> {
    const { name, table, schema, format, madeBy, codes } = this.#kind
    const isThere = async (client: PostgresClient): Promise<boolean> => {
      // Not to_regclass: that may still know from before the lock that there is none.
      const { rows } = await client.query(
        `SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                        WHERE relname = $1 AND nspname = ANY (current_schemas(false))) AS known`,
        [table],
      )
      return rows[0]?.['known'] === true
    }
    await this.transact(async (client) => {
      // Whoever may not make tables can use those that are there.
      if (!(await isThere(client))) {
        if (!migrate)
          throw new BanyanError(
            codes.unavailable,
            `the tables of ${name} are not in this database of PostgreSQL; make them with ${madeBy}`,
          )
        await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
        if (!(await isThere(client))) await client.query(schema)
      }
      const { rows } = await client.query(`SELECT format FROM ${format.table}`)
      const found = Number(rows[0]?.['format'])
      if (!(found <= format.newest))
        throw new BanyanError(
          codes.unavailable,
          `the tables of ${name} have format ${found}, made by a newer version; update`,
        )
    })
  }
}

async function connected(url: string, { table }: TableKind, wait: number): Promise<PostgresPool> {
  const { default: pg } = await import('pg')
  // Of the pool it would also be the time that somebody may wait for a connection that is in use.
  class BoundedClient extends pg.Client {
    constructor(config?: string | ClientConfig) {
      super({ ...(config as ClientConfig), connectionTimeoutMillis: CONNECT_MS })
    }
  }
  const pool = new pg.Pool({
    Client: BoundedClient,
    connectionString: url,
    max: CONNECTIONS,
    application_name: table.replace('_', ' '),
    keepAlive: true,
    query_timeout: ANSWER_MS + wait,
  })
  // A connection that is lost while nobody uses it is replaced by the next that is needed.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => void client.on('error', lost))
  return pool
}

/** One that breaks tells whoever uses it, and everybody: without a listener that ends the process. */
function lost(): void {
  // Its next statement fails.
}
