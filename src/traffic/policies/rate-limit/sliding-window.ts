import { Entry, Keys } from './keys.js'
import { ROUNDING, type Limiter, type Standing } from './limiter.js'

class Counts extends Entry {
  /** The number of the window that `current` counts. */
  window = -Infinity
  current = 0
  previous = 0
}

/**
 * Sliding window counter (as at Cloudflare, "How we built rate limiting capable of scaling to millions of domains",
 * 2017): the calls of this window, and those of the last one as far as it still overlaps, taking them for evenly spread:
 * `current + previous x (1 - elapsed share)`.
 *
 * No window, counted from the clock's start, has more than `limit` calls. Any other time of that length has fewer than
 * `2 x limit`, and near that many only if those of the window before came all at its end.
 */
export class SlidingWindow implements Limiter {
  readonly #limit: number
  readonly #window: number
  readonly #counts: Keys<Counts>

  constructor(limit: number, window: number, maxKeys: number) {
    this.#limit = limit
    this.#window = window
    this.#counts = new Keys(maxKeys, (key) => new Counts(key))
  }

  get size(): number {
    return this.#counts.size
  }

  take(key: string, now: number, cost: number): number {
    const counts = this.#counts.use(key)
    const window = Math.floor(now / this.#window)
    if (window !== counts.window) {
      counts.previous = window === counts.window + 1 ? counts.current : 0
      counts.current = 0
      counts.window = window
    }
    const wait = this.#waitFor(counts.current, counts.previous, now, cost)
    if (wait === 0) counts.current += cost
    return wait
  }

  wait(key: string, now: number, cost: number): number {
    return this.#waitFor(this.#current(key, now), this.#previous(key, now), now, cost)
  }

  standing(key: string, now: number): Standing {
    const current = this.#current(key, now)
    const previous = this.#previous(key, now)
    const left = 1 - this.#elapsed(now)
    const used = current + previous * left
    return {
      remaining: Math.max(0, Math.floor(this.#limit - used + ROUNDING)),
      resetAfter: current > 0 ? (1 + left) * this.#window : previous > 0 ? left * this.#window : 0,
    }
  }

  /** The share of this window that has passed. */
  #elapsed(now: number): number {
    return now / this.#window - Math.floor(now / this.#window)
  }

  #current(key: string, now: number): number {
    const counts = this.#counts.peek(key)
    return counts?.window === Math.floor(now / this.#window) ? counts.current : 0
  }

  #previous(key: string, now: number): number {
    const counts = this.#counts.peek(key)
    const window = Math.floor(now / this.#window)
    if (counts?.window === window) return counts.previous
    return counts?.window === window - 1 ? counts.current : 0
  }

  /** ms until the overlap with the past has shrunk far enough for `cost` more. */
  #waitFor(current: number, previous: number, now: number, cost: number): number {
    const room = this.#limit - cost
    if (room < 0) return Infinity
    const elapsed = this.#elapsed(now)
    if (current + previous * (1 - elapsed) <= room + ROUNDING) return 0
    // Still within this window, if only the last one is in the way.
    if (current <= room) return (1 - (room - current) / previous - elapsed) * this.#window
    // Within the next one, where this window's calls are those of the last one.
    return (1 - elapsed + 1 - room / current) * this.#window
  }
}
