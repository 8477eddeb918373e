import { closeSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'

const sync = promisify(fdatasync)
/** A failed sync is told to everybody who has the file open, once each: the first checkpoint may still meet it. */
const REMEDIES = 3

/**
 * Makes changes outlive a loss of power: those of keys with a lease need not, as their holders do not either, so a commit
 * does not wait for the disk. Whoever has to, waits here, off the event loop, and with all others who wait.
 */
export class Durability {
  /** Everything up to there would outlive it. */
  horizon: number
  readonly #wal: number
  readonly #written: () => number
  readonly #checkpoint: () => boolean
  readonly #reached: () => void
  #running: Promise<void> | undefined
  #failed = false

  /**
   * @param file - of the database
   * @param hooks - `written`: the last revision in the write-ahead log that is known of; `checkpoint` copies all of the log
   *   into the file and begins it anew, if nobody is in the way; `reached` is told when the horizon has moved
   */
  constructor(
    file: string,
    horizon: number,
    hooks: { written(): number; checkpoint(): boolean; reached(): void },
  ) {
    this.horizon = horizon
    // It is there as long as this process has the database open.
    this.#wal = openSync(`${file}-wal`, 'r+')
    this.#written = () => hooks.written()
    this.#checkpoint = () => hooks.checkpoint()
    this.#reached = () => hooks.reached()
  }

  /** Resolves when everything up to a revision would outlive a loss of power; rejects if the disk fails. */
  async until(revision: number): Promise<void> {
    while (this.horizon < revision) {
      this.#running ??= this.#advance().finally(() => (this.#running = undefined))
      await this.#running
    }
  }

  async close(): Promise<void> {
    // With all that is written, nobody who waits begins another.
    if (this.#running) await this.until(this.#written()).catch(() => undefined)
    closeSync(this.#wal)
  }

  async #advance(): Promise<void> {
    const written = this.#written()
    try {
      if (this.#failed) this.#repair()
      else await sync(this.#wal)
    } catch {
      // The kernel takes for written what it could not write, and a later sync says nothing of it ("fsyncgate", 2018). In the
      // middle of the log that would be the end of it. So what the log has goes into the file.
      this.#failed = true
      this.#repair()
    }
    this.#failed = false
    this.horizon = Math.max(this.horizon, written)
    this.#reached()
  }

  #repair(): void {
    for (let attempt = 1; ; attempt++)
      try {
        if (this.#checkpoint()) return
        throw new Error('the write-ahead log could not be copied, as it is in use')
      } catch (error) {
        if (attempt === REMEDIES) throw error
      }
  }
}
