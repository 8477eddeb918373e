import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type SQLite from 'better-sqlite3'
import { sleep, type Clock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { loadSqlite } from './connect.js'
import { isBusy, isSqliteError } from './faults.js'
import type { SqliteHandle } from './read-models/store.js'

/** How long others may keep the file locked, and how often it is tried, in ms. */
const PATIENCE_MS = 5000
const RETRY_MS = 2
/** Tries in a row, a turn of the event loop each: a busy writer leaves gaps that a longer wait would miss. */
const TRIES = 100

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

/** A file of SQLite that belongs to an application, with tables of ours in it, on a connection of our own. */
export class ApplicationDatabase {
  readonly file: string
  readonly database: SQLite.Database
  readonly #kind: TableKind
  readonly clock: Clock
  readonly #sqlite: typeof SQLite

  private constructor(
    file: string,
    sqlite: typeof SQLite,
    kind: TableKind,
    { clock, create }: { clock: Clock; create: boolean },
  ) {
    this.file = file
    this.#kind = kind
    this.clock = clock
    this.#sqlite = sqlite
    if (create) mkdirSync(dirname(file), { recursive: true })
    // Waiting inside SQLite would stop the process.
    this.database = new sqlite(file, { timeout: 0, fileMustExist: !create })
  }

  /**
   * Makes the tables if they are not there, or says that they are not.
   *
   * @param where - a file, or a database that is open, whose file is opened again
   * @param options.create - whether to make the file if it is not there; default: as `migrate` says
   */
  static open(
    where: string | SqliteHandle,
    kind: TableKind,
    { clock, migrate, create = migrate }: { clock: Clock; migrate: boolean; create?: boolean },
  ): Promise<ApplicationDatabase> {
    return ApplicationDatabase.#opened(where, kind, { clock, create }, (opened) =>
      opened.write(() => opened.#prepare(migrate)),
    )
  }

  /** Opens a file that is there as it is: also without the tables. */
  static look(where: string | SqliteHandle, kind: TableKind, clock: Clock): Promise<ApplicationDatabase> {
    return ApplicationDatabase.#opened(where, kind, { clock, create: false })
  }

  static async #opened(
    where: string | SqliteHandle,
    kind: TableKind,
    options: { clock: Clock; create: boolean },
    begin: (opened: ApplicationDatabase) => Promise<void> = () => Promise.resolve(),
  ): Promise<ApplicationDatabase> {
    const file = fileOf(where, kind)
    const isNew = !existsSync(file)
    if (!options.create && isNew) throw missing(kind, file)
    const sqlite = await loadSqlite()
    let opened: ApplicationDatabase | undefined
    try {
      opened = new ApplicationDatabase(file, sqlite, kind, options)
      await opened.patiently(() => opened!.#configure(isNew))
      await begin(opened)
      return opened
    } catch (error) {
      opened?.close()
      throw opened ? error : unusable(kind, file, error)
    }
  }

  /** Another connection to the file. Where it was moved away, none is made in its place. */
  again(): SQLite.Database {
    try {
      return new this.#sqlite(this.file, { timeout: 0, fileMustExist: true })
    } catch (error) {
      throw existsSync(this.file) ? error : missing(this.#kind, this.file)
    }
  }

  /** A connection to a file beside it, made if it is not there. */
  beside(suffix: string): SQLite.Database {
    return new this.#sqlite(`${this.file}${suffix}`, { timeout: 0 })
  }

  /** Works in a transaction that writes. */
  write<Result>(work: () => Result): Promise<Result> {
    return this.patiently(() => this.database.transaction(work).immediate())
  }

  /**
   * Tries again, without stopping the process, while others have the file locked.
   *
   * @param until - by the clock, in ms; default in 5 s
   */
  async patiently<Result>(work: () => Result, until?: number): Promise<Result> {
    const deadline = until ?? this.clock.now() + PATIENCE_MS
    for (let tries = 1; ; tries++) {
      if (!this.database.open) throw new BanyanError(this.#kind.codes.closed, `${this.#kind.name} is closed`)
      try {
        return work()
      } catch (error) {
        if (!isBusy(error) || this.clock.now() >= deadline) throw this.errorOf(error)
      }
      if (tries % TRIES === 0) await sleep(this.clock, RETRY_MS)
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Errors of the file; others are those of whoever works. */
  errorOf(error: unknown): unknown {
    return error instanceof BanyanError || !isSqliteError(error)
      ? error
      : unusable(this.#kind, this.file, error)
  }

  close(): void {
    this.database.close()
  }

  /** Others may have the file locked: both look into it. */
  #configure(isNew: boolean): void {
    // What is lost with the power is done again. How the file keeps its journal is up to the application, if it is its file.
    this.database.pragma('synchronous = NORMAL')
    if (isNew) this.database.pragma('journal_mode = WAL')
  }

  #prepare(migrate: boolean): void {
    const { name, table, schema, format, madeBy, codes } = this.#kind
    const isThere = this.database
      .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
      .get(table)
    if (isThere === undefined) {
      if (!migrate)
        throw new BanyanError(
          codes.unavailable,
          `the tables of ${name} are not in ${this.file}; make them with ${madeBy}`,
        )
      this.database.exec(schema)
    }
    const found = this.database.prepare(`SELECT format FROM ${format.table}`).pluck().get() as number
    if (!(found <= format.newest))
      throw new BanyanError(
        codes.unavailable,
        `the tables of ${name} in ${this.file} have format ${found}, made by a newer version; update`,
      )
  }
}

function fileOf(where: string | SqliteHandle, { name, codes }: TableKind): string {
  if (typeof where === 'string') return where
  if (!where.memory && where.name !== '') return where.name
  throw new BanyanError(
    codes.unavailable,
    `a database in memory cannot hold ${name}, as it has one connection only; open a file`,
  )
}

function missing({ name, codes }: TableKind, file: string): Error {
  return new BanyanError(codes.unavailable, `there is no file ${file} that could hold ${name}`)
}

function unusable({ name, codes }: TableKind, file: string, error: unknown): Error {
  const said = error instanceof Error ? error.message : String(error)
  const why = isBusy(error)
    ? '. Somebody else has kept it for longer than is waited for: another process, or another connection of this one, with a transaction that is open, such as work that waits for something; SQLite has one writer at a time'
    : ''
  return new BanyanError(codes.unavailable, `${name} in ${file} cannot be used: ${said}${why}`, {
    cause: error,
  })
}
