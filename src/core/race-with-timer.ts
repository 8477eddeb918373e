import type { Clock } from './clock.js'

/** What {@link raceWithTimer} gives when the time has passed first. */
const PASSED = Symbol('passed')

/** The value of a promise, or the news that so many ms have passed before there was one. */
export function raceWithTimer<T>(clock: Clock, promise: Promise<T>, ms: number): Promise<T | typeof PASSED> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(clock.now() + ms, () => resolve(PASSED))
    promise.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error)
      },
    )
  })
}

/** Whether the time has passed first. */
export function isPassed(value: unknown): value is typeof PASSED {
  return value === PASSED
}
