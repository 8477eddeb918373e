/** What a limit says about one call. */
export interface RateDecision {
  allowed: boolean
  /** Calls that may still come now. */
  remaining: number
  /** ms until everything is available again. */
  resetAfter: number
  /** ms until a call would be allowed; 0 if one is now. */
  retryAfter: number
}

/** A limit over many keys. Holds a little for each key that was used lately. */
export interface Limiter {
  /**
   * @param cost - how many calls this one counts for; 0 only looks
   */
  take(key: string, now: number, cost: number): RateDecision
  /** Keys held. */
  readonly size: number
}

/** A map that forgets the key that was not used for longest when it is full. */
class LastUsed<V> {
  readonly #entries = new Map<string, V>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: V): void {
    // One key, the usual case for a limit that is not keyed, has no order to keep.
    if (this.#entries.size > 1) this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#most) this.#entries.delete(this.#entries.keys().next().value!)
  }
}

/**
 * Token bucket as the generic cell rate algorithm (ITU-T I.371): one instant per key, the time at which its bucket
 * will be full again. In any time t at most `burst + t x limit / window` calls are allowed.
 */
export class TokenBucket implements Limiter {
  /** ms that one call takes from the bucket. */
  readonly #interval: number
  /** ms that a full bucket is worth. */
  readonly #depth: number
  readonly #fullAt: LastUsed<number>

  constructor(limit: number, window: number, burst: number, maxKeys: number) {
    this.#interval = window / limit
    this.#depth = this.#interval * burst
    this.#fullAt = new LastUsed(maxKeys)
  }

  get size(): number {
    return this.#fullAt.size
  }

  take(key: string, now: number, cost: number): RateDecision {
    const fullAt = Math.max(now, this.#fullAt.get(key) ?? 0)
    const after = fullAt + this.#interval * cost
    // A hair of tolerance: sums of fractions of a ms must not make the last call of a full bucket fail.
    const allowed = after - now <= this.#depth + 1e-6
    if (allowed && cost > 0) this.#fullAt.set(key, after)
    const used = allowed ? after : fullAt
    return {
      allowed,
      remaining: Math.max(0, Math.floor((this.#depth - (used - now)) / this.#interval + 1e-6)),
      resetAfter: used - now,
      retryAfter: Math.max(0, used + this.#interval * Math.max(1, cost) - now - this.#depth),
    }
  }
}

interface Counts {
  window: number
  current: number
  previous: number
}

/**
 * Sliding window counter (as at Cloudflare): this window's calls, and the last window's as far as it still overlaps,
 * taking them for evenly spread. Exact for even traffic; in any one window at most twice the limit is allowed, when
 * all calls of the last one came at its very beginning.
 */
export class SlidingWindow implements Limiter {
  readonly #limit: number
  readonly #window: number
  readonly #counts: LastUsed<Counts>

  constructor(limit: number, window: number, maxKeys: number) {
    this.#limit = limit
    this.#window = window
    this.#counts = new LastUsed(maxKeys)
  }

  get size(): number {
    return this.#counts.size
  }

  take(key: string, now: number, cost: number): RateDecision {
    const number = Math.floor(now / this.#window)
    const known = this.#counts.get(key)
    const counts: Counts =
      known?.window === number
        ? known
        : { window: number, current: 0, previous: known?.window === number - 1 ? known.current : 0 }
    const elapsed = now / this.#window - number
    const used = counts.current + counts.previous * (1 - elapsed)
    const allowed = used + cost <= this.#limit + 1e-6
    if (allowed && cost > 0) {
      counts.current += cost
      this.#counts.set(key, counts)
    }
    const left = this.#limit - used - (allowed ? cost : 0)
    return {
      allowed,
      remaining: Math.max(0, Math.floor(left + 1e-6)),
      resetAfter: (2 - elapsed) * this.#window * (counts.current > 0 ? 1 : counts.previous > 0 ? 0.5 : 0),
      retryAfter: this.#retryAfter(counts, elapsed, Math.max(1, cost)),
    }
  }

  /** ms until the overlap with the past has shrunk far enough for `cost` more. */
  #retryAfter({ current, previous }: Counts, elapsed: number, cost: number): number {
    const room = this.#limit - cost
    if (current + previous * (1 - elapsed) <= room + 1e-6) return 0
    // Still within this window, if only the previous one is in the way.
    if (current <= room && previous > 0) {
      const share = 1 - (room - current) / previous
      if (share <= 1) return (share - elapsed) * this.#window
    }
    // Within the next one, where this window's calls are the previous ones.
    const share = current === 0 ? 0 : Math.max(0, 1 - room / current)
    return (1 - elapsed + share) * this.#window
  }
}
