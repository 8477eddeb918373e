import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type SQLite from 'better-sqlite3'
import { sleep, type Clock } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import type { DriverContext } from '../../../events/driver.js'
import { eventError } from '../../../events/errors.js'
import {
  isPromise,
  type Maybe,
  type ReadModelStore,
  type StoreTransaction,
  type StoreView,
} from '../../../events/projections/store.js'
import { loadSqlite } from '../connect.js'
import { isBusy, isSqliteError } from '../faults.js'
import { SCHEMA } from './schema.js'
import { Connection, type SqliteTables } from './tables.js'
import { SqliteTransaction } from './transaction.js'

/** How long another process may keep the file locked, and how often it is tried, in ms. */
const PATIENCE_MS = 5000
const RETRY_MS = 2
/** Pages that a connection keeps in memory, in KiB. */
const CACHE_KIB = 32_768
/** Connections for queries that wait for something in their middle, at most. */
const READERS = 8

/** What is needed of a `Database` of better-sqlite3 that somebody has opened. */
export interface SqliteHandle {
  readonly name: string
  readonly memory: boolean
}

/**
 * Opens read models in a SQLite file, which may hold other tables too. Several processes of one machine may share it.
 *
 * @param where - a directory, where the file is `read-models.db`, or a file whose name ends in `.db`; made if it is not there.
 *   Or a database that is open: its file is opened again, as a transaction cannot be shared with who else uses it
 */
export async function openSqliteReadModels(
  where: string | SqliteHandle,
  { clock }: DriverContext,
): Promise<ReadModelStore<SqliteTables>> {
  const file = fileOf(where)
  const sqlite = await loadSqlite()
  const store = new SqliteReadModels(sqlite, file, clock)
  try {
    await store.prepare()
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}

function fileOf(where: string | SqliteHandle): string {
  if (typeof where === 'string') return where.endsWith('.db') ? where : join(where, 'read-models.db')
  if (!where.memory && where.name !== '') return where.name
  throw eventError(
    'BANYAN_READ_MODEL_UNAVAILABLE',
    'a database in memory cannot hold read models, as it has one connection only; open a file, or read models in memory:',
  )
}

class SqliteReadModels implements ReadModelStore<SqliteTables> {
  readonly engine = 'sqlite'
  readonly transactional = true
  readonly #sqlite: typeof SQLite
  readonly #file: string
  readonly #clock: Clock
  #writer: Connection | undefined
  /** The transaction before has ended. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #readers: Connection[] = []
  #readersOpen = 0
  readonly #readersWanted: ((connection: Connection) => void)[] = []
  #closed = false

  constructor(sqlite: typeof SQLite, file: string, clock: Clock) {
    this.#sqlite = sqlite
    this.#file = file
    this.#clock = clock
  }

  async prepare(): Promise<void> {
    await this.#patiently(() => {
      if (!existsSync(this.#file)) mkdirSync(dirname(this.#file), { recursive: true })
      const database = (this.#writer ??= new Connection(new this.#sqlite(this.#file, { timeout: 0 })))
        .database
      database.pragma('journal_mode = WAL')
      // What is lost with the power is lost with its checkpoint, and comes again.
      database.pragma('synchronous = NORMAL')
      database.pragma(`cache_size = -${CACHE_KIB}`)
      database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
    })
  }

  async read<Result>(work: (view: StoreView<SqliteTables>) => Maybe<Result>): Promise<Result> {
    const connection = await this.#reader()
    const view = new SqliteTransaction(connection)
    try {
      connection.database.exec('BEGIN')
      const result = work(view)
      return isPromise(result) ? await result : result
    } catch (error) {
      // A connection that was opened to read only: the file is as it should be.
      if (isSqliteError(error) && error.code === 'SQLITE_READONLY')
        throw new Error(`a query only reads: ${error.message}`, { cause: error })
      throw this.#errorOf(error)
    } finally {
      view.end()
      if (connection.database.inTransaction) connection.database.exec('ROLLBACK')
      this.#giveBack(connection)
    }
  }

  async write<Result>(work: (transaction: StoreTransaction<SqliteTables>) => Maybe<Result>): Promise<Result> {
    const before = this.#turn
    let passOn = (): void => undefined
    this.#turn = new Promise<void>((resolve) => (passOn = resolve))
    await before
    try {
      return await this.#transact(work)
    } finally {
      passOn()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
    this.#writer?.database.close()
    for (const { database } of this.#readers.splice(0)) database.close()
  }

  async #transact<Result>(
    work: (transaction: StoreTransaction<SqliteTables>) => Maybe<Result>,
  ): Promise<Result> {
    this.#mustBeOpen()
    const connection = this.#writer!
    const { database } = connection
    await this.#patiently(() => database.exec('BEGIN IMMEDIATE'))
    const transaction = new SqliteTransaction(connection)
    try {
      const answer = work(transaction)
      const result = isPromise(answer) ? await answer : answer
      if (!database.inTransaction) throw new Error('a handler has ended the transaction of its projection')
      database.exec('COMMIT')
      return result
    } catch (error) {
      throw this.#errorOf(error)
    } finally {
      transaction.end()
      if (database.inTransaction) database.exec('ROLLBACK')
    }
  }

  /** A connection that nobody uses; most queries answer at once, and one is enough. */
  #reader(): Maybe<Connection> {
    this.#mustBeOpen()
    const free = this.#readers.pop()
    if (free) return free
    if (this.#readersOpen >= READERS) return new Promise((resolve) => this.#readersWanted.push(resolve))
    this.#readersOpen++
    const database = new this.#sqlite(this.#file, { readonly: true, fileMustExist: true, timeout: 0 })
    database.pragma(`cache_size = -${CACHE_KIB}`)
    return new Connection(database)
  }

  #giveBack(connection: Connection): void {
    const wanted = this.#readersWanted.shift()
    if (wanted) wanted(connection)
    else if (this.#closed) connection.database.close()
    else this.#readers.push(connection)
  }

  #mustBeOpen(): void {
    if (this.#closed) throw eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
  }

  /** Tries again, without stopping the process, while others have the file locked. */
  async #patiently(work: () => void): Promise<void> {
    const deadline = this.#clock.now() + PATIENCE_MS
    for (;;) {
      try {
        work()
        return
      } catch (error) {
        if (!isBusy(error) || this.#clock.now() >= deadline) throw this.#errorOf(error)
      }
      await sleep(this.#clock, RETRY_MS)
    }
  }

  /** Errors of the file, which pass or need somebody to look; those of statements are the handler's. */
  #errorOf(given: unknown): unknown {
    // What a handler has met comes as the cause of what it failed with.
    const error = given instanceof Error && isSqliteError(given.cause) ? given.cause : given
    if (given instanceof BanyanError || !isSqliteError(error)) return given
    const { code } = error
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(code))
      return eventError(
        'BANYAN_READ_MODEL_CORRUPT',
        `${this.#file} is damaged or no database: ${error.message}. Delete it and build its read models anew`,
        error,
      )
    if (/^no such table: banyan_(projection|parked)$/.test(error.message))
      return eventError(
        'BANYAN_READ_MODEL_CORRUPT',
        `${this.#file}: ${error.message}: somebody has removed what Banyan keeps of its read models. ` +
          'Restore it, or drop their tables, open the read models again and build them anew',
        error,
      )
    if (/^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|PERM|NOMEM|PROTOCOL)/.test(code))
      return eventError(
        'BANYAN_READ_MODEL_UNAVAILABLE',
        `${this.#file} cannot be used: ${error.message} (${code})`,
        error,
      )
    return given
  }
}
