import type { Clock } from '../../core/clock.js'

/**
 * Where quotas are counted. One node counts in its own memory; nodes that share a store share their quotas.
 *
 * Laws:
 * - `take` is atomic: of any number of takes of one key, at the same time and from anywhere, `limit` succeed.
 * - A count is forgotten some time after `until`, never before.
 */
export interface QuotaStore {
  /**
   * Counts one request, if that is within the limit.
   *
   * @param key - whose requests in which period; the same key always comes with the same `until`
   * @param until - end of the period, in ms since the Unix epoch
   * @returns whether it was counted, and how many are, with this one; rejects if it cannot be told
   */
  take(key: string, limit: number, until: number): Promise<QuotaCount> | QuotaCount
}

export interface QuotaCount {
  readonly taken: boolean
  readonly used: number
}

/** Counts held at most; for one more, the one that was not used for longest is forgotten. */
const MOST_COUNTS = 1_000_000

/** How often counts of periods that are over are looked for, in ms. */
const SWEEP_MS = 60_000

/** Counts in this process: gone when it ends, and its own. */
export class MemoryQuotaStore implements QuotaStore {
  readonly #clock: Clock
  readonly #most: number
  readonly #counts = new Map<string, { used: number; until: number }>()
  #sweptAt = 0

  constructor(clock: Clock, most: number = MOST_COUNTS) {
    this.#clock = clock
    this.#most = most
  }

  /** Counts held. */
  get size(): number {
    return this.#counts.size
  }

  take(key: string, limit: number, until: number): QuotaCount {
    const now = this.#clock.wall()
    if (now - this.#sweptAt >= SWEEP_MS) this.#sweep(now)
    const count = this.#counts.get(key) ?? { used: 0, until }
    // In the order of use, so that the first is the one that was not used for longest.
    this.#counts.delete(key)
    if (this.#counts.size >= this.#most) this.#counts.delete(this.#counts.keys().next().value!)
    this.#counts.set(key, count)
    const taken = count.used < limit
    if (taken) count.used++
    return { taken, used: count.used }
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const [key, { until }] of this.#counts) if (until <= now) this.#counts.delete(key)
  }
}
