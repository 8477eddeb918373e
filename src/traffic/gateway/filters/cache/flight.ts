import type { Clock } from '../../../../core/clock.js'
import type { Call } from '../../../policy.js'

/** What became of a fetch that others wait for. */
export type Outcome =
  /** Its answer is kept: look again. */
  | { readonly kind: 'stored' }
  /** Whoever made it has gone: the next one makes it. */
  | { readonly kind: 'abandoned' }
  /** Its answer is for nobody else. */
  | { readonly kind: 'unshared' }
  /** The service has failed; it is not asked again by everybody at once. */
  | { readonly kind: 'failed'; readonly error: unknown }

/** One fetch, and those who wait for its answer. */
export class Flight {
  /** Of the resource. */
  readonly key: string
  readonly flightKey: string | undefined
  /** A write has been seen since it began: its answer is kept by nobody. */
  outdated = false
  #waiting = new Set<(outcome: Outcome) => void>()
  #ended = false

  constructor(key: string, flightKey: string | undefined) {
    this.key = key
    this.flightKey = flightKey
  }

  get waiters(): number {
    return this.#waiting.size
  }

  end(outcome: Outcome): void {
    if (this.#ended) return
    this.#ended = true
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const resolve of waiting) resolve(outcome)
  }

  /**
   * Waits for the end.
   *
   * @param until - on the scale of the clock; then the outcome is `unshared`
   * @returns rejects if the call is cancelled
   */
  wait(call: Call, clock: Clock, until: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome): void => {
        this.#waiting.delete(settle)
        timer.cancel()
        forget()
        resolve(outcome)
      }
      let forget = (): void => undefined
      const timer = clock.schedule(Math.min(until, call.deadline), () => settle({ kind: 'unshared' }))
      this.#waiting.add(settle)
      forget = call.onCancel(() => {
        this.#waiting.delete(settle)
        timer.cancel()
        reject(call.reason)
      })
    })
  }
}
