import type { Maybe } from '../../core/maybe.js'

/**
 * What a database of an application has to bring to hold an inbox. Its laws:
 *
 * 1. Of several transactions that take one id, one is told that it is new, if it commits; the others wait for its end, or
 *    fail.
 * 2. What is known of an id is gone with a transaction that is rolled back.
 */
export interface InboxStore<Db> {
  /**
   * Ids in a transaction of the application's.
   *
   * @throws `BANYAN_INVALID_OPTIONS` for what is no transaction
   */
  within(transaction: unknown): InboxRows
  /** Works in a transaction of the store's own, which commits what is done through `db`. */
  transact<Result>(work: (db: Db, rows: InboxRows) => Maybe<Result>): Promise<Result>
  /**
   * Forgets ids.
   *
   * @param before - those received before, ms since the epoch
   * @param limit - so many, at most
   * @returns how many
   */
  clean(before: number, limit: number): Promise<number>
  close(): Promise<void>
}

/** Ids in a transaction. */
export interface InboxRows {
  /** Writes an id, unless it is there; returns whether it was not. */
  take(id: InboxId, fingerprint: string | null, received: number): Maybe<boolean>
  /** Writes what the work has given, as JSON text. */
  finish(id: InboxId, result: string): Maybe<unknown>
  /** What is known of an id. */
  find(
    id: InboxId,
  ): Maybe<{ readonly fingerprint: string | null; readonly result: string | null } | undefined>
  /** Begins a part of the transaction that can be undone alone; one may be begun in another. */
  save(): Maybe<unknown>
  /** Keeps the part that was begun last. */
  release(): Maybe<unknown>
  /** Undoes it, also when a statement of it has failed. */
  undo(): Maybe<unknown>
}

/** An id, and what it is an id of. */
export interface InboxId {
  readonly scope: string
  readonly id: string
}
