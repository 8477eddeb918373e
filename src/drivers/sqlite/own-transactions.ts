import type { Database } from 'better-sqlite3'
import { BanyanError } from '../../core/errors.js'
import { isPromise, type Maybe } from '../../core/maybe.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import { Turns } from '../../core/turns.js'
import { isWorkOf, workFor } from '../../core/within.js'
import type { ApplicationDatabase } from './application-database.js'
import { isBusy } from './faults.js'
import { Connection, TransactionTables, type SqliteTables } from './read-models/tables.js'

/** What is done in a transaction. */
type Work<Result> = (db: SqliteTables, database: Database) => Maybe<Result>

/** How long a transaction waits until it can begin, in ms, and what is thrown then. */
export interface Patience {
  readonly wait: number
  readonly late: (cause?: unknown) => Error
}

/** Transactions on our own connection to the file of an application, one after another: they may wait in the middle. */
export class OwnTransactions {
  readonly #database: ApplicationDatabase
  readonly #connection: Connection
  readonly #turns: Turns
  /** The transaction that is open. */
  #open: TransactionTables | undefined
  /** The transactions before have ended. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(database: ApplicationDatabase) {
    this.#database = database
    // An acknowledgement comes after this, and must not be all that is left of it.
    database.database.pragma('synchronous = FULL')
    this.#connection = new Connection(database.database)
    this.#turns = new Turns(database.clock)
  }

  /**
   * Commits what is done through `db`, unless the work throws.
   *
   * @param patience - default: those before are waited for without a limit, others that have the file for 5 s
   * @throws `BANYAN_INVALID_OPTIONS` in the work of another one
   */
  async run<Result>(work: Work<Result>, patience?: Patience): Promise<Result> {
    if (this.#open && isWorkOf(this.#open))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `a transaction in ${this.#database.file} was begun in the work of another one, which would wait for it for ever, and it for that one: ` +
          'begin it before or behind that, or use what that work was given',
      )
    const { clock } = this.#database
    const until = patience && clock.now() + patience.wait
    const before = this.#turn
    const result = (patience ? inTime(before, clock, patience) : before).then(() =>
      this.#run(work, until, patience),
    )
    // One that was late has not waited for those before it to the end.
    this.#turn = Promise.allSettled([before, result])
    return result
  }

  async close(): Promise<void> {
    await this.#turn
    this.#database.close()
  }

  async #run<Result>(
    work: Work<Result>,
    until: number | undefined,
    patience: Patience | undefined,
  ): Promise<Result> {
    const { database } = this.#database
    // Nothing here waits for more than the file, which answers at once.
    const turn = this.#turns.next()
    if (turn) await turn
    await this.#begin(until, patience)
    const tables = new TransactionTables(this.#connection)
    this.#open = tables
    try {
      const answer = workFor(tables, () => work(tables, database))
      const result = isPromise(answer) ? await answer : answer
      // Somebody who reads may have to end first: then nothing was done yet, and it can be tried again.
      await this.#database.patiently(() => database.exec('COMMIT'), until)
      return result
    } catch (error) {
      throw this.#database.errorOf(error)
    } finally {
      this.#open = undefined
      tables.end()
      if (database.open && database.inTransaction) database.exec('ROLLBACK')
    }
  }

  async #begin(until: number | undefined, patience: Patience | undefined): Promise<void> {
    try {
      await this.#database.patiently(() => this.#database.database.exec('BEGIN IMMEDIATE'), until)
    } catch (error) {
      const { cause } = error as Error
      throw patience && isBusy(cause) ? patience.late(cause) : error
    }
  }
}

async function inTime(
  before: Promise<unknown>,
  clock: ApplicationDatabase['clock'],
  { wait, late }: Patience,
): Promise<void> {
  if (isPassed(await raceWithTimer(clock, before, wait))) throw late()
}
