import type { Clock } from '../core/clock.js'
import type { Page } from './driver.js'

/** Smaller pages are not worth it. */
const PAGE_EVENTS = 256
/** What was read ahead is thrown away when it is this old, in ms: what is truncated must not come out long after. */
const STALE_MS = 100

/** Reads the next page while the present one is handled. */
export class ReadAhead<Result extends Page | undefined> {
  readonly #clock: Clock
  #next: { readonly at: number; readonly page: Promise<Result> } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins to read the next page, if so many events are worth it. */
  begin(limit: number, read: () => Promise<Result>): void {
    if (limit < PAGE_EVENTS) return
    const page = read()
    // Its failure concerns only whoever still asks.
    page.catch(() => undefined)
    this.#next = { at: this.#clock.now(), page }
  }

  /** What was begun, or what is read now. */
  take(read: () => Promise<Result>): Promise<Result> {
    const next = this.#next
    this.#next = undefined
    return next && this.#clock.now() - next.at < STALE_MS ? next.page : read()
  }
}
