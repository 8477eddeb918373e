import type { Clock, Timer } from '../core/clock.js'
import { duration, type Duration } from '../core/duration.js'
import { seededRandom } from '../core/random.js'
import type { Runtime } from '../core/runtime.js'
import { noTelemetry, type Telemetry } from '../core/telemetry.js'

/** A clock that stands still until it is told to move. */
export interface VirtualClock extends Clock {
  /**
   * Moves time forward, firing every timer on the way at its own instant, in order; after each one everything that
   * it set in motion runs as far as it can without time.
   */
  advance(by: Duration): Promise<void>

  /**
   * Moves time forward from timer to timer until `result` settles.
   *
   * @returns what `result` resolves to
   * @throws what `result` rejects with; or an `Error` if no timer is left that could settle it
   */
  settle<T>(result: PromiseLike<T>): Promise<T>

  /** How many timers wait. */
  readonly pending: number
}

interface Waiting {
  at: number
  sequence: number
  callback: () => void
}

/**
 * A clock for tests and simulations: hours pass in microseconds, and the same test runs the same way every time.
 *
 * @param options.start - the first `now()`, in ms; default 0
 * @param options.wall - the first `wall()`, in ms since the epoch; default 2026-01-01
 */
export function virtualClock(options: { start?: number; wall?: number } = {}): VirtualClock {
  const start = options.start ?? 0
  const wallStart = options.wall ?? Date.UTC(2026, 0, 1)
  let now = start
  let sequence = 0
  const waiting = new Set<Waiting>()

  const earliest = (): Waiting | undefined => {
    let first: Waiting | undefined
    for (const timer of waiting) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.sequence < first.sequence))
        first = timer
    }
    return first
  }

  const fire = async (timer: Waiting): Promise<void> => {
    waiting.delete(timer)
    now = Math.max(now, timer.at)
    timer.callback()
    await quiet()
  }

  return {
    now: () => now,
    wall: () => wallStart + (now - start),
    schedule(at: number, callback: () => void): Timer {
      const timer = { at: Math.max(at, now), sequence: sequence++, callback }
      waiting.add(timer)
      return { cancel: () => void waiting.delete(timer) }
    },
    async advance(by: Duration): Promise<void> {
      const until = now + duration(by)
      await quiet()
      for (let timer = earliest(); timer && timer.at <= until; timer = earliest()) await fire(timer)
      now = until
    },
    async settle<T>(result: PromiseLike<T>): Promise<T> {
      const state = { settled: false }
      const done = (): void => {
        state.settled = true
      }
      result.then(done, done)
      await quiet()
      for (let turns = 0; !state.settled;) {
        const timer = earliest()
        if (timer) {
          turns = 0
          await fire(timer)
        } else if (++turns < LAST_TURNS) await quiet()
        else throw new Error('virtualClock: no timer is left, and the result has not settled')
      }
      return await result
    },
    get pending() {
      return waiting.size
    },
  }
}

/** Turns of the event loop that a result may take when no timer is left: a log hands groups over in turns of their own. */
const LAST_TURNS = 100

/** Lets every promise that can go on do so; one turn of the event loop, no time. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A {@link Runtime} on virtual time and seeded chance. */
export interface VirtualRuntime extends Runtime {
  readonly clock: VirtualClock
}

/**
 * Everything a pattern takes from the world, under the test's control.
 *
 * @param options.seed - seed of the random source; default 1
 * @param options.telemetry - where reports go; default nowhere
 */
export function virtualRuntime(options: { seed?: number; telemetry?: Telemetry } = {}): VirtualRuntime {
  return {
    clock: virtualClock(),
    random: seededRandom(options.seed ?? 1),
    telemetry: options.telemetry ?? noTelemetry,
  }
}
