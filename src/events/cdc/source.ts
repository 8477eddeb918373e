/**
 * The port of change data capture: what a database brings whose changes become events. Its laws:
 *
 * 1. Transactions come whole, in the order of their commits, each exactly once between two snapshots, if the stream is
 *    followed from the place that was reached.
 * 2. A snapshot shows the tables at one place of that order: all that was committed before it and nothing else.
 * 3. Nothing behind the place that was acknowledged last is forgotten, as long as the slot is not lost.
 */

/** A database whose changes can be captured. */
export interface ChangeSource {
  /** Where it is, without secrets. */
  readonly place: string
  /**
   * Connects, and waits until no other process captures under this name.
   *
   * @throws `BANYAN_SOURCE_UNAVAILABLE`, `BANYAN_SOURCE_UNPREPARED`; the reason of the signal
   */
  connect(request: ConnectRequest): Promise<SourceSession>
  /** Removes what was made in the database for a capture: its slot and its publication. No error if there is nothing. */
  remove(name: string): Promise<void>
  /** Names of captures that have left something at the source. */
  names(): Promise<readonly string[]>
}

export interface ConnectRequest {
  /** Name of the capture: lower case letters, digits and `_`. */
  readonly name: string
  readonly signal: AbortSignal
  /** Told once if somebody else captures under this name. */
  readonly onWaiting: () => void
}

/** What one process has of a source, alone, until it is closed or the connection breaks. */
export interface SourceSession {
  readonly identity: SourceIdentity
  /**
   * Checks that the tables can be captured, and makes what that takes.
   *
   * @param tables - names as configured, with the id that each had before, if it was captured
   * @returns by name as configured
   * @throws `BANYAN_SOURCE_UNPREPARED` with the statement that mends it
   */
  prepare(tables: readonly WantedTable[]): Promise<ReadonlyMap<string, TableShape>>
  slot(): Promise<SlotState>
  /**
   * Begins anew: drops the slot if there is one, makes another, and shows the tables where that begins.
   *
   * @param tables - as {@link SourceSession.prepare} gave them
   */
  snapshot(tables: readonly TableShape[]): Promise<SourceSnapshot>
  /** Follows what is committed from a place on. */
  follow(from: bigint): Promise<ChangeStream>
  /**
   * Where the order of changes ends now, as far as it is on disk.
   *
   * @param all - puts everything that was committed on disk first
   */
  end(all?: boolean): Promise<bigint>
  close(): Promise<void>
}

/** Which database it is: places of another one mean nothing. */
export interface SourceIdentity {
  readonly system: string
  readonly timeline: number
  readonly database: string
  /** Where its order of changes ends. */
  readonly end: bigint
  /** Where the timelines before the present one were left. */
  readonly history: readonly { readonly timeline: number; readonly end: bigint }[]
}

export interface WantedTable {
  readonly name: string
  readonly id: number | undefined
  /** Columns of the key, if they were chosen. */
  readonly key: readonly string[] | undefined
}

/** A table as it is at a moment. */
export interface TableShape {
  /** What it is called, with its schema: `public.customers`. */
  readonly name: string
  /** What it is known by, whatever it is called. */
  readonly id: number
  /** What is sent of it. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Columns that tell one row from another: the primary key, or what stands for it. */
  readonly key: readonly string[]
}

/** Whether changes since the last acknowledged place are still to be had. */
export type SlotState =
  | { readonly kind: 'ready'; readonly confirmed: bigint }
  | { readonly kind: 'missing' }
  | { readonly kind: 'lost'; readonly reason: string }

/** The tables at one place. */
export interface SourceSnapshot {
  readonly lsn: bigint
  /** All rows of a table, some at a time: memory stays bounded. */
  rows(table: TableShape): AsyncIterable<SnapshotRows>
  close(): Promise<void>
}

/** Some rows of a table, and how much they were on their way here. */
export interface SnapshotRows {
  readonly rows: readonly Row[]
  readonly bytes: number
}

/** A row as JSON, by column. */
export type Row = Readonly<Record<string, unknown>>

/** The changes, some at a time. */
export interface ChangeStream {
  /** Waits for more; none if it was woken. */
  next(): Promise<readonly SourceMessage[]>
  /** Lets `next` return, and asks the source how far it is. */
  wake(): void
  /** What is before this place is never needed again. */
  acknowledge(lsn: bigint): void
  close(): Promise<void>
}

export type SourceMessage =
  | { readonly kind: 'begin'; readonly lsn: bigint; readonly committed: number; readonly xid: number }
  | RowMessage
  | { readonly kind: 'truncate'; readonly tables: readonly TableShape[] }
  /** @param end - whoever follows from here does not get the transaction again */
  | { readonly kind: 'commit'; readonly end: bigint }
  /** The next changes of a table are of this shape. */
  | { readonly kind: 'shape'; readonly table: TableShape }
  /** Nothing more is to come from before this place. */
  | { readonly kind: 'progress'; readonly end: bigint }

/** What a transaction did to a row. */
export interface RowMessage {
  readonly kind: 'row'
  readonly operation: 'insert' | 'update' | 'delete'
  readonly table: TableShape
  /** As it is then; of a deleted row what the source tells of it. */
  readonly row: Row
  /** What is known of the row before; of an update only if its key has changed, or all of it is told. */
  readonly before: Row | undefined
  /** Large values that an update has left as they were, and that are not told. */
  readonly unchanged: readonly string[]
  /** How much it was on its way here. */
  readonly bytes: number
}

/** As PostgreSQL writes it: `16/B374D848`. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

/** Reads what {@link lsnText} writes. */
export function parseLsn(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
