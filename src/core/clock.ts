import { TimerWheel, WheelTimer } from './timer-wheel.js'

/** A scheduled callback that can be taken back. */
export interface Timer {
  /** Stops the callback from running. Does nothing if it ran or was cancelled before. */
  cancel(): void
}

/**
 * The one source of time. Everything in Banyan that waits or measures takes it from here, so that tests and
 * simulations decide how time goes (`virtualClock` in `banyan/testing`).
 */
export interface Clock {
  /** Milliseconds on a monotonic scale with an arbitrary start; never goes back, whatever happens to the wall clock. */
  now(): number

  /** Milliseconds since the Unix epoch, for people and protocols. Never used to measure. */
  wall(): number

  /**
   * Runs `callback` once, when `now()` has reached `at`; never early. A time that has passed means as soon as
   * possible, but not within this call.
   *
   * @param at - ms on the scale of `now()`
   */
  schedule(at: number, callback: () => void): Timer
}

/** Milliseconds of one tick of the system clock's wheel: no timer is late by more than this plus the event loop's own delay. */
const TICK_MS = 1

class SystemTimer extends WheelTimer implements Timer {
  readonly #clock: SystemClock

  constructor(clock: SystemClock, due: number, callback: () => void) {
    super(due, callback)
    this.#clock = clock
  }

  cancel(): void {
    this.#clock.cancel(this)
  }
}

/**
 * `performance.now()` and one timer wheel behind a single Node timer, however many timers wait. The process is
 * kept alive exactly while some timer waits.
 */
class SystemClock implements Clock {
  readonly #wheel = new TimerWheel(Math.floor(performance.now() / TICK_MS))
  #wake: NodeJS.Timeout | undefined
  #wakeTick = Infinity

  now(): number {
    return performance.now()
  }

  wall(): number {
    return Date.now()
  }

  schedule(at: number, callback: () => void): Timer {
    const timer = new SystemTimer(this, Math.ceil(at / TICK_MS), callback)
    this.#wheel.add(timer)
    if (timer.due < this.#wakeTick) this.#sleepUntil(timer.due)
    else if (this.#wheel.size === 1) this.#wake?.ref()
    return timer
  }

  cancel(timer: SystemTimer): void {
    // The wake-up stays: under load the next timeout will want it, and setting Node's timer is what costs.
    if (this.#wheel.remove(timer) && this.#wheel.size === 0) this.#wake?.unref()
  }

  #sleepUntil(tick: number): void {
    clearTimeout(this.#wake)
    this.#wakeTick = tick
    // A timeout above 2^31 ms fires at once in Node; waking early is harmless.
    const delay = Math.min(Math.max(1, Math.ceil(tick * TICK_MS - this.now())), 2 ** 31 - 1)
    this.#wake = setTimeout(this.#run, delay)
  }

  readonly #run = (): void => {
    this.#wakeTick = Infinity
    this.#wake = undefined
    try {
      this.#wheel.advance(Math.floor(this.now() / TICK_MS))
    } finally {
      // Also after a callback threw: the others must not wait for ever.
      const next = this.#wheel.nextTick()
      if (next !== undefined && next < this.#wakeTick) this.#sleepUntil(next)
    }
  }
}

/** Real time. */
export const systemClock: Clock = new SystemClock()

/**
 * Waits.
 *
 * @param ms - how long, in ms
 * @param signal - ends the wait early
 * @returns resolves after `ms`; rejects with the signal's reason if that is aborted first
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.schedule(clock.now() + ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
