import { Entry, Keys } from './keys.js'
import { ROUNDING, type Limiter, type Standing } from './limiter.js'

class Bucket extends Entry {
  /** How long it would have to fill to be full, at `at`, both in ms. */
  debt = 0
  at = 0
}

/**
 * Token bucket as the generic cell rate algorithm (ITU-T I.371, annex A): nothing is refilled by a timer, the time that
 * has passed is looked at when a call comes. Of the two equivalent forms of the standard this is the leaky bucket, whose
 * debt stays a small number: an instant on a clock that has run for days would lose the fractions of a fast rate.
 *
 * In any time t at most `burst + t x limit / window` calls are allowed.
 */
export class TokenBucket implements Limiter {
  readonly #burst: number
  /** ms that one call takes from the bucket. */
  readonly #interval: number
  /** ms that a full bucket is worth. */
  readonly #depth: number
  readonly #slack: number
  readonly #buckets: Keys<Bucket>

  constructor(limit: number, window: number, burst: number, maxKeys: number) {
    this.#burst = burst
    this.#interval = window / limit
    this.#depth = this.#interval * burst
    this.#slack = this.#interval * ROUNDING
    this.#buckets = new Keys(maxKeys, (key) => new Bucket(key))
  }

  get size(): number {
    return this.#buckets.size
  }

  take(key: string, now: number, cost: number): number {
    const bucket = this.#buckets.use(key)
    const debt = debtOf(bucket, now) + this.#interval * cost
    const wait = this.#waitFor(debt, cost)
    if (wait === 0) {
      bucket.debt = debt
      bucket.at = now
    }
    return wait
  }

  wait(key: string, now: number, cost: number): number {
    return this.#waitFor(debtOf(this.#buckets.peek(key), now) + this.#interval * cost, cost)
  }

  standing(key: string, now: number): Standing {
    const debt = debtOf(this.#buckets.peek(key), now)
    return {
      remaining: Math.max(0, Math.floor((this.#depth + this.#slack - debt) / this.#interval)),
      resetAfter: debt,
    }
  }

  /** ms until a call that would leave this debt is allowed. */
  #waitFor(debt: number, cost: number): number {
    if (cost > this.#burst) return Infinity
    const over = debt - this.#depth
    return over > this.#slack ? over : 0
  }
}

function debtOf(bucket: Bucket | undefined, now: number): number {
  return bucket ? Math.max(0, bucket.debt - (now - bucket.at)) : 0
}
