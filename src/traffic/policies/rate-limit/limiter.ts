/** Where a key stands. */
export interface Standing {
  /** Calls that may still come now. */
  remaining: number
  /** ms until everything is available again. */
  resetAfter: number
}

/** A limit over many keys. Holds a little for each key that was used lately. */
export interface Limiter {
  /** Keys held. */
  readonly size: number

  /**
   * Counts a call if it is allowed.
   *
   * @param cost - how many calls it counts for, above 0
   * @returns 0 if it is allowed; otherwise ms until it would be, `Infinity` if it costs more than there ever is
   */
  take(key: string, now: number, cost: number): number

  /** What `take` would return, without counting anything. */
  wait(key: string, now: number, cost: number): number

  standing(key: string, now: number): Standing
}

/** By how much of a call a count may be exceeded, so that rounding does not refuse the last call of many. */
export const ROUNDING = 1e-6
