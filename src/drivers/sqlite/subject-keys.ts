import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database, Statement } from 'better-sqlite3'
import { sleep } from '../../core/clock.js'
import type { DriverContext } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import type { StoredKey, SubjectKeyStore } from '../../events/personal-data/keys.js'

/** `BKEY`: tells the file from other databases. */
const APPLICATION_ID = 0x424b4559
const FORMAT = 1
/** How long other processes may keep the database locked, and how often it is tried, in ms. */
const PATIENCE_MS = 5000
const RETRY_MS = 3

const SCHEMA = `
  CREATE TABLE subject_key (
    subject    TEXT PRIMARY KEY,
    id         TEXT NOT NULL,
    created    INTEGER,
    forgotten  INTEGER,
    secret     BLOB,
    master_key TEXT
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`

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
export async function openSqliteSubjectKeys(
  path: string,
  { clock }: DriverContext,
): Promise<SubjectKeyStore> {
  const { default: Database } = await import('better-sqlite3')
  const file = path.endsWith('.db') ? path : join(path, 'keys.db')
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  closeSync(openSync(file, 'a', 0o600))
  // Waiting inside SQLite would stop the process.
  const database = new Database(file, { timeout: 0 })
  const store = new SqliteSubjectKeys(database, file, clock)
  try {
    await store.prepare()
  } catch (error) {
    database.close()
    throw error
  }
  return store
}

class SqliteSubjectKeys implements SubjectKeyStore {
  readonly #database: Database
  readonly #file: string
  readonly #clock: DriverContext['clock']
  #statements: ReturnType<typeof statementsOf> | undefined
  #inserting: { key: NewKey; resolve: (key: StoredKey) => void; reject: (error: unknown) => void }[] = []

  constructor(database: Database, file: string, clock: DriverContext['clock']) {
    this.#database = database
    this.#file = file
    this.#clock = clock
  }

  async prepare(): Promise<void> {
    await this.#patiently(() => {
      const database = this.#database
      database.pragma('journal_mode = WAL')
      // A key is on disk before anything is encrypted with it.
      database.pragma('synchronous = FULL')
      // What is deleted is overwritten with zeros.
      database.pragma('secure_delete = ON')
      database.pragma('temp_store = MEMORY')
      database.transaction(() => this.#migrate()).immediate()
    })
    this.#statements = statementsOf(this.#database)
  }

  get(subject: string): Promise<StoredKey | undefined> {
    return this.#patiently(() => keyOf(this.#sql.get.get(subject)))
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
    return this.#patiently(
      () => this.#sql.replace.run(secret, masterKey, subject, id, key.masterKey ?? null).changes > 0,
    )
  }

  async forget(subject: string, time: number): Promise<boolean> {
    const had = await this.#patiently(() => {
      const had = this.#sql.forget.run(time, subject).changes > 0
      if (!had) this.#sql.forgetUnknown.run(subject, time)
      return had
    })
    // Until the log of SQLite is emptied, what was overwritten in the pages still stands there.
    await this.#patiently(() => {
      const [result] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
      if (result.busy) throw new Busy()
    }, `the key of subject ${subject} is deleted, but its bytes are still in ${this.#file}-wal; forget it again`)
    return had
  }

  list(after: string, limit: number): Promise<StoredKey[]> {
    return this.#patiently(() => this.#sql.list.all(after, limit).map((row) => keyOf(row)!))
  }

  close(): Promise<void> {
    this.#database.close()
    return Promise.resolve()
  }

  async #insertAll(): Promise<void> {
    const group = this.#inserting
    this.#inserting = []
    const insert = ({ subject, id, created, secret, masterKey }: NewKey): StoredKey => {
      this.#sql.insert.run(subject, id, created, secret, masterKey ?? null)
      return keyOf(this.#sql.get.get(subject))!
    }
    const insertGroup = this.#database.transaction(() => group.map(({ key }) => insert(key)))
    try {
      const stored = await this.#patiently(() => insertGroup.immediate())
      for (const [index, { resolve }] of group.entries()) resolve(stored[index]!)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  get #sql(): ReturnType<typeof statementsOf> {
    return this.#statements!
  }

  #migrate(): void {
    const application = this.#database.pragma('application_id', { simple: true })
    const format = this.#database.pragma('user_version', { simple: true }) as number
    const tables = this.#database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
    if (application === 0 && tables === 0) this.#database.exec(SCHEMA)
    else if (application !== APPLICATION_ID)
      throw eventError('BANYAN_LOG_FORMAT', `${this.#file} is a database, but not of keys of subjects`)
    else if (format > FORMAT)
      throw eventError(
        'BANYAN_LOG_FORMAT',
        `${this.#file} has format ${format}, made by a newer version; update`,
      )
  }

  /** Tries again, without stopping the process, while others have the database locked. */
  async #patiently<Result>(work: () => Result, problem = 'nothing was changed'): Promise<Result> {
    const deadline = this.#clock.now() + PATIENCE_MS
    for (;;) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error)) throw errorOf(error, this.#file)
        if (this.#clock.now() >= deadline)
          throw eventError(
            'BANYAN_LOG_LOCKED',
            `${this.#file} is locked by another process: ${problem}`,
            error,
          )
      }
      await sleep(this.#clock, RETRY_MS)
    }
  }
}

class Busy extends Error {}

function isBusy(error: unknown): boolean {
  return error instanceof Busy || codeOf(error).startsWith('SQLITE_BUSY')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function errorOf(error: unknown, file: string): unknown {
  const code = codeOf(error)
  if (!code.startsWith('SQLITE_')) return error
  if (code === 'SQLITE_FULL')
    return eventError('BANYAN_LOG_FULL', `no space is left for ${file}; nothing was changed`, error)
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code))
    return eventError(
      'BANYAN_LOG_CORRUPT',
      `${file}, which holds the keys of subjects, is damaged or no database: ${String(error)}. Restore a backup of it`,
      error,
    )
  return eventError('BANYAN_LOG_UNAVAILABLE', `${file} cannot be used: ${String(error)}`, error)
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
