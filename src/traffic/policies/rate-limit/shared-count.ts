import type { RateDecision, RateState } from './headers.js'

/** Where several processes count calls together. */
export interface RateStore {
  /**
   * Counts a call of `key`, if it is allowed. Atomic: what is allowed, anywhere, is within the limit.
   *
   * @returns rejects if it cannot tell
   */
  take(key: string): Promise<RateDecision>
}

/** Asks a store, and remembers its last word on each key for whoever only looks. */
export class SharedCount {
  readonly #store: RateStore
  readonly #most: number
  readonly #last = new Map<string, { decision: RateDecision; at: number }>()

  /**
   * @param most - keys to remember
   */
  constructor(store: RateStore, most: number) {
    this.#store = store
    this.#most = most
  }

  async take(key: string, now: number): Promise<RateDecision> {
    const decision = await this.#store.take(key)
    this.#last.delete(key)
    if (this.#last.size >= this.#most) this.#last.delete(this.#last.keys().next().value!)
    this.#last.set(key, { decision, at: now })
    return decision
  }

  /** Where a key stood when the store was last asked, its times counted on to `now`. */
  last(key: string, now: number): RateState | undefined {
    const known = this.#last.get(key)
    if (!known) return undefined
    const passed = now - known.at
    const { name, limit, window, remaining, resetAfter, retryAfter } = known.decision
    return {
      name,
      limit,
      window,
      remaining,
      resetAfter: Math.max(0, resetAfter - passed),
      retryAfter: Math.max(0, retryAfter - passed),
    }
  }
}
