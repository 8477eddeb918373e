import type { Database, Statement } from 'better-sqlite3'
import { Worker } from 'node:worker_threads'
import { entryOf, THREAD_ARGUMENTS } from '../thread-entry.js'
import type { Copied } from './checkpoint-thread.js'

/** Frames of the write-ahead log from which on it is copied into the file: about 8 MB. */
const FRAMES = 2000
/** How often it is looked, in transactions. */
const EVERY = 16

/** Lets a thread copy the write-ahead log into the file, so that it does not grow without end. */
export class Checkpoints {
  readonly #file: string
  readonly #look: Statement<[], { log: number }>
  #copier: Worker | undefined
  #copying = false
  #transactions = 0
  /** From so many frames on it is tried again, as somebody was in the way. */
  #again = 0

  constructor(db: Database, file: string) {
    this.#file = file
    this.#look = db.prepare('PRAGMA wal_checkpoint(NOOP)')
  }

  /** To be called after a transaction, outside of any. */
  afterTransaction(): void {
    if (++this.#transactions % EVERY !== 0 || this.#copying) return
    try {
      this.#copyIfLong(this.#look.get()!.log)
    } catch {
      // What is wrong with the file is met by those who use it.
    }
  }

  async close(): Promise<void> {
    await this.#copier?.terminate()
  }

  #copyIfLong(frames: number): void {
    if (frames < this.#again - FRAMES) this.#again = 0
    if (frames < Math.max(FRAMES, this.#again)) return
    this.#copying = true
    this.#copier ??= this.#start()
    this.#copier.postMessage(frames)
    this.#again = frames + FRAMES
  }

  #start(): Worker {
    const copier = new Worker(entryOf('coordinator/checkpoint-thread.js'), {
      workerData: this.#file,
      name: 'banyan coordination checkpoint',
      execArgv: THREAD_ARGUMENTS,
    })
    copier.on('message', (copied: Copied | undefined) => {
      this.#copying = false
      if (copied?.busy === 0) this.#again = 0
    })
    // The log grows, which is no reason to stop: another thread is tried when it has grown some more.
    copier.on('error', () => {
      this.#copying = false
      this.#copier = undefined
    })
    copier.unref()
    return copier
  }
}
