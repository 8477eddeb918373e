import type { Database } from 'better-sqlite3'
import type { Clock } from '../../../core/clock.js'
import type { Maybe } from '../../../core/maybe.js'
import { Turns } from '../../../core/turns.js'
import { Connection } from '../read-models/tables.js'

/** Connections that read at the same time, at most. */
const READERS = 8

/** Connections to read with: most reads answer at once, and one is enough. */
export class Readers {
  readonly #open: () => Database
  readonly #turns: Turns
  readonly #free: Connection[] = []
  readonly #wanted: ((connection: Connection) => void)[] = []
  #count = 0
  #closed = false

  constructor(clock: Clock, open: () => Database) {
    this.#open = open
    this.#turns = new Turns(clock)
  }

  /** A connection in a transaction; it is to be given back. */
  async take(): Promise<Connection> {
    const turn = this.#turns.next()
    if (turn) await turn
    const connection = this.#free.pop() ?? (await this.#another())
    try {
      connection.database.exec('BEGIN')
    } catch (error) {
      this.giveBack(connection)
      throw error
    }
    return connection
  }

  giveBack(connection: Connection): void {
    const { database } = connection
    if (database.open && database.inTransaction) database.exec('ROLLBACK')
    const wanted = this.#wanted.shift()
    if (wanted) wanted(connection)
    else if (this.#closed) database.close()
    else this.#free.push(connection)
  }

  close(): void {
    this.#closed = true
    for (const { database } of this.#free.splice(0)) database.close()
  }

  #another(): Maybe<Connection> {
    if (this.#count >= READERS) return new Promise((resolve) => this.#wanted.push(resolve))
    const connection = new Connection(this.#open())
    this.#count++
    return connection
  }
}
