import type { Database, Statement } from 'better-sqlite3'
import type { DriverContext } from '../../events/driver.js'
import type { StoredKey, SubjectKeyStore } from '../../events/personal-data/keys.js'
import { Busy, SideFile, type SideFileKind } from './side-file.js'

const KEYS: SideFileKind = {
  holds: 'keys of subjects',
  name: 'keys.db',
  // `BKEY`
  applicationId: 0x424b4559,
  format: 1,
  schema: `
    CREATE TABLE subject_key (
      subject    TEXT PRIMARY KEY,
      id         TEXT NOT NULL,
      created    INTEGER,
      forgotten  INTEGER,
      secret     BLOB,
      master_key TEXT
    ) STRICT, WITHOUT ROWID;
  `,
  remedy: 'Restore a backup of it',
}

const COLUMNS = 'subject, id, created, forgotten, secret, master_key'

type NewKey = StoredKey & { secret: Uint8Array }

interface Row {
  subject: string
  id: string
  created: number | null
  forgotten: number | null
  secret: Uint8Array | null
  master_key: string | null
}

/**
 * Opens a store of subjects' keys in a SQLite file of its own, readable by its owner only. Several processes of one
 * machine may share it.
 *
 * @param path - a directory, where the file is `keys.db`, or a file whose name ends in `.db`; made if it is not there
 */
export async function openSqliteSubjectKeys(path: string, context: DriverContext): Promise<SubjectKeyStore> {
  return new SqliteSubjectKeys(await SideFile.open(path, KEYS, context))
}

class SqliteSubjectKeys implements SubjectKeyStore {
  readonly #file: SideFile
  readonly #sql: ReturnType<typeof statementsOf>
  #inserting: { key: NewKey; resolve: (key: StoredKey) => void; reject: (error: unknown) => void }[] = []

  constructor(file: SideFile) {
    this.#file = file
    this.#sql = statementsOf(file.database)
  }

  get(subject: string): Promise<StoredKey | undefined> {
    return this.#file.patiently(() => keyOf(this.#sql.get.get(subject)))
  }

  /** What is asked for in one turn of the event loop waits for the disk once. */
  insert(key: NewKey): Promise<StoredKey> {
    return new Promise((resolve, reject) => {
      this.#inserting.push({ key, resolve, reject })
      if (this.#inserting.length === 1) setImmediate(() => void this.#insertAll())
    })
  }

  replace(key: StoredKey, secret: Uint8Array, masterKey: string): Promise<boolean> {
    const { subject, id } = key
    return this.#file.patiently(
      () => this.#sql.replace.run(secret, masterKey, subject, id, key.masterKey ?? null).changes > 0,
    )
  }

  async forget(subject: string, time: number): Promise<boolean> {
    const had = await this.#file.patiently(() => {
      const had = this.#sql.forget.run(time, subject).changes > 0
      if (!had) this.#sql.forgetUnknown.run(subject, time)
      return had
    })
    // Until the log of SQLite is emptied, what was overwritten in the pages still stands there.
    await this.#file.patiently(() => {
      const [result] = this.#file.database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
      if (result.busy) throw new Busy()
    }, `the key of subject ${subject} is deleted, but its bytes are still in ${this.#file.file}-wal; forget it again`)
    return had
  }

  list(after: string, limit: number): Promise<StoredKey[]> {
    return this.#file.patiently(() => this.#sql.list.all(after, limit).map((row) => keyOf(row)!))
  }

  close(): Promise<void> {
    this.#file.close()
    return Promise.resolve()
  }

  async #insertAll(): Promise<void> {
    const group = this.#inserting
    this.#inserting = []
    const insert = ({ subject, id, created, secret, masterKey }: NewKey): StoredKey => {
      this.#sql.insert.run(subject, id, created, secret, masterKey ?? null)
      return keyOf(this.#sql.get.get(subject))!
    }
    const insertGroup = this.#file.database.transaction(() => group.map(({ key }) => insert(key)))
    try {
      const stored = await this.#file.patiently(() => insertGroup.immediate())
      for (const [index, { resolve }] of group.entries()) resolve(stored[index]!)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}

function statementsOf(database: Database) {
  const prepare = <Parameters extends unknown[]>(sql: string): Statement<Parameters, Row> =>
    database.prepare(sql)
  return {
    get: prepare<[subject: string]>(`SELECT ${COLUMNS} FROM subject_key WHERE subject = ?`),
    insert: prepare<[string, string, number | undefined, Uint8Array, string | null]>(
      'INSERT INTO subject_key (subject, id, created, secret, master_key) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    replace: prepare<[Uint8Array, string, string, string, string | null]>(
      `UPDATE subject_key SET secret = ?, master_key = ?
       WHERE subject = ? AND id = ? AND master_key IS ? AND secret IS NOT NULL`,
    ),
    forget: prepare<[time: number, subject: string]>(
      `UPDATE subject_key SET secret = NULL, master_key = NULL, forgotten = ?
       WHERE subject = ? AND secret IS NOT NULL`,
    ),
    forgetUnknown: prepare<[subject: string, time: number]>(
      "INSERT INTO subject_key (subject, id, forgotten) VALUES (?, '', ?) ON CONFLICT DO NOTHING",
    ),
    list: prepare<[after: string, limit: number]>(
      `SELECT ${COLUMNS} FROM subject_key WHERE subject > ? ORDER BY subject LIMIT ?`,
    ),
  }
}

function keyOf(row: Row | undefined): StoredKey | undefined {
  if (!row) return undefined
  const { subject, id, created, forgotten, secret, master_key } = row
  return {
    subject,
    id,
    created: created ?? undefined,
    forgotten: forgotten ?? undefined,
    secret: secret ?? undefined,
    masterKey: master_key ?? undefined,
  }
}
