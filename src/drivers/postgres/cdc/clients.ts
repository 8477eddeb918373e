import type Pg from 'pg'
import type { Client, ClientConfig, CustomTypesConfig } from 'pg'
import { placeOf } from '../settings.js'

/** Rows as the server has written them. */
export const AS_TEXT = { getTypeParser: () => (text: string) => text } as unknown as CustomTypesConfig

/** So that values are written in one way, whatever the server is set to, and nothing is ended for taking long. */
const SETTINGS = `
  SET datestyle = 'ISO';
  SET intervalstyle = 'iso_8601';
  SET timezone = 'UTC';
  SET extra_float_digits = 1;
  SET bytea_output = 'hex';
  SET row_security = off;
  SET synchronous_commit = local;
  SET tcp_keepalives_idle = 10;
  SET tcp_keepalives_interval = 5;
  SET tcp_keepalives_count = 3;
  SELECT set_config(name, '0', false) FROM pg_settings
   WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`
const CONNECT_MS = 10_000

/** The connections of a capture. */
export class Clients {
  readonly place: string
  readonly #pg: typeof Pg
  readonly #url: string
  readonly #open = new Set<Client>()

  private constructor(pg: typeof Pg, url: string) {
    this.#pg = pg
    this.#url = url
    this.place = placeOf(url)
  }

  /** Loads the package `pg`; connects to nothing yet. */
  static async load(url: string): Promise<Clients> {
    const { default: pg } = await import('pg')
    return new Clients(pg, url)
  }

  /** @param replication - for commands of replication, too */
  async connect(name: string, replication = false): Promise<Client> {
    const config: ClientConfig & { replication?: string } = {
      connectionString: this.#url,
      application_name: `banyan cdc ${name}`,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      ...(replication && { replication: 'database' }),
    }
    const client = new this.#pg.Client(config)
    // Whoever uses it is told besides; without a listener it would end the process.
    client.on('error', () => undefined)
    this.#open.add(client)
    client.once('end', () => this.#open.delete(client))
    try {
      await client.connect()
      await client.query(SETTINGS)
      return client
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
  }

  /** Ends all of them, whatever they are doing. */
  async end(): Promise<void> {
    await Promise.all([...this.#open].map((client) => client.end().catch(() => undefined)))
  }
}

/** A name in SQL. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A table in SQL, of its name with the schema. */
export function quotedTable(name: string): string {
  const [schema, table] = partsOf(name)
  return `${quoted(schema)}.${quoted(table)}`
}

/** Schema and name of a table; without a schema it is `public`. */
export function partsOf(name: string): [schema: string, table: string] {
  const dot = name.indexOf('.')
  return dot === -1 ? ['public', name] : [name.slice(0, dot), name.slice(dot + 1)]
}
