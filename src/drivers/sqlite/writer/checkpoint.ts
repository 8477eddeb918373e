import type { Database, Statement } from 'better-sqlite3'

/** Frames of the write-ahead log from which on it is copied into the file. */
const FRAMES = 4000
/** How often it is looked, in transactions. */
const EVERY = 16

/** Copies the write-ahead log into the file between groups, so that it does not grow without end. */
export class Checkpoints {
  readonly #db: Database
  readonly #look: Statement<[], { log: number }>
  #transactions = 0
  #next = FRAMES

  constructor(db: Database) {
    this.#db = db
    this.#look = db.prepare('PRAGMA wal_checkpoint(NOOP)')
  }

  /** To be called after a transaction, outside of any. */
  afterTransaction(): void {
    if (++this.#transactions % EVERY !== 0) return
    if (this.#look.get()!.log < this.#next) return
    const [state] = this.#db.pragma('wal_checkpoint(PASSIVE)') as [{ log: number; checkpointed: number }]
    // A reader that holds on to old pages keeps it from beginning anew; trying at once again would only cost.
    this.#next = state.checkpointed === state.log ? FRAMES : state.log + FRAMES
  }
}
