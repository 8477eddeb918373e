/** What a run is given. */
export interface JobContext {
  /** Of the job. */
  readonly name: string
  /** The time it is for, in ms since the epoch: not when it starts, and the same for each try. If it was asked for, when. */
  readonly scheduledFor: number
  /** 1, then 2 for the second try of this time. */
  readonly attempt: number
  /** A fencing token: higher than that of every run of this job before. */
  readonly token: number
  /** Aborts when the run has to end: its time is over, its lease is lost, or its scheduler is closed. */
  readonly signal: AbortSignal
  /**
   * Whether it may go on at this moment, by the clock, however long the event loop was blocked. To be asked before each
   * thing that must not be done twice.
   *
   * @throws `BANYAN_LEASE_LOST`, `BANYAN_JOB_STOPPED`
   */
  readonly check: () => void
}
