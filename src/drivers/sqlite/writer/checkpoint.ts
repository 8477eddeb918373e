import type { Database, Statement } from 'better-sqlite3'

/** Frames of the write-ahead log from which on it is copied into the file; at once, and if nobody waits. */
const FRAMES_BUSY = 4000
const FRAMES_IDLE = 1000
/** How often it is looked, in transactions. */
const EVERY = 16

/** Copies the write-ahead log into the file between groups, so that it does not grow without end. */
export class Checkpoints {
  readonly #db: Database
  readonly #look: Statement<[], { log: number }>
  #transactions = 0
  /** Frames that a reader kept from being given free, the last time. */
  #kept = 0

  constructor(db: Database) {
    this.#db = db
    this.#look = db.prepare('PRAGMA wal_checkpoint(NOOP)')
  }

  /**
   * To be called after a transaction, outside of any.
   *
   * @param idle - whether nobody waits
   */
  afterTransaction(idle: boolean): void {
    if (++this.#transactions % EVERY !== 0) return
    const frames = this.#look.get()!.log - this.#kept
    if (frames < (idle ? FRAMES_IDLE : FRAMES_BUSY)) return
    const [state] = this.#db.pragma('wal_checkpoint(PASSIVE)') as [{ log: number; checkpointed: number }]
    // The log begins anew only when no reader needs its old pages. Trying again at once would only cost.
    this.#kept = state.checkpointed === state.log ? 0 : state.log
  }
}
