/** The times of a plan, in ms since the epoch. They depend on nothing but the plan, so that all nodes see the same. */
export interface Times {
  /** The first one behind `after`. */
  next(after: number): number
  /** The last one not behind `upTo`. */
  last(upTo: number): number
}

/** Times at equal distances from one. */
export class IntervalTimes implements Times {
  readonly #every: number
  readonly #anchor: number

  /**
   * @param every - ms
   * @param anchor - one of the times, past or future
   */
  constructor(every: number, anchor: number) {
    this.#every = every
    this.#anchor = anchor
  }

  next(after: number): number {
    return this.last(after) + this.#every
  }

  last(upTo: number): number {
    return this.#anchor + Math.floor((upTo - this.#anchor) / this.#every) * this.#every
  }
}
