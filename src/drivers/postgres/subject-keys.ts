import type { Pool, PoolClient } from 'pg'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../../events/errors.js'
import type { StoredKey, SubjectKeyStore } from '../../events/personal-data/keys.js'

const FORMAT = 1
const CONNECTIONS = 4
/** Serialises those who make the schema at the same time. */
const SCHEMA_LOCK = 0x424b4559

/** A schema of its own, so that dumps of the log's leave it out. */
const SCHEMA = `
  CREATE SCHEMA banyan_keys;
  CREATE TABLE banyan_keys.format (version integer NOT NULL);
  INSERT INTO banyan_keys.format VALUES (${FORMAT});
  CREATE TABLE banyan_keys.subject_key (
    subject    text COLLATE "C" PRIMARY KEY,
    id         text NOT NULL,
    created    bigint,
    forgotten  bigint,
    secret     bytea,
    master_key text
  );
`

const GET = 'SELECT * FROM banyan_keys.subject_key WHERE subject = $1'
const LIST = 'SELECT * FROM banyan_keys.subject_key WHERE subject > $1 ORDER BY subject LIMIT $2'
const INSERT = `
  INSERT INTO banyan_keys.subject_key (subject, id, created, secret, master_key)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
const REPLACE = `
  UPDATE banyan_keys.subject_key SET secret = $1, master_key = $2
  WHERE subject = $3 AND id = $4 AND master_key IS NOT DISTINCT FROM $5 AND secret IS NOT NULL`
/** Gives nothing if it was forgotten before, and false if there is nothing to forget. */
const FORGET = `
  INSERT INTO banyan_keys.subject_key AS known (subject, id, forgotten) VALUES ($1, '', $2)
  ON CONFLICT (subject) DO UPDATE SET secret = NULL, master_key = NULL, forgotten = $2
  WHERE known.secret IS NOT NULL
  RETURNING created IS NOT NULL AS had`

interface Row {
  subject: string
  id: string
  created: string | null
  forgotten: string | null
  secret: Buffer | null
  master_key: string | null
}

/** Opens a store of subjects' keys in a PostgreSQL database, which makes its schema, `banyan_keys`, if it is not there. */
export async function openPostgresSubjectKeys(url: string): Promise<SubjectKeyStore> {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS, application_name: 'banyan keys' })
  // A connection that is lost while nobody uses it is replaced by the next that is needed.
  pool.on('error', () => undefined)
  const store = new PostgresSubjectKeys(pool)
  try {
    await store.prepare()
  } catch (error) {
    await pool.end()
    throw error
  }
  return store
}

class PostgresSubjectKeys implements SubjectKeyStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  prepare(): Promise<void> {
    return this.#durably(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
      const { rows } = await client.query<{ known: boolean }>(
        "SELECT to_regclass('banyan_keys.format') IS NOT NULL AS known",
      )
      if (!rows[0]?.known) {
        await client.query(SCHEMA)
        return
      }
      const { rows: formats } = await client.query<{ version: number }>(
        'SELECT version FROM banyan_keys.format',
      )
      const version = formats[0]?.version ?? 0
      if (version > FORMAT)
        throw eventError(
          'BANYAN_LOG_FORMAT',
          `the schema banyan_keys has format ${version}, made by a newer version; update`,
        )
    })
  }

  async get(subject: string): Promise<StoredKey | undefined> {
    const { rows } = await reached(this.#pool.query<Row>(GET, [subject]))
    return rows[0] && keyOf(rows[0])
  }

  insert({ subject, id, created, secret, masterKey }: StoredKey): Promise<StoredKey> {
    return this.#durably(async (client) => {
      await client.query(INSERT, [subject, id, created, secret, masterKey])
      // Whoever came first has committed, or the statement above would still wait.
      const { rows } = await client.query<Row>(GET, [subject])
      return keyOf(rows[0]!)
    })
  }

  replace({ subject, id, masterKey }: StoredKey, secret: Uint8Array, newMasterKey: string): Promise<boolean> {
    return this.#durably(async (client) => {
      const { rowCount } = await client.query(REPLACE, [secret, newMasterKey, subject, id, masterKey])
      return rowCount === 1
    })
  }

  forget(subject: string, time: number): Promise<boolean> {
    return this.#durably(async (client) => {
      const { rows } = await client.query<{ had: boolean }>(FORGET, [subject, time])
      return rows[0]?.had ?? false
    })
  }

  async list(after: string, limit: number): Promise<StoredKey[]> {
    const { rows } = await reached(this.#pool.query<Row>(LIST, [after, limit]))
    return rows.map(keyOf)
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  /** In a transaction that is on disk when it resolves, whatever the settings of the server say. */
  async #durably<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const client = await reached(this.#pool.connect())
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
      return await reached(Promise.reject(failed))
    } finally {
      client.release(failed)
    }
  }
}

async function reached<Result>(asking: Promise<Result>): Promise<Result> {
  try {
    return await asking
  } catch (error) {
    if (error instanceof BanyanError) throw error
    throw eventError(
      'BANYAN_LOG_UNAVAILABLE',
      `the keys of subjects in PostgreSQL cannot be used: ${String(error)}`,
      error,
    )
  }
}

function keyOf(row: Row): StoredKey {
  return {
    subject: row.subject,
    id: row.id,
    created: row.created === null ? undefined : Number(row.created),
    forgotten: row.forgotten === null ? undefined : Number(row.forgotten),
    secret: row.secret ?? undefined,
    masterKey: row.master_key ?? undefined,
  }
}
