import type { Limit, Outcome } from './limit.js'

/** What is left of the limit after a drop. */
const DECREASE = 0.9

/**
 * Additive increase, multiplicative decrease, as in TCP (Jacobson, "Congestion avoidance and control", 1988): one more
 * for each round of good calls, a tenth less for each round with a dropped one. Blind to latency: it finds the limit at
 * which calls begin to fail, and stays below it only by falling after each failure.
 */
export class AimdLimit implements Limit {
  readonly #minimum: number
  readonly #maximum: number
  #limit: number
  #decreasedAt = -Infinity

  constructor(initial: number, minimum: number, maximum: number) {
    this.#limit = initial
    this.#minimum = minimum
    this.#maximum = maximum
  }

  get current(): number {
    return Math.floor(this.#limit)
  }

  observe(now: number, startedAt: number, inFlight: number, outcome: Outcome): void {
    if (outcome === 'dropped') {
      // Calls that began before the last decrease belong to the overload that caused it.
      if (startedAt <= this.#decreasedAt) return
      this.#decreasedAt = now
      this.#limit = Math.max(this.#minimum, this.#limit * DECREASE)
    } else if (outcome === 'done' && inFlight * 2 >= this.#limit) {
      // A limit that is not used shows nothing, so it does not grow.
      this.#limit = Math.min(this.#maximum, this.#limit + 1 / this.#limit)
    }
  }
}
