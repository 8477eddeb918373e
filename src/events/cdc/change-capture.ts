import type { ParkedChange } from './parking.js'
import type { CaptureStatus, Retried } from './status.js'

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
   * was changed since the last captured place and the beginning of the snapshot comes as its outcome only.
   */
  resnapshot(): Promise<void>
  /** Rows that are parked, in their order. */
  parked(): AsyncIterable<ParkedChange>
  /** Tries parked rows again, in their order. */
  retryParked(): Promise<Retried>
  /** Stops here; the slot stays, and keeps the write-ahead log of the server for whoever goes on. */
  close(): Promise<void>
  /** Closes it for good: drops the slot and the publication, and forgets the state and what is parked. Events stay. */
  remove(): Promise<void>
}
