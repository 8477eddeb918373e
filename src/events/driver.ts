import type { Clock } from '../core/clock.js'
import type {
  Capabilities,
  Expected,
  LogStats,
  Position,
  StreamInfo,
  Truncation,
  TruncateResult,
} from './log.js'

/**
 * The part of an event log that an engine has to bring; `openLog` makes an `EventLog` of it. What is common to all
 * engines (checking and encoding events, gathering appends into groups, pages into iterations, checksums) is not
 * here. Drivers throw the errors of `events/errors.ts`.
 */
export interface LogDriver {
  readonly capabilities: Capabilities

  /**
   * Appends commits in their order, each on its own: one that conflicts does not stop the others, and a later one sees
   * the earlier ones. When it resolves, all that were appended are durable; that is worth doing once for all of them.
   *
   * Called again before it has resolved at most `parallel` times; those groups too are in order.
   *
   * @returns one outcome for each commit, in order. One that takes longer than those of the others, as its stream is
   *   locked, or that is an error of this commit alone, may be a promise: nobody else waits for it
   * @throws if nothing of the group was appended, or if what was appended cannot be found out
   *   (`BANYAN_OUTCOME_UNKNOWN`)
   */
  append(group: readonly EncodedCommit[]): Promise<readonly (Outcome | Promise<Outcome>)[]>
  /** How many groups may be on their way. */
  readonly parallel: number
  /**
   * Positions are those of `formatPosition`, and the events of a commit that `append` was given have consecutive ones, up
   * to that of its outcome. Followers then pass what this process has appended, and they have not selected, without
   * reading a page. Default false.
   */
  readonly consecutive?: boolean

  /** Reads one page: as much as `limit` and a few megabytes allow, at least one event if there is one. */
  read(query: Query): Promise<Page>

  /** See `EventLog.head`. */
  head(): Promise<Position>
  /** See `EventLog.positionAt`. */
  positionAt(time: number): Promise<Position>

  /**
   * Waits until there may be events behind a position; resolves at once if there are, also if there is no telling.
   * A lost connection is no error: it waits until there is one. Resolves when the signal aborts.
   */
  changed(position: Position, signal: AbortSignal): Promise<void>

  /** See `EventLog.within`; missing if the engine cannot. */
  appendWithin?(transaction: unknown, commit: EncodedCommit): Promise<Outcome>

  revision(stream: string): Promise<number | 'none'>
  /** Up to `limit` streams, by name (in any order that is the same each time). */
  streams(query: { category?: string; after?: string; limit: number }): Promise<StreamInfo[]>
  /** See `EventLog.truncate`; in small transactions, between which others append. */
  truncate(what: Truncation): Promise<TruncateResult>
  hold(name: string, position: Position): Promise<void>
  release(name: string): Promise<void>
  stats(): Promise<LogStats>
  /** Problems of the engine's own structures (indexes, pages); the events themselves are checked by whoever calls. */
  verify(signal: AbortSignal): AsyncIterable<{ message: string; stream?: string; position?: Position }>
  backup?(to: string): Promise<void>
  close(): Promise<void>
}

/** What an engine is opened with. */
export interface DriverContext {
  readonly clock: Clock
}

/** A commit, checked and turned into what is stored. Names hold no NUL and are well-formed Unicode. */
export interface EncodedCommit {
  readonly id: string
  /** Of its streams and its events' ids and types: the same for every repetition, different if it is not one. 32 bits. */
  readonly digest: number
  readonly streams: readonly EncodedStream[]
  /** Conditions on streams that are not in `streams`. */
  readonly checks: readonly { readonly stream: string; readonly expected: Expected }[]
  /** When it is appended, ms since the epoch. What is stored never falls: at least what the event before it has. */
  readonly recorded: number
  /** How many there are, over all streams. */
  readonly events: number
  /** Bytes of names, data and metadata, about. */
  readonly bytes: number
}

export interface EncodedStream {
  readonly stream: string
  readonly category: string
  readonly expected: Expected
  readonly events: readonly EncodedEvent[]
}

export interface EncodedEvent {
  /** Undefined if it is `eventId(commit.id, ordinal)`. Otherwise taken once for ever, like ids of commits. */
  readonly id: string | undefined
  /** Its number in the commit, from 0, over all of its streams. */
  readonly ordinal: number
  readonly type: string
  /** JSON text, bytes, or nothing. */
  readonly data: string | Uint8Array | undefined
  /** JSON text of an object, or `''` for none. */
  readonly metadata: string
  readonly tags: readonly string[]
  readonly schemaVersion: number
  readonly time: number
  /** Of everything above and the names of its stream and commit; 32 bits, unsigned. Whoever reads compares it. */
  readonly checksum: number
}

/** An event as an engine gives it back. */
export interface StoredEvent extends EncodedEvent {
  readonly commit: string
  readonly stream: string
  readonly revision: number
  readonly position: Position
  readonly recorded: number
}

/** The id of an event that was given none. */
export function eventId(commit: string, ordinal: number): string {
  return `${commit}/${ordinal}`
}

/** What came of one commit of a group. */
export type Outcome =
  | {
      readonly kind: 'appended'
      /** Of its last event; the head of the log for a commit without events; undefined inside a transaction. */
      readonly position: Position | undefined
      /** The last revision of each stream, in the order of the commit's. */
      readonly revisions: readonly number[]
      /** It had been appended before: same id and same digest. The result is the first one. */
      readonly duplicate: boolean
    }
  | {
      readonly kind: 'conflict'
      /** Every condition that is not true, with what is. */
      readonly conflicts: readonly {
        readonly stream: string
        readonly expected: Expected
        readonly actual: number | 'none'
      }[]
    }
  | {
      /** The id, of the commit or of an event, is taken by another commit. */
      readonly kind: 'overlap'
      readonly id: string
    }

/** A part of the log. Positions have the form of this driver's. */
export interface Query {
  readonly stream?: string
  readonly category?: string
  /** All of them; never empty. */
  readonly tags?: readonly string[]
  /** One of them; never empty. */
  readonly types?: readonly string[]
  /** Only positions behind this one. */
  readonly after: Position
  /** Only positions up to this one, with it. */
  readonly upTo?: Position
  /** Only positions before this one: where the page before ended, going backwards. */
  readonly before?: Position
  /** With a stream only. */
  readonly fromRevision?: number
  readonly toRevision?: number
  readonly backwards: boolean
  readonly limit: number
}

/** One page. */
export interface Page {
  readonly events: readonly StoredEvent[]
  /**
   * Everything selected up to here (backwards: from here on) is in this page or an earlier one. Reading on means `after`
   * (backwards: `before`) this position. At the end of the log it is the head if the driver knows it.
   */
  readonly position: Position
  /** Nothing more is there now. */
  readonly end: boolean
  /** Events between `after` and `position` may have been truncated. */
  readonly truncated: boolean
}
