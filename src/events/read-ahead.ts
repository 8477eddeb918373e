import type { Clock } from '../core/clock.js'
import type { Page } from './driver.js'

/** Smaller pages are not worth it. */
const PAGE_EVENTS = 256
/** What was read ahead is thrown away when it is this old, in ms: what is truncated must not come out long after. */
const STALE_MS = 100
/** Whoever reads much lets the event loop turn at least so often, in ms; some engines answer without. */
const TURN_MS = 5

/** Reads the next page while the present one is handled. */
export class ReadAhead<Result extends Page | undefined> {
  readonly #clock: Clock
  /** When the event loop turned, at the latest. */
  #turned: number
  #goesOn = false
  #next: { readonly at: number; readonly page: Promise<Result> } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#turned = clock.now()
  }

  /** To be called with a page that is not the last. Begins to read the next one, if so many events are worth it. */
  begin(limit: number, read: () => Promise<Result>): void {
    this.#goesOn = true
    if (limit < PAGE_EVENTS) return
    const page = read()
    // Its failure concerns only whoever still asks.
    page.catch(() => undefined)
    this.#next = { at: this.#clock.now(), page }
  }

  /** What was begun, or what is read now. */
  async take(read: () => Promise<Result>): Promise<Result> {
    const next = this.#next
    this.#next = undefined
    const now = this.#clock.now()
    if (!this.#goesOn) this.#turned = now
    this.#goesOn = false
    if (now - this.#turned >= TURN_MS) {
      this.#turned = now
      await new Promise((resolve) => setImmediate(resolve))
    }
    return next && now - next.at < STALE_MS ? next.page : read()
  }
}
