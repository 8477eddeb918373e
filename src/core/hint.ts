import type { Clock } from './clock.js'

/** Remembers that something may have changed until somebody waits for it. A hint makes faster, and is never relied on. */
export class Hint {
  #given = false
  #wake: (() => void) | undefined

  give(): void {
    this.#given = true
    this.#wake?.()
  }

  /**
   * Waits for a hint; one that was given before counts. One at a time waits.
   *
   * @param ms - how long, at most
   * @returns resolves when one was given, the time is over, or the signal aborts
   */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#given && !signal.aborted)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          signal.removeEventListener('abort', wake)
          this.#wake = undefined
          resolve()
        }
        const timer = clock.schedule(clock.now() + ms, wake)
        signal.addEventListener('abort', wake, { once: true })
        this.#wake = wake
      })
    this.#given = false
  }
}
