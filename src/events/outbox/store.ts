import type { Maybe } from '../../core/maybe.js'

/**
 * What a database of an application has to bring to hold an outbox. Its laws:
 *
 * 1. What `insert` writes is there if the transaction commits, and only then.
 * 2. Rows come from `work` in the order of their numbers, each until it was settled: relayed, parked, or held back.
 * 3. Of several sources one works at a time, as long as each can be told to be alone. Should it be two for once, no row is
 *    lost; the log takes every message once.
 * 4. A row is in the outbox, or parked, and never both.
 */
export interface OutboxStore {
  readonly engine: 'postgres' | 'sqlite'
  /** Whether statements in this transaction answer at once, so that nothing in it may be waited for. */
  isSynchronous(transaction: unknown): boolean
  /**
   * Writes messages in a transaction of the application's.
   *
   * @throws `BANYAN_INVALID_OPTIONS` for what is no transaction; errors of the application's client as they are
   */
  insert(transaction: unknown, rows: readonly OutboxRow[]): Maybe<unknown>
  /** For one relay. */
  source(): OutboxSource
  status(limits: { count: number; lanes: number }): Promise<StoreStatus>
  /**
   * Lets parked lanes go on: all they hold back is in the outbox again, in its order.
   *
   * @returns the keys of those that were parked; a message without a key is named by its id
   */
  redrive(lanes: readonly LaneKey[] | 'all'): Promise<LaneKey[]>
  /**
   * Removes a message for good that is parked for a reason; what it held back goes on.
   *
   * @param lanes - only of these; of several messages in them the oldest. Without, nothing is removed of several
   * @returns the lanes in which messages of that id are parked
   */
  discard(id: string, lanes?: readonly LaneKey[]): Promise<LaneKey[]>
  close(): Promise<void>
}

/** Where a relay takes messages from. */
export interface OutboxSource {
  /**
   * Hands over the oldest messages, and writes what has become of them.
   *
   * @param limits - how many, and about how many bytes of them
   * @param send - what it does not mention stays where it is; if it throws, everything does
   * @returns how many messages there were, and how many are settled; `busy` if another relay is at work
   */
  work(
    limits: { rows: number; bytes: number },
    send: (rows: readonly StoredRow[]) => Promise<Settled>,
  ): Promise<{ found: number; settled: number } | 'busy'>
  /** Waits until there may be something to do, at most so many ms. */
  changed(ms: number, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** A message as it is kept. */
export interface OutboxRow {
  readonly id: string
  readonly topic: string
  readonly key: string | null
  readonly type: string
  /** JSON text. */
  readonly data: string | null
  /** In place of `data`. */
  readonly bytes: Uint8Array | null
  /** JSON text of an object. */
  readonly metadata: string | null
  /** JSON text of a list. */
  readonly tags: string | null
  readonly schemaVersion: number | null
  /** ms since the epoch. */
  readonly time: number | null
  /** ms since the epoch. */
  readonly deliverAt: number | null
  /** ms since the epoch. */
  readonly published: number
  /** Bytes of data and metadata, about. */
  readonly size: number
}

/** A message that waits. */
export interface StoredRow extends OutboxRow {
  /** Given out when it was inserted; rises. */
  readonly number: number
  /** An earlier message of its key is parked. */
  readonly isHeld: boolean
}

/** What has become of messages, by number. */
export interface Settled {
  /** They are in the log. */
  readonly relayed: readonly number[]
  /** The log does not take them. */
  readonly parked: readonly { readonly number: number; readonly reason: string }[]
  /** They wait behind one that is parked. */
  readonly held: readonly number[]
}

/** Whose order it is. */
export type LaneKey = { readonly topic: string; readonly key: string } | { readonly id: string }

/** The lane of a message. */
export function laneKeyOf({ topic, key, id }: Pick<OutboxRow, 'topic' | 'key' | 'id'>): LaneKey {
  return key === null ? { id } : { topic, key }
}

/** Whether a message is of one of these lanes; without lanes, of any. */
export function isOneOf(row: Pick<OutboxRow, 'topic' | 'key' | 'id'>, lanes?: readonly LaneKey[]): boolean {
  if (!lanes) return true
  return lanes.some((lane) =>
    'id' in lane ? row.key === null && row.id === lane.id : row.topic === lane.topic && row.key === lane.key,
  )
}

export interface StoreStatus {
  readonly waiting: { readonly count: number; readonly isComplete: boolean }
  /** When the oldest message was published that waits, ms since the epoch. */
  readonly oldest: number | undefined
  readonly relayed: number
  /** The messages that are parked for a reason, the oldest first. */
  readonly parked: readonly ParkedRow[]
}

/** A message that is parked for a reason. */
export interface ParkedRow extends Pick<OutboxRow, 'id' | 'topic' | 'key' | 'type' | 'published'> {
  readonly reason: string
  /** ms since the epoch. */
  readonly parkedAt: number
  readonly heldBack: number
}
