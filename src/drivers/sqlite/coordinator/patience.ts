import type { Clock } from '../../../core/clock.js'
import type { Maybe } from '../../../core/maybe.js'
import { isBusy } from './faults.js'

/**
 * How long this thread waits for another process at most before it lets the event loop go on, in ms: a change takes less than a
 * tenth of a millisecond, and what comes next is a timer's millisecond.
 */
const PAUSES_MS = [0.05, 0.1, 0.2]
/** Between tries after that, in ms. */
const RETRY_MS = 1
/** The event loop turns at least so often, however much there is to do, in ms. */
const TURN_MS = 5

interface Waiting {
  /** Whether it is done with. */
  try(): boolean
  fail(error: unknown): void
}

/** Does work at once if no other process is in the way, and else as soon as none is, in turn. Lets the event loop turn. */
export class Patience {
  readonly #clock: Clock
  #line: Waiting[] = []
  /** When the first was done in this turn of the event loop. */
  #turn: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param work - is done again after it has thrown that the file is locked
   * @param patience - ms after which that is thrown on
   */
  do<Result>(work: () => Result, patience: number): Maybe<Result> {
    if (this.#line.length > 0 || this.#turnIsOver()) return this.#wait(work, patience)
    for (const pause of PAUSES_MS)
      try {
        return work()
      } catch (error) {
        if (!isBusy(error)) throw error
        sleepHere(pause)
      }
    return this.#wait(work, patience)
  }

  /** What waits is not done any more. */
  close(why: Error): void {
    for (const waiting of this.#line.splice(0)) waiting.fail(why)
  }

  #wait<Result>(work: () => Result, patience: number): Promise<Result> {
    const until = this.#clock.now() + patience
    return new Promise((resolve, reject) => {
      this.#line.push({
        try: () => {
          try {
            resolve(work())
          } catch (error) {
            if (isBusy(error) && this.#clock.now() < until) return false
            reject(error)
          }
          return true
        },
        fail: reject,
      })
      if (this.#line.length === 1) setImmediate(this.#next)
    })
  }

  /** Those who wait, one after another, until somebody is in the way or the event loop should turn. */
  readonly #next = (): void => {
    for (let [first] = this.#line; first; [first] = this.#line)
      if (this.#turnIsOver()) {
        setImmediate(this.#next)
        return
      } else if (first.try()) this.#line.shift()
      else {
        this.#clock.schedule(this.#clock.now() + RETRY_MS, this.#next)
        return
      }
  }

  #turnIsOver(): boolean {
    const now = this.#clock.now()
    if (this.#turn !== undefined) return now - this.#turn >= TURN_MS
    this.#turn = now
    setImmediate(() => (this.#turn = undefined))
    return false
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

function sleepHere(ms: number): void {
  Atomics.wait(NEVER, 0, 0, ms)
}
