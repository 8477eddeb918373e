import { sleep, type Clock } from '../../../../core/clock.js'

/** How fast rows are copied, and in which pages. */
export class Pace {
  readonly #clock: Clock
  readonly #rate: number
  readonly #signal: AbortSignal
  readonly #hold: (() => boolean | Promise<boolean>) | undefined
  /** When what was copied so far may have been, at this rate. */
  #until = 0

  constructor(
    clock: Clock,
    rate: number,
    hold: (() => boolean | Promise<boolean>) | undefined,
    signal: AbortSignal,
  ) {
    this.#clock = clock
    this.#rate = rate
    this.#hold = hold
    this.#signal = signal
  }

  /** Waits as long as so many rows may take, and as long as it is held. */
  async copied(rows: number): Promise<void> {
    const now = this.#clock.now()
    this.#until = Math.max(this.#until, now) + (rows / this.#rate) * 1000
    const wait = this.#until - now
    if (wait >= 1) await sleep(this.#clock, wait, this.#signal)
    while (await this.#hold?.()) await sleep(this.#clock, HOLD_MS, this.#signal)
  }
}

/** Between two looks whether it is still held. */
const HOLD_MS = 100
/** What a page holds about, in bytes: what is in memory of a copy. */
const PAGE_BYTES = 4 * 2 ** 20

/** How many rows the next page should have, by those of the last one. */
export function pageOf(most: number, rows: readonly { readonly size: number }[]): number {
  if (rows.length === 0) return Math.min(most, FIRST_PAGE)
  const size = rows.reduce((sum, row) => sum + row.size, 0) / rows.length
  return Math.max(1, Math.min(most, Math.floor(PAGE_BYTES / Math.max(1, size))))
}

/** Rows of the first page, before it is known how large they are. */
const FIRST_PAGE = 100
