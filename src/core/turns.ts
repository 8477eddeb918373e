import type { Clock } from './clock.js'

/** Whoever does much without a pause lets the event loop turn at least so often, in ms. */
const TURN_MS = 5

/** Lets the event loop turn now and then: some engines answer without, and who asks them in a loop would let nobody else in, such as
 * timers, signals and leases. */
export class Turns {
  readonly #clock: Clock
  /** When the first was asked for in this turn of the event loop. */
  #since: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What to wait for before more is done; undefined while it is not long since the last turn. */
  next(): Promise<void> | undefined {
    const now = this.#clock.now()
    if (this.#since === undefined) {
      this.#since = now
      setImmediate(() => (this.#since = undefined))
      return undefined
    }
    if (now - this.#since < TURN_MS) return undefined
    return new Promise((resolve) => setImmediate(resolve))
  }
}
