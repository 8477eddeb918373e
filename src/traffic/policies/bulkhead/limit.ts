/** How a call ended, as far as it tells about load. */
export type Outcome =
  /** With a result. */
  | 'done'
  /** In a way that overload makes calls end: an error, a timeout, a value judged a failure. */
  | 'dropped'
  /** Its caller gave it up: it would have taken at least this long. */
  | 'abandoned'

/** A concurrency limit that finds itself by how calls end. */
export interface Limit {
  /** How many calls may be under way now, a whole number. */
  readonly current: number

  /**
   * A call has ended.
   *
   * @param now - ms
   * @param startedAt - when it began, ms
   * @param inFlight - calls that were under way when it ended, itself included
   */
  observe(now: number, startedAt: number, inFlight: number, outcome: Outcome): void
}
