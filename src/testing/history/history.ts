import type { Expected, Position, Selector } from '../../events/log.js'

/**
 * What happened to a log, as those who used it saw it: what writers tried and were told, what followers were given,
 * and what is in the log at the end.
 */
export interface History {
  readonly attempts: readonly Attempt[]
  readonly follows: readonly FollowerRun[]
  /** The log at the end, read from its start; see {@link loggedEvents}. */
  readonly log: readonly SeenEvent[]
  /** Events up to this position may have been truncated on purpose; default none. */
  readonly truncated?: Position
  /** Lines that a process left unfinished when it was killed; see {@link readHistory}. */
  readonly unreadable?: number
}

/** One try of an append. The same commit may be tried again: that is another attempt with the same commit id. */
export interface Attempt {
  readonly writer: string
  readonly commit: string
  readonly streams: readonly AttemptedStream[]
  /** When it began, in ms on a clock that all writers share. */
  readonly began: number
  /** When its answer came; missing if it never did. */
  readonly ended?: number
  /**
   * `ok`: appended, acknowledged. `conflict` and `failed`: certainly not appended. `unknown`: no answer, or one that
   * leaves it open.
   */
  readonly outcome: AttemptOutcome
  /** Where it is, as the answer said. */
  readonly position?: Position
  /** The last revision of each stream, as the answer said. */
  readonly revisions?: readonly number[]
}

export type AttemptOutcome = 'ok' | 'conflict' | 'failed' | 'unknown'

export interface AttemptedStream {
  readonly stream: string
  readonly expected: Expected
  readonly events: readonly { readonly id: string; readonly digest: number }[]
}

/** An event that was read. */
export interface SeenEvent {
  readonly position: Position
  readonly stream: string
  readonly revision: number
  readonly commit: string
  readonly id: string
  readonly type: string
  readonly tags: readonly string[]
  /** Of its type, data, metadata and tags; see {@link digestOfEvent}. */
  readonly digest: number
}

/** One follower from its start to its end; a follower that starts again is another run with the same name. */
export interface FollowerRun {
  readonly follower: string
  readonly selector: Selector
  /** It asked for what is behind this. */
  readonly from: Position
  readonly batches: readonly SeenBatch[]
}

export interface SeenBatch {
  readonly events: readonly SeenEvent[]
  readonly position: Position
  readonly caughtUp: boolean
  readonly truncated: boolean
}

/**
 * One fact of a history, as a process writes it down when it happens: one line of NDJSON. What a killed process did not
 * write any more is unknown, and {@link checkHistory} takes it as that.
 */
export type HistoryEntry =
  | {
      readonly is: 'attempt'
      /** Tells its outcome from those of other attempts; unique over all writers. */
      readonly attempt: string
      readonly at: number
      readonly writer: string
      readonly commit: string
      readonly streams: readonly AttemptedStream[]
    }
  | {
      readonly is: 'outcome'
      readonly attempt: string
      readonly at: number
      readonly outcome: AttemptOutcome
      readonly position?: Position
      readonly revisions?: readonly number[]
      /** Why it failed, for people. */
      readonly error?: string
    }
  | {
      readonly is: 'follow'
      /** Tells its batches from those of other runs; unique over all followers. */
      readonly run: string
      readonly follower: string
      readonly selector: Selector
      readonly from: Position
    }
  | ({ readonly is: 'batch'; readonly run: string } & SeenBatch)
