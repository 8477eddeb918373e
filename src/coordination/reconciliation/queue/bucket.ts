/**
 * A token bucket whose tokens can be had ahead of their time, each for a longer wait. As the generic cell rate algorithm (ITU-T
 * I.371, annex A) in the form of a debt, which stays precise on a clock that has run for days: nothing is filled by a timer.
 */
export class Bucket {
  /** ms until the next token. */
  readonly #interval: number
  /** ms that a full bucket is worth. */
  readonly #depth: number
  /** How long it would have to fill to be full, at `#at`, in ms. */
  #debt = 0
  #at = 0

  /**
   * @param rate - tokens a second
   * @param burst - tokens of a full bucket
   */
  constructor(rate: number, burst: number) {
    this.#interval = 1000 / rate
    this.#depth = burst * this.#interval
  }

  /**
   * Takes a token.
   *
   * @returns ms until it is there
   */
  reserve(now: number): number {
    this.#debt = Math.max(0, this.#debt - (now - this.#at)) + this.#interval
    this.#at = now
    return Math.max(0, this.#debt - this.#depth)
  }
}
