import type { Clock } from '../../core/clock.js'
import type { SubjectKey } from './keys.js'

type Found = SubjectKey | 'forgotten' | undefined

/** Keys by subject, for a time, the least recently used ones dropped first. Who asks for one being loaded waits for it. */
export class KeyCache {
  readonly #limit: number
  readonly #time: number
  readonly #clock: Clock
  /** In order of their use. */
  readonly #keys = new Map<string, { readonly found: Found; readonly until: number }>()
  readonly #loading = new Map<string, Promise<Found>>()

  /** @param time - ms that a key stays */
  constructor(limit: number, time: number, clock: Clock) {
    this.#limit = limit
    this.#time = time
    this.#clock = clock
  }

  /** What is cached of a subject, or what `load` gives. */
  async get(subject: string, load: () => Promise<Found>): Promise<Found> {
    const cached = this.#keys.get(subject)
    if (cached && cached.until > this.#clock.now()) {
      this.#keys.delete(subject)
      this.#keys.set(subject, cached)
      return cached.found
    }
    const loading = this.#loading.get(subject)
    if (loading) return loading
    // Counted from before the store is asked: it may be deleted right after.
    const until = this.#clock.now() + this.#time
    const begun = load()
    this.#loading.set(subject, begun)
    try {
      const found = await begun
      if (this.#loading.get(subject) === begun) this.#keep(subject, found, until)
      return found
    } finally {
      if (this.#loading.get(subject) === begun) this.#loading.delete(subject)
    }
  }

  /** What is being loaded now may be what is being dropped: it is not kept either. */
  drop(subject: string): void {
    this.#keys.delete(subject)
    this.#loading.delete(subject)
  }

  clear(): void {
    this.#keys.clear()
    this.#loading.clear()
  }

  #keep(subject: string, found: Found, until: number): void {
    this.#keys.delete(subject)
    if (found === undefined || this.#limit === 0) return
    this.#keys.set(subject, { found, until: found === 'forgotten' ? Infinity : until })
    if (this.#keys.size > this.#limit)
      for (const oldest of this.#keys.keys()) return void this.#keys.delete(oldest)
  }
}
