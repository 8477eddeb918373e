import { sleep, type Clock } from '../../core/clock.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { openView, type View } from '../../coordination/view/view.js'

/** Changes within this time are told together, in ms. */
const GATHER_MS = 50
/** What is read is so old at most, in ms: some of it tells of time that has passed. */
const FRESH_MS = 5000
/** Whoever waits looks up at least so often, in ms. */
const PAUSE_MS = 1000

/**
 * Reads what keys say for all who watch it: again when one of the keys has changed, which the coordinator tells at once. Watches
 * only while somebody waits.
 */
export class KeysWatch<Status> {
  readonly clock: Clock
  readonly #coordinator: Coordinator
  readonly #prefixes: readonly string[]
  readonly #read: () => Promise<readonly Status[]>
  readonly #waiting = new Set<() => void>()
  #views: readonly View[] = []
  #watchers = 0
  #seen: Promise<readonly Status[]> | undefined
  #freshUntil = -Infinity
  #isGathering = false
  /** Whether something has changed since it was read. */
  #isNew = false

  /**
   * @param prefixes - of the keys that it is about
   * @param read - what they say
   */
  constructor(coordinator: Coordinator, prefixes: readonly string[], read: () => Promise<readonly Status[]>) {
    this.clock = coordinator.runtime.clock
    this.#coordinator = coordinator
    this.#prefixes = prefixes
    this.#read = read
  }

  /** Begins to watch; what it returns ends that. */
  join(): () => void {
    if (this.#watchers++ === 0) this.#open()
    return () => {
      if (--this.#watchers === 0) this.#close()
    }
  }

  /** What the keys say, as of their last change that is known. */
  now(): Promise<readonly Status[]> {
    const { clock } = this
    if (this.#seen && clock.now() < this.#freshUntil) return this.#seen
    this.#freshUntil = clock.now() + FRESH_MS
    this.#isNew = false
    const seen = this.#read()
    // What has failed is asked for again by whoever comes next.
    seen.catch(() => this.#forget(seen))
    return (this.#seen = seen)
  }

  /** When there may be something new. */
  async pause(signal: AbortSignal): Promise<void> {
    if (this.#isNew) return
    const woken = new AbortController()
    const wake = (): void => woken.abort()
    this.#waiting.add(wake)
    await sleep(this.clock, PAUSE_MS, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
    this.#waiting.delete(wake)
  }

  #open(): void {
    this.#seen = undefined
    this.#views = this.#prefixes.map((prefix) => openView(this.#coordinator, prefix))
    for (const view of this.#views)
      for (const event of ['change', 'stale', 'fresh'] as const) view.on(event, () => this.#changed())
  }

  #close(): void {
    for (const view of this.#views) void view.close()
    this.#views = []
    this.#seen = undefined
  }

  #changed(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.clock.schedule(this.clock.now() + GATHER_MS, () => {
      this.#isGathering = false
      this.#seen = undefined
      this.#isNew = true
      for (const wake of this.#waiting) wake()
    })
  }

  #forget(seen: Promise<readonly Status[]>): void {
    if (this.#seen === seen) this.#seen = undefined
  }
}
