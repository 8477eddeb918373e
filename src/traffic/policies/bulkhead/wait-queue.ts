import type { Timer } from '../../../core/clock.js'
import type { Call } from '../../policy.js'

/** A call that waits for a slot; a member of a doubly linked list. */
export class Waiter {
  readonly call: Call
  readonly start: () => void
  readonly refuse: (error: unknown) => void
  readonly since: number
  /** Ends the wait when it has become too long. */
  timer: Timer | undefined = undefined
  /** Stops listening to the caller's cancellation. */
  forget: (() => void) | undefined = undefined
  older: Waiter | undefined = undefined
  newer: Waiter | undefined = undefined

  constructor(call: Call, since: number, start: () => void, refuse: (error: unknown) => void) {
    this.call = call
    this.since = since
    this.start = start
    this.refuse = refuse
  }
}

/** Waiting calls by age; joining and leaving anywhere cost the same however many wait. */
export class WaitQueue {
  size = 0
  #oldest: Waiter | undefined = undefined
  #newest: Waiter | undefined = undefined

  join(waiter: Waiter): void {
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

  /** Takes out the one whose turn it is. */
  take(newestFirst: boolean): Waiter | undefined {
    const waiter = newestFirst ? this.#newest : this.#oldest
    if (waiter) this.leave(waiter)
    return waiter
  }
}
