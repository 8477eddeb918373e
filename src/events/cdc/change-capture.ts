import type { ParkedChange, ParkedSelection } from './parking.js'
import type { CaptureStatus, Discarded, Retried } from './status.js'

/** Changes of a database that become events, as long as it is open. */
export interface ChangeCapture extends AsyncDisposable {
  readonly name: string
  /** Resolves when it was closed; rejects if it cannot go on, as the log was closed or is damaged. */
  readonly ended: Promise<void>
  status(): CaptureStatus
  /** Resolves when everything that was committed at the source before is in the log, or parked. */
  caughtUp(): Promise<void>
  /**
   * Takes a new snapshot: every row, and deletions of those that the tables have no more; resolves when it is complete. What
   * was changed since the last captured place and the beginning of the snapshot comes as its outcome only, and rows that are
   * parked are discarded: the snapshot supersedes them.
   */
  resnapshot(): Promise<void>
  /** Rows that are parked, in their order. */
  parked(): AsyncIterable<ParkedChange>
  /** Tries parked rows again, in their order. */
  retryParked(): Promise<Retried>
  /**
   * Throws parked rows away for good, and tries what has waited behind them. The log has no event of them then: the stream of
   * such a row is as the table again with its next change, or a new snapshot.
   *
   * @throws `BANYAN_INVALID_OPTIONS`
   */
  discardParked(which: ParkedSelection): Promise<Discarded>
  /** Stops here; the slot stays, and keeps the write-ahead log of the server for whoever goes on. */
  close(): Promise<void>
  /** Closes it for good: drops the slot and the publication, and forgets the state and what is parked. Events stay. */
  remove(): Promise<void>
}
