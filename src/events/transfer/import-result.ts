import type { Conflict, Position } from '../log.js'

/** What came of an import. */
export type ImportResult = Imported | ImportConflict

/** What an import did, or with `dryRun` would do. */
export interface ImportCounts {
  /** Events that were appended. */
  readonly events: number
  /** Commits that were appended. */
  readonly commits: number
  /** Events that were in the log before. */
  readonly duplicates: number
  /**
   * Events of the state that patterns keep in the log, such as ledgers of subscriptions: it speaks of positions, which are
   * others here, so it is not imported.
   */
  readonly skipped: number
  /** Of the last event that was appended, or that was there; `'0'` if the file has none, and of a dry run. */
  readonly position: Position
}

/** Everything is in the log. */
export interface Imported extends ImportCounts {
  readonly ok: true
}

/** Everything before a line is in the log; the commit of that line is not, as these streams are not as it expects. */
export interface ImportConflict extends ImportCounts {
  readonly ok: false
  readonly line: number
  readonly conflicts: readonly Conflict[]
}
