import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { sleep } from '../../core/clock.js'
import type { DriverContext } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'

/** How long other processes may keep the database locked, and how often it is tried, in ms. */
const PATIENCE_MS = 5000
const RETRY_MS = 3

/** What a file beside the log is for. */
export interface SideFileKind {
  /** What is in it, for messages: `keys of subjects`. */
  readonly holds: string
  /** Its name in a directory: `keys.db`. */
  readonly name: string
  /** Four letters that tell the file from other databases. */
  readonly applicationId: number
  readonly format: number
  /** Makes the tables. */
  readonly schema: string
  /** What to do about one that is damaged. */
  readonly remedy: string
}

/**
 * A database of SQLite beside the log, readable by its owner only. Several processes of one machine may share it; what is
 * written is on disk when it was written.
 */
export class SideFile {
  readonly file: string
  readonly database: Database
  readonly #kind: SideFileKind
  readonly #clock: DriverContext['clock']

  private constructor(file: string, database: Database, kind: SideFileKind, clock: DriverContext['clock']) {
    this.file = file
    this.database = database
    this.#kind = kind
    this.#clock = clock
  }

  /** @param path - a directory, or a file whose name ends in `.db`; made if it is not there */
  static async open(path: string, kind: SideFileKind, { clock }: DriverContext): Promise<SideFile> {
    const { default: Database } = await import('better-sqlite3')
    const file = path.endsWith('.db') ? path : join(path, kind.name)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    makeOwn(file)
    // Waiting inside SQLite would stop the process.
    const database = new Database(file, { timeout: 0 })
    const opened = new SideFile(file, database, kind, clock)
    try {
      await opened.patiently(() => opened.#prepare())
    } catch (error) {
      database.close()
      throw error
    }
    return opened
  }

  /** Tries again, without stopping the process, while others have the database locked. */
  async patiently<Result>(work: () => Result, problem = 'nothing was changed'): Promise<Result> {
    const deadline = this.#clock.now() + PATIENCE_MS
    for (;;) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error)) throw this.#errorOf(error)
        if (this.#clock.now() >= deadline)
          throw eventError(
            'BANYAN_LOG_LOCKED',
            `${this.file} is locked by another process: ${problem}`,
            error,
          )
      }
      await sleep(this.#clock, RETRY_MS)
    }
  }

  close(): void {
    this.database.close()
  }

  #prepare(): void {
    const { database } = this
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    // What is deleted is overwritten with zeros.
    database.pragma('secure_delete = ON')
    database.pragma('temp_store = MEMORY')
    database.transaction(() => this.#migrate()).immediate()
  }

  #migrate(): void {
    const { schema, applicationId, format: newest, holds } = this.#kind
    const application = this.database.pragma('application_id', { simple: true })
    const format = this.database.pragma('user_version', { simple: true }) as number
    const tables = this.database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
    if (application === 0 && tables === 0) {
      this.database.exec(schema)
      this.database.pragma(`application_id = ${applicationId}`)
      this.database.pragma(`user_version = ${newest}`)
    } else if (application !== applicationId)
      throw eventError('BANYAN_LOG_FORMAT', `${this.file} is a database, but not of ${holds}`)
    else if (format > newest)
      throw eventError(
        'BANYAN_LOG_FORMAT',
        `${this.file} has format ${format}, made by a newer version; update`,
      )
  }

  #errorOf(error: unknown): unknown {
    const { file } = this
    const code = codeOf(error)
    if (!code.startsWith('SQLITE_')) return error
    if (code === 'SQLITE_FULL')
      return eventError('BANYAN_LOG_FULL', `no space is left for ${file}; nothing was changed`, error)
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(code))
      return eventError(
        'BANYAN_LOG_CORRUPT',
        `${file}, which holds the ${this.#kind.holds}, is damaged or no database: ${String(error)}. ${this.#kind.remedy}`,
        error,
      )
    return eventError('BANYAN_LOG_UNAVAILABLE', `${file} cannot be used: ${String(error)}`, error)
  }
}

/**
 * Makes a file that only its owner reads, unless it is there. One that is there is not even opened: closing any descriptor of a
 * file ends all locks of the process on it (POSIX), those of SQLite as well, if it has the file open already.
 */
function makeOwn(file: string): void {
  try {
    closeSync(openSync(file, 'ax', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** Thrown by what {@link SideFile.patiently} runs, to be tried again. */
export class Busy extends Error {}

function isBusy(error: unknown): boolean {
  return error instanceof Busy || codeOf(error).startsWith('SQLITE_BUSY')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
