import { isPromise } from '../core/maybe.js'
import { workFor } from '../core/within.js'

/** Work that was begun while something was held, and has to end before somebody else may have that. */
export class GuardedWork {
  readonly #working = new Set<Promise<unknown>>()

  /** @param holding - what it is done for: whatever comes of it is part of the work for that */
  run<Result>(holding: object, work: () => Result): Result {
    const result = workFor(holding, work)
    if (isPromise(result)) {
      this.#working.add(result)
      const done = (): void => void this.#working.delete(result)
      result.then(done, done)
    }
    return result
  }

  /** Resolves when none is left. */
  async settled(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working)
  }
}
