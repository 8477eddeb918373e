import type { Clock } from '../../core/clock.js'

/** Somebody who waits for a projection. */
export interface Wait {
  /** Resolves when it has moved since {@link Waiting.begin}, after this time, or when the signal aborts. */
  within(ms: number, signal?: AbortSignal): Promise<void>
  end(): void
}

/** Those of this process who wait for projections to move; what other processes do they find out by looking. */
export class Waiting {
  readonly #clock: Clock
  readonly #waits = new Map<string, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly moved = (name: string): void => {
    for (const wake of this.#waits.get(name) ?? []) wake()
  }

  begin(name: string): Wait {
    let hasMoved = false
    let wake = (): void => {
      hasMoved = true
    }
    const call = (): void => wake()
    const waits = this.#waits.get(name) ?? new Set()
    waits.add(call)
    this.#waits.set(name, waits)
    return {
      within: (ms, signal) =>
        new Promise((resolve) => {
          const end = (): void => {
            timer.cancel()
            signal?.removeEventListener('abort', end)
            resolve()
          }
          const timer = this.#clock.schedule(this.#clock.now() + ms, end)
          signal?.addEventListener('abort', end, { once: true })
          wake = end
          if (hasMoved || signal?.aborted) end()
        }),
      end: () => {
        waits.delete(call)
        if (waits.size === 0) this.#waits.delete(name)
      },
    }
  }
}
