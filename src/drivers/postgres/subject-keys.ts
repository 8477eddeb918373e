import type { StoredKey, SubjectKeyStore } from '../../events/personal-data/keys.js'
import { SideSchema, type SideSchemaKind } from './side-schema.js'

const KEYS: SideSchemaKind = {
  holds: 'keys of subjects',
  name: 'banyan_keys',
  lock: 0x424b4559,
  format: 1,
  tables: `
    CREATE TABLE banyan_keys.subject_key (
      subject    text COLLATE "C" PRIMARY KEY,
      id         text NOT NULL,
      created    bigint,
      forgotten  bigint,
      secret     bytea,
      master_key text
    );
  `,
}

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
  return new PostgresSubjectKeys(await SideSchema.open(url, KEYS))
}

class PostgresSubjectKeys implements SubjectKeyStore {
  readonly #schema: SideSchema

  constructor(schema: SideSchema) {
    this.#schema = schema
  }

  async get(subject: string): Promise<StoredKey | undefined> {
    const [row] = await this.#schema.ask<Row>(GET, [subject])
    return row && keyOf(row)
  }

  insert({ subject, id, created, secret, masterKey }: StoredKey): Promise<StoredKey> {
    return this.#schema.durably(async (client) => {
      await client.query(INSERT, [subject, id, created, secret, masterKey])
      // Whoever came first has committed, or the statement above would still wait.
      const { rows } = await client.query<Row>(GET, [subject])
      return keyOf(rows[0]!)
    })
  }

  replace({ subject, id, masterKey }: StoredKey, secret: Uint8Array, newMasterKey: string): Promise<boolean> {
    return this.#schema.durably(async (client) => {
      const { rowCount } = await client.query(REPLACE, [secret, newMasterKey, subject, id, masterKey])
      return rowCount === 1
    })
  }

  forget(subject: string, time: number): Promise<boolean> {
    return this.#schema.durably(async (client) => {
      const { rows } = await client.query<{ had: boolean }>(FORGET, [subject, time])
      return rows[0]?.had ?? false
    })
  }

  async list(after: string, limit: number): Promise<StoredKey[]> {
    const rows = await this.#schema.ask<Row>(LIST, [after, limit])
    return rows.map(keyOf)
  }

  close(): Promise<void> {
    return this.#schema.close()
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
