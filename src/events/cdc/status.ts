/**
 * What a capture does. `waiting`: another process captures under this name. `retrying`: source or log cannot be used at the
 * moment, or something is to be mended; it is tried again without end. `needs-snapshot`: the slot is lost, or the database is
 * another one; somebody has to ask for a new snapshot.
 */
export type CaptureStateName =
  'connecting' | 'waiting' | 'snapshot' | 'streaming' | 'retrying' | 'needs-snapshot' | 'closed'

/** How a capture is doing, as far as this process knows. */
export interface CaptureStatus {
  readonly name: string
  /** The database, without user and password. */
  readonly source: string
  readonly state: CaptureStateName
  /** Number of the last snapshot; 0 before the first. */
  readonly generation: number
  /** Whatever was committed before this place of the source's write-ahead log is in the log. */
  readonly lsn: string
  /** Write-ahead log that the source keeps, in bytes; undefined as long as it cannot be asked. */
  readonly lagBytes: number | undefined
  /** How long ago the oldest change was committed that is not in the log, in ms; 0 if all are. */
  readonly lagMs: number
  /** Changes that this process has taken. */
  readonly rows: number
  /** Rows of snapshots that this process has taken. */
  readonly snapshotRows: number
  /** Rows that are parked, and how many streams wait for them. */
  readonly parked: number
  readonly waitingStreams: number
  /** The snapshot that is being taken. */
  readonly snapshot: { readonly table: string; readonly rows: number } | undefined
  /** What is wrong, and what to do; the gravest of `errors`. */
  readonly error: { readonly code: string; readonly message: string } | undefined
  /** Everything that is wrong: also that the source keeps more of its log than `maxLag`, whatever else is. */
  readonly errors: readonly { readonly code: string; readonly message: string }[]
  readonly tables: readonly { readonly table: string; readonly topic: string }[]
}

/** What came of discarding parked rows: also of those that had waited behind them, which are tried at once. */
export interface Discarded extends Retried {
  /** Rows that are gone for good. */
  readonly discarded: number
}

/** What came of a retry of parked rows. */
export interface Retried {
  /** Rows that have gone where they belong. */
  readonly released: number
  /** Rows that are parked still. */
  readonly parked: number
}
