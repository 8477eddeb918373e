import type { Clock, Timer } from '../../core/clock.js'

/** How often deadlines of connections are looked at, in ms; they may be late by as much. */
const INTERVAL_MS = 500

/** Something with a deadline that moves with every byte. */
export interface Sweepable {
  /** When to expire, in ms on the scale of {@link Sweeper.now}; `Infinity` for never. */
  deadline: number
  expire(): void
}

/**
 * Watches the idle deadlines of many connections with one timer. A deadline that moves with every byte must cost
 * next to nothing to move; here it is the assignment of a number, on a clock that is read twice a second.
 */
export class Sweeper {
  readonly #clock: Clock
  readonly #members = new Set<Sweepable>()
  #timer: Timer | undefined = undefined
  #coarse: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#coarse = clock.now()
  }

  /** The time, at most half a second late. */
  get now(): number {
    // While nobody is watched, nobody keeps the coarse time up to date.
    return this.#timer ? this.#coarse : this.#clock.now()
  }

  /** A deadline `ms` from now, never early. */
  after(ms: number): number {
    return this.now + INTERVAL_MS + ms
  }

  add(member: Sweepable): void {
    if (!this.#timer) this.#schedule()
    this.#members.add(member)
  }

  delete(member: Sweepable): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #schedule(): void {
    this.#coarse = this.#clock.now()
    this.#timer = this.#clock.schedule(this.#coarse + INTERVAL_MS, () => {
      this.#timer = undefined
      this.#sweep()
    })
  }

  #sweep(): void {
    const now = this.#clock.now()
    for (const member of this.#members) {
      if (member.deadline > now) continue
      member.deadline = Infinity
      member.expire()
    }
    if (this.#members.size > 0) this.#schedule()
  }
}
