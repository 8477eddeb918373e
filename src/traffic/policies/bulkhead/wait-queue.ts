import type { Timer } from '../../../core/clock.js'
import type { Call } from '../../policy.js'

/** A call that waits for a slot; a member of a doubly linked list. */
export class Waiter {
  readonly call: Call
  /** When it joined, ms. */
  readonly since: number
  /** When its wait ends at the latest, ms. */
  readonly until: number
  readonly start: (now: number) => void
  readonly refuse: (error: unknown) => void
  /** Ends the wait at `until`. */
  timer: Timer | undefined = undefined
  /** Stops listening to the caller's cancellation. */
  forget: (() => void) | undefined = undefined
  older: Waiter | undefined = undefined
  newer: Waiter | undefined = undefined

  constructor(
    call: Call,
    since: number,
    until: number,
    start: (now: number) => void,
    refuse: (error: unknown) => void,
  ) {
    this.call = call
    this.since = since
    this.until = until
    this.start = start
    this.refuse = refuse
  }
}

/** Waiting calls by age; joining and leaving anywhere cost the same however many wait. */
export class WaitQueue {
  size = 0
  /** Since when somebody has been waiting without a break, ms; of no meaning while nobody waits. */
  busySince = 0
  #oldest: Waiter | undefined = undefined
  #newest: Waiter | undefined = undefined

  join(waiter: Waiter): void {
    if (this.size === 0) this.busySince = waiter.since
    waiter.older = this.#newest
    if (this.#newest) this.#newest.newer = waiter
    else this.#oldest = waiter
    this.#newest = waiter
    this.size++
  }

  /** Takes one out and ends everything that could end its wait. */
  leave(waiter: Waiter): void {
    const { older, newer } = waiter
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
    waiter.older = waiter.newer = undefined
    waiter.timer?.cancel()
    waiter.forget?.()
    this.size--
  }

  takeOldest(): Waiter | undefined {
    const waiter = this.#oldest
    if (waiter) this.leave(waiter)
    return waiter
  }

  takeNewest(): Waiter | undefined {
    const waiter = this.#newest
    if (waiter) this.leave(waiter)
    return waiter
  }
}
