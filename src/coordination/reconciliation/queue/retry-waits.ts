import { backoffWait, type Growth, type Jitter } from '../../../core/backoff.js'
import type { Random } from '../../../core/random.js'
import type { Bucket } from './bucket.js'

/**
 * How long each key waits for its next try: the longer of what its own failures ask for, and of what is left for all keys together.
 */
export class RetryWaits {
  readonly #growth: Growth
  readonly #jitter: Jitter
  readonly #bucket: Bucket | undefined
  readonly #random: Random
  readonly #failures = new Map<string, number>()

  constructor(growth: Growth, jitter: Jitter, bucket: Bucket | undefined, random: Random) {
    this.#growth = growth
    this.#jitter = jitter
    this.#bucket = bucket
    this.#random = random
  }

  /**
   * Counts a failure.
   *
   * @returns ms
   */
  next(key: string, now: number): number {
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    const own = backoffWait(this.#growth, failures, this.#jitter, this.#random)
    return this.#bucket ? Math.max(own, this.#bucket.reserve(now)) : own
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }
}
