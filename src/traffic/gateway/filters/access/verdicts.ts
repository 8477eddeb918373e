import { hash } from 'node:crypto'
import type { Clock } from '../../../../core/clock.js'

interface Kept<Verdict> {
  verdict: Verdict
  /** ms since the Unix epoch. */
  until: number
}

/**
 * Remembers what verification has said of credentials, for as long as that holds. Bounded: for one more, the verdict
 * that was asked for longest ago is forgotten. Holds no credentials, only their SHA-256.
 */
export class Verdicts<Verdict> {
  readonly #clock: Clock
  readonly #most: number
  readonly #kept = new Map<string, Kept<Verdict>>()

  /** @param most - verdicts held at the same time; 0 remembers nothing */
  constructor(most: number, clock: Clock) {
    this.#most = most
    this.#clock = clock
  }

  get size(): number {
    return this.#kept.size
  }

  get(digest: string): Verdict | undefined {
    const kept = this.#kept.get(digest)
    if (kept === undefined) return undefined
    this.#kept.delete(digest)
    if (kept.until <= this.#clock.wall()) return undefined
    this.#kept.set(digest, kept)
    return kept.verdict
  }

  /** @param until - ms since the Unix epoch; a time that has passed forgets */
  set(digest: string, verdict: Verdict, until: number): void {
    this.#kept.delete(digest)
    if (this.#most === 0 || until <= this.#clock.wall()) return
    if (this.#kept.size >= this.#most) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(digest, { verdict, until })
  }

  clear(): void {
    this.#kept.clear()
  }
}

/** What stands for credentials in memory: whoever reads it there cannot use it, and comparing tells nothing by its time. */
export function digestOf(credentials: string): string {
  return hash('sha256', credentials, 'base64url')
}
