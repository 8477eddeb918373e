import type { Database, Statement } from 'better-sqlite3'
import { Worker } from 'node:worker_threads'
import { entryOf, THREAD_ARGUMENTS } from '../thread-entry.js'
import type { Copied } from './checkpoint-thread.js'

/** Frames of the write-ahead log from which on they are copied into the file. */
const FRAMES = 1000
/** From so many on nobody else is waited for: the log would grow and grow. */
const FRAMES_LIMIT = 16_000
/** So few are copied at once: once none is left, the log begins anew. */
const FRAMES_LEFT = 200
/** How often it is looked, in transactions. */
const EVERY = 16

/**
 * Copies the write-ahead log into the file, so that it does not grow without end. A thread of its own copies the most of
 * it while the writer goes on; only the rest, with which the log is empty, is copied between two transactions.
 */
export class Checkpoints {
  readonly #file: string
  readonly #db: Database
  readonly #look: Statement<[], { log: number }>
  #copier: Worker | undefined
  #copying = false
  #transactions = 0
  /** Frames that a reader kept from being given free, the last time. */
  #kept = 0

  constructor(db: Database, file: string) {
    this.#db = db
    this.#file = file
    this.#look = db.prepare('PRAGMA wal_checkpoint(NOOP)')
  }

  /** To be called after a transaction, outside of any. */
  afterTransaction(): void {
    if (++this.#transactions % EVERY !== 0) return
    const { log } = this.#look.get()!
    // It has begun anew.
    if (log < this.#kept) this.#kept = 0
    const frames = log - this.#kept
    if (frames >= FRAMES_LIMIT) this.#copyHere()
    else if (frames >= FRAMES && !this.#copying) this.#copyThere()
  }

  async close(): Promise<void> {
    await this.#copier?.terminate()
  }

  #copyHere(): void {
    const [state] = this.#db.pragma('wal_checkpoint(PASSIVE)') as [Copied]
    // The log begins anew only when no reader needs its old pages. Trying again at once would only cost.
    this.#kept = state.checkpointed === state.log ? 0 : state.log
  }

  #copyThere(): void {
    this.#copier ??= this.#startCopier()
    this.#copying = true
    this.#copier.postMessage('copy')
  }

  #startCopier(): Worker {
    const copier = new Worker(entryOf('writer/checkpoint-thread.js'), {
      workerData: this.#file,
      name: 'banyan events checkpoint',
      execArgv: THREAD_ARGUMENTS,
    })
    copier.on('message', (copied: Copied | undefined) => {
      this.#copying = false
      if (copied) this.#afterCopy(copied)
    })
    // Without it the writer copies, and tells what is wrong with the file.
    copier.on('error', () => undefined)
    copier.unref()
    return copier
  }

  /** Between two transactions. */
  #afterCopy({ log, checkpointed }: Copied): void {
    if (!this.#db.open) return
    const left = this.#look.get()!.log - checkpointed
    if (left === 0) this.#kept = 0
    // A reader holds the rest.
    else if (checkpointed < log) this.#kept = log
    else if (left <= FRAMES_LEFT) this.#copyHere()
    else this.#copyThere()
  }
}
