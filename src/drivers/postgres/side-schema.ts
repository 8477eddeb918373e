import type { Pool, PoolClient, QueryResultRow } from 'pg'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../../events/errors.js'

const CONNECTIONS = 4

/** What a schema beside that of the log is for. */
export interface SideSchemaKind {
  /** What is in it, for messages: `keys of subjects`. */
  readonly holds: string
  /** Its name. */
  readonly name: string
  /** Serialises those who make it at the same time. */
  readonly lock: number
  readonly format: number
  /** Makes the tables. */
  readonly tables: string
}

/** A schema of PostgreSQL beside that of the log, so that dumps of the one leave the other out. Made if it is not there. */
export class SideSchema {
  readonly #pool: Pool
  readonly #kind: SideSchemaKind

  private constructor(pool: Pool, kind: SideSchemaKind) {
    this.#pool = pool
    this.#kind = kind
  }

  static async open(url: string, kind: SideSchemaKind): Promise<SideSchema> {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({
      connectionString: url,
      max: CONNECTIONS,
      application_name: kind.name.replace('_', ' '),
    })
    // A connection that is lost while nobody uses it is replaced by the next that is needed.
    pool.on('error', () => undefined)
    // One that breaks while it is used tells whoever uses it, and everybody: without a listener that ends the process.
    pool.on('connect', (client) => void client.on('error', () => undefined))
    const opened = new SideSchema(pool, kind)
    try {
      await opened.durably((client) => prepare(client, kind))
    } catch (error) {
      await pool.end()
      throw error
    }
    return opened
  }

  /** Asks something that changes nothing. */
  async ask<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    const { rows } = await this.#reached(this.#pool.query<Row>(text, values))
    return rows
  }

  /** In a transaction that is on disk when it resolves, whatever the settings of the server say. */
  async durably<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const client = await this.#reached(this.#pool.connect())
    let failed: Error | undefined
    try {
      await client.query('BEGIN')
      await client.query('SET LOCAL synchronous_commit = on')
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } catch (error) {
      // The transaction ends with its connection.
      failed = error instanceof Error ? error : new Error(String(error))
      return await this.#reached(Promise.reject(failed))
    } finally {
      client.release(failed)
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  async #reached<Result>(asking: Promise<Result>): Promise<Result> {
    try {
      return await asking
    } catch (error) {
      if (error instanceof BanyanError) throw error
      throw eventError(
        'BANYAN_LOG_UNAVAILABLE',
        `the ${this.#kind.holds} in PostgreSQL cannot be used: ${String(error)}`,
        error,
      )
    }
  }
}

async function prepare(client: PoolClient, { name, lock, format, tables }: SideSchemaKind): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [lock])
  const { rows } = await client.query<{ known: boolean }>('SELECT to_regclass($1) IS NOT NULL AS known', [
    `${name}.format`,
  ])
  if (!rows[0]?.known) {
    await client.query(
      `CREATE SCHEMA ${name};
       CREATE TABLE ${name}.format (version integer NOT NULL);
       INSERT INTO ${name}.format VALUES (${format});
       ${tables}`,
    )
    return
  }
  const { rows: formats } = await client.query<{ version: number }>(`SELECT version FROM ${name}.format`)
  const version = formats[0]?.version ?? 0
  if (version > format)
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `the schema ${name} has format ${version}, made by a newer version; update`,
    )
}
