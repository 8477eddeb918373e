import type { Duration } from '../core/duration.js'

/**
 * The port of the events plane: an append-only log of events in streams.
 *
 * Its laws, which every driver keeps (`logConformance` in `banyan/testing` checks them):
 *
 * 1. A commit is atomic over all of its streams: all of its events are in the log, or none, for every reader.
 * 2. Acknowledged is durable: when `append` has resolved, a crash of any process loses nothing of it. How far that
 *    goes is in `capabilities.durable`.
 * 3. The id of a commit is looked at before anything else. The same id again gives the first result, for ever.
 * 4. Revisions of a stream are 0, 1, 2, ... without a gap. Of two commits that expect the same one, one is appended.
 * 5. Positions rise. Whatever a reader sees at a position, nothing will ever appear at or before it later: nobody who
 *    reads on from where they were misses an event, however late a transaction commits.
 * 6. What was appended is read as it was appended, or an error names what is damaged. It is never skipped.
 */
export interface EventLog extends Appender, AsyncDisposable {
  /** What the driver promises. */
  readonly capabilities: Capabilities
  /** True if transforms stand between what is appended and what is read, so that these may differ. Default false. */
  readonly transformed?: boolean
  /** The newest version in which events of a type are read, where transforms know it. */
  newestVersion?(type: string): number | undefined
  /**
   * Events as they would be read if they were appended: what transforms make of them on the way in and out. None if
   * that cannot be told.
   *
   * @throws what `append` throws for them
   */
  asRead?(append: StreamAppend): Promise<readonly PendingEvent[]>

  /**
   * Reads what is there, in order, and ends.
   *
   * @param selector - which events; default all
   * @throws `BANYAN_INVALID_SELECTOR`, `BANYAN_INVALID_POSITION`, `BANYAN_POSITION_AHEAD`, `BANYAN_LOG_CORRUPT`,
   *   `BANYAN_LOG_UNAVAILABLE`; the reason of the signal, as what was read until then is not everything
   */
  read<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: ReadOptions,
  ): AsyncIterable<Recorded<Event>>

  /**
   * Reads what is there and then what comes, in order, with no gap, until the signal aborts or the log is closed;
   * both end the iteration quietly. The next batch is read when it is asked for: a slow consumer costs no memory.
   *
   * Delivers at least once: a consumer that keeps `batch.position` and goes on from there after a crash sees again
   * what it had not finished.
   *
   * @param selector - which events; default all
   * @throws as `read` does; a lost connection is not an error, the follower waits until it is back
   */
  follow<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: FollowOptions,
  ): AsyncIterable<Batch<Recorded<Event>>>

  /** Where the log ends now: the position of its last event, or `'0'` if it has none. */
  head(): Promise<Position>

  /**
   * Where the log ended at a time.
   *
   * @param time - ms since the epoch
   * @returns the position of the last event recorded before it, or `'0'`: follow from there to see what came after
   */
  positionAt(time: number): Promise<Position>

  /** The last revision of a stream, or `'none'` if nothing was ever appended to it. */
  revision(stream: string): Promise<number | 'none'>

  /** The streams of the log, in order of their names. */
  streams(options?: StreamsOptions): AsyncIterable<StreamInfo>

  /**
   * Appends inside a transaction of the caller's own database work, so that both happen or neither. The events are
   * in the log once that transaction commits; the position they get is known only then.
   *
   * @param transaction - the driver's client with a transaction open, as `pg`'s `Client` for PostgreSQL
   * @param options.events - whether results have the events as readers will see them; default false
   * @throws `BANYAN_UNSUPPORTED` if `capabilities.transactions` is false
   */
  within(transaction: unknown, options?: { events?: boolean }): TransactionAppender

  /**
   * Removes events for good: those of a stream below a revision, or those of a category or of the whole log up to a
   * position. Revisions and positions go on as if nothing had been removed, ids of commits stay known. Never removes
   * what a hold keeps. What patterns keep for themselves is the one exception, see {@link Truncation}.
   *
   * @returns how many events were removed, and which hold kept others, if one did
   * @throws `BANYAN_INVALID_SELECTOR`, `BANYAN_INVALID_POSITION`, if it is not exactly one of the forms of
   *   {@link Truncation}; `BANYAN_POSITION_AHEAD`: nothing was removed
   */
  truncate(what: Truncation): Promise<TruncateResult>

  /**
   * Keeps everything after a position from being truncated, durably, until it is moved or released: what a consumer
   * sets that must not lose events it has not read yet.
   *
   * @param name - whose hold; moves it if there is one
   */
  hold(name: string, position: Position): Promise<void>
  /** Takes a hold away; no error if there is none. */
  release(name: string): Promise<void>

  /** Counts, sizes, holds and the format of the log. */
  stats(): Promise<LogStats>

  /** Reads everything and checks it: checksums, revisions without gaps, indexes that agree with the events. */
  verify(options?: VerifyOptions): AsyncIterable<Finding>

  /**
   * Copies the log while it is in use; the copy is the log at one moment.
   *
   * @param to - path of a file that does not exist yet
   * @throws `BANYAN_UNSUPPORTED` where the engine has its own tools for it (`capabilities.backup`)
   */
  backup(to: string): Promise<void>

  /** Refuses new appends, waits for those that were accepted, ends followers, and lets go of everything. */
  close(): Promise<void>
}

/** What can append. */
export interface Appender {
  /**
   * Appends a commit.
   *
   * @returns where it is; or, if a stream is not at its expected revision, every such stream with its actual one. An
   *   append without events only checks.
   * @throws `BANYAN_INVALID_COMMIT`, `BANYAN_INVALID_EVENT`, `BANYAN_EVENT_TOO_LARGE`, `BANYAN_UNKNOWN_EVENT_TYPE`:
   *   nothing was tried. `BANYAN_COMMIT_OVERLAP`: the id is taken by a different commit, or an event's id by another
   *   commit. `BANYAN_LOG_FULL`, `BANYAN_LOG_LOCKED`, `BANYAN_LOG_CLOSED`, `BANYAN_LOG_OVERLOADED`: nothing was
   *   appended. `BANYAN_OUTCOME_UNKNOWN`: append it again with the same id to know.
   */
  append(commit: Commit): Promise<AppendResult>
}

/** What can append inside a transaction; see {@link EventLog.within}. */
export interface TransactionAppender {
  append(commit: Commit): Promise<TransactionResult>
}

/**
 * A place in the order of the whole log. Opaque: positions of one log compare with `<`, `===` and `>`, and nothing
 * else can be done with them. `'0'` is before the first event.
 */
export type Position = string

/** What must be true of a stream: anything, nothing appended ever, something appended, or exactly this last revision. */
export type Expected = 'any' | 'none' | 'exists' | number

/** One atomic append. */
export interface Commit {
  /**
   * What makes a repetition harmless: the same id again gives the first result. Up to 255 bytes. Default: the id of
   * the first event if every event has one, else a new UUID (version 7).
   */
  id?: string
  /** What to append; each stream once. Default none. */
  streams?: readonly StreamAppend[]
  /** What must be true of streams that are not written. Default nothing. */
  checks?: readonly StreamCheck[]
}

/** Events for one stream. */
export interface StreamAppend {
  /** Name of 1 to 512 bytes. What stands before its first `-` is its category: `order-17` is of `order`. */
  stream: string
  /** Default `any`. */
  expected?: Expected
  /** At least one. */
  events: readonly NewEvent[]
}

/** A condition on a stream. */
export interface StreamCheck {
  stream: string
  expected: Expected
}

/** What a kind of event looks like to the compiler; a union of these types a stream. */
export interface EventShape {
  readonly type: string
  readonly data?: unknown
}

/** An event to append. */
export interface NewEvent {
  /**
   * 1 to 255 bytes, taken only once in a log, as ids of commits are. Default: the commit's id, `/`, and its number in the
   * commit; ids of that form are best left to it, as they are compared with those that were given only.
   */
  id?: string
  /** What happened, in the past tense: `OrderPlaced`. 1 to 255 bytes. */
  type: string
  /**
   * What is known of it: anything that JSON keeps, or bytes. Values that JSON would change or drop in silence (`NaN`,
   * a `Map`, a `bigint`) are an error. Instances of classes are kept as their properties or what their `toJSON` gives,
   * `-0` as `0`; properties that are `undefined` are left out.
   */
  data?: unknown
  metadata?: Metadata
  /** Across streams: `read({ tags: ['customer:7'] })`. Up to 32 of 1 to 255 bytes. */
  tags?: readonly string[]
  /** Which form of its type `data` has; default 1. */
  schemaVersion?: number
  /** When it happened, in ms since the epoch; default now. When it was appended is `recorded`. */
  time?: number
}

/** What is known around an event. Names of your own may be added; values are JSON. */
export interface Metadata {
  /** What this event and others belong to: the same for everything that one request has set in motion. */
  correlationId?: string
  /** Id of the event or command that led to this one. */
  causationId?: string
  /** W3C trace context. */
  traceparent?: string
  tracestate?: string
  /** Who did it. */
  actor?: string
  /** The type of the command that led to it; repositories say it of commands that have one. */
  commandType?: string
  [name: string]: unknown
}

/** An event as it was appended. */
export interface RecordedEvent {
  readonly id: string
  readonly type: string
  /** As it was appended: JSON, a `Uint8Array`, or `undefined`. */
  readonly data: unknown
  readonly metadata: Metadata
  readonly tags: readonly string[]
  readonly schemaVersion: number
  /** When it happened, in ms since the epoch. */
  readonly time: number
  /** When it was appended, in ms since the epoch; never falls from one position to a later one. */
  readonly recorded: number
  readonly stream: string
  /** Its number in the stream, from 0. */
  readonly revision: number
  readonly position: Position
  /** Id of the commit it came with. */
  readonly commit: string
  /** Why the transforms could not show it; only where that was asked for, see {@link ReadOptions.faults}. */
  readonly fault?: Error
}

/** {@link RecordedEvent} with the type and data of a shape; a union gives a union. */
export type Recorded<Shape extends EventShape> = Shape extends EventShape
  ? Omit<RecordedEvent, 'type' | 'data'> & { readonly type: Shape['type']; readonly data: Shape['data'] }
  : never

/** What came of an append. */
export type AppendResult = Appended | Conflicted

/** It is in the log. */
export interface Appended {
  readonly ok: true
  readonly id: string
  /** Of its last event; for a commit without events, the head of the log. */
  readonly position: Position
  /** The last revision of each stream it wrote. */
  readonly streams: readonly { readonly stream: string; readonly revision: number }[]
  /** True if it had been appended before: this is the first result. */
  readonly duplicate: boolean
}

/** Nothing was appended: these streams are not as expected. */
export interface Conflicted {
  readonly ok: false
  readonly conflicts: readonly Conflict[]
}

/** A stream that is not as expected. */
export interface Conflict {
  readonly stream: string
  readonly expected: Expected
  /** Its last revision. */
  readonly actual: number | 'none'
}

/** {@link AppendResult} inside a transaction: there is no position before it commits. */
export type TransactionResult =
  | (Omit<Appended, 'position'> & {
      /** What was appended now, if it was asked for; empty for a duplicate. */
      readonly events?: readonly PendingEvent[]
    })
  | Conflicted

/** A {@link RecordedEvent} whose transaction has not committed. */
export type PendingEvent = Omit<RecordedEvent, 'position' | 'recorded'>

/** Which events. What is left out does not matter; what is given must all be true. */
export interface Selector {
  /** Of one stream; not together with `category`. */
  stream?: string
  /** Of the streams of one category. */
  category?: string
  /** That carry all of these tags. */
  tags?: readonly string[]
  /** Of one of these types. */
  types?: readonly string[]
}

/** What part of the selected events, and how. */
export interface ReadOptions {
  /** Only after this position. Default from the start; backwards, from the end. */
  from?: Position
  /** Only up to this position, with it. */
  to?: Position
  /** Only from this revision on; needs a stream. */
  fromRevision?: number
  /** Only up to this revision, with it; needs a stream. */
  toRevision?: number
  /** At most this many events. */
  limit?: number
  /** The last first. `from` and `to` mean the same part of the log as without it. Default false. */
  backwards?: boolean
  /**
   * What becomes of an event that a transform refuses to show, as it is of a version that only a newer program knows:
   * `throw` (default) ends the reading there; `give` gives the event as it is stored, with the reason as its `fault`.
   */
  faults?: 'throw' | 'give'
  signal?: AbortSignal
}

/** How to follow. */
export interface FollowOptions {
  /** After this position: `batch.position` of the last time, `'0'` for everything, `'end'` for what comes from now on. Default `'0'`. */
  from?: Position
  /** Ends it. */
  signal?: AbortSignal
  /** Events in a batch, at most; default 512. */
  batch?: number
  /** See {@link ReadOptions.faults}. */
  faults?: 'throw' | 'give'
}

/** Some events of a follower, in order. */
export interface Batch<Event = RecordedEvent> {
  /**
   * May be empty: when the follower has reached the end without finding any, and, at most once a second, when it has
   * passed others, so that a position that is kept moves on.
   */
  readonly events: readonly Event[]
  /** Go on from here. May be behind the last event, if those behind it were not selected. */
  readonly position: Position
  /** True if there was nothing more when it was read. */
  readonly caughtUp: boolean
  /**
   * True if events between the last batch and the end of this one may have been truncated before they were read; see
   * {@link Truncation} for what is not told.
   */
  readonly truncated: boolean
}

/** Which streams to list. */
export interface StreamsOptions {
  category?: string
  /** Only after this name. */
  after?: string
  limit?: number
  signal?: AbortSignal
}

/** A stream of the log. */
export interface StreamInfo {
  readonly stream: string
  readonly category: string
  /** Its last revision. */
  readonly revision: number
  /** The first revision that was not truncated; one more than `revision` if all were. */
  readonly firstRevision: number
}

/** What to remove; the whole log only by its own form. */
export type Truncation =
  | {
      stream: string
      beforeRevision: number
      /**
       * Removes what holds keep, too, and forgets the ids of its events, and those of commits of which nothing is left:
       * each may be taken again. Followers of more than the stream or its category are not told.
       *
       * For the state that a pattern keeps in a stream whose name begins with `$`. Two things must be true: what is removed
       * is repeated by a later event, or at its end, so that nobody has to read it; and each commit to the stream expects a revision, of
       * it or of another stream, which has passed by then: that refuses a repetition. Not for `$scheduled`, of whose
       * messages each is taken once for ever. Default false.
       */
      forget?: boolean
    }
  | { category: string; upTo: Position }
  | { all: true; upTo: Position }

/** What {@link EventLog.truncate} did. */
export interface TruncateResult {
  readonly removed: number
  /** The hold that kept events from being removed. */
  readonly heldBy?: string
}

/** What a log holds. */
export interface LogStats {
  readonly driver: string
  readonly events: number
  readonly streams: number
  /** How many commits it knows: also those whose events were removed. */
  readonly commits: number
  /** Bytes on disk, or in memory. */
  readonly bytes: number
  readonly head: Position
  /** Position of the first event that is still there; `'0'` if there is none. */
  readonly first: Position
  /** Version of the format on disk. */
  readonly format: number
  readonly holds: readonly { readonly name: string; readonly position: Position }[]
}

/** How to verify. */
export interface VerifyOptions {
  signal?: AbortSignal
  /** Told now and then how many events were checked. */
  onProgress?: (events: number) => void
}

/** Something wrong that {@link EventLog.verify} found, or that all is well at the end. */
export type Finding =
  | { readonly ok: true; readonly events: number; readonly streams: number }
  | {
      readonly ok: false
      /** What is wrong, where, and what to do. */
      readonly message: string
      readonly position?: Position
      readonly stream?: string
      readonly revision?: number
    }

/** What a driver promises; what it does not, its conformance cases are skipped for. */
export interface Capabilities {
  /** `memory`, `sqlite`, `postgres`, ... */
  readonly driver: string
  /** The scope in which the order of events is the same for every reader. */
  readonly order: 'log' | 'stream'
  /** Over what one commit is atomic. */
  readonly atomic: 'log' | 'stream'
  /** How long ids of commits are known. */
  readonly dedupe: 'for ever' | Duration
  /** What acknowledged events survive. `fsync`: the loss of power. `server`: as the server is configured. */
  readonly durable: 'fsync' | 'server' | 'process' | 'none'
  /** Who may share the log. */
  readonly shared: 'process' | 'machine' | 'network'
  /** Whether an append can join a transaction of the caller's. */
  readonly transactions: boolean
  /** Whether `backup` works; otherwise the engine's own tools do it. */
  readonly backup: boolean
}
