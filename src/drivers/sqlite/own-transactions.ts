import type { Database } from 'better-sqlite3'
import { isPromise, type Maybe } from '../../core/maybe.js'
import type { ApplicationDatabase } from './application-database.js'
import { Connection, TransactionTables, type SqliteTables } from './read-models/tables.js'

/** Transactions on our own connection to the file of an application, one after another: they may wait in the middle. */
export class OwnTransactions {
  readonly #database: ApplicationDatabase
  readonly #connection: Connection
  /** The transaction before has ended. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(database: ApplicationDatabase) {
    this.#database = database
    // An acknowledgement comes after this, and must not be all that is left of it.
    database.database.pragma('synchronous = FULL')
    this.#connection = new Connection(database.database)
  }

  /** Commits what is done through `db`, unless the work throws. */
  run<Result>(work: (db: SqliteTables, database: Database) => Maybe<Result>): Promise<Result> {
    const result = this.#turn.then(() => this.#run(work))
    this.#turn = result.catch(() => undefined)
    return result
  }

  async close(): Promise<void> {
    await this.#turn
    this.#database.close()
  }

  async #run<Result>(work: (db: SqliteTables, database: Database) => Maybe<Result>): Promise<Result> {
    const { database } = this.#database
    await this.#database.patiently(() => database.exec('BEGIN IMMEDIATE'))
    const tables = new TransactionTables(this.#connection)
    try {
      const answer = work(tables, database)
      const result = isPromise(answer) ? await answer : answer
      database.exec('COMMIT')
      return result
    } catch (error) {
      throw this.#database.errorOf(error)
    } finally {
      tables.end()
      if (database.open && database.inTransaction) database.exec('ROLLBACK')
    }
  }
}
