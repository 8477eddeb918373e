import type { Maybe } from '../../core/maybe.js'

/**
 * What a database of an application has to bring to hold fences. Its law: from `raise` on to the end of its transaction the
 * token of the fence stays, for everybody.
 */
export interface FenceStore<Db> {
  /**
   * Fences in a transaction of the application's.
   *
   * @throws `BANYAN_INVALID_OPTIONS` for what is no transaction
   */
  within(transaction: unknown): FenceRows
  /** Works in a transaction of the store's own, which commits what is done through `db`. */
  transact<Result>(work: (db: Db, rows: FenceRows) => Maybe<Result>): Promise<Result>
  /** All fences, by name. */
  list(): Promise<readonly FenceRow[]>
  /** Forgets a fence; returns whether it was there. */
  remove(name: string): Promise<boolean>
  close(): Promise<void>
}

/** Fences in a transaction. */
export interface FenceRows {
  /**
   * Raises a fence to a token, unless it is as high, and keeps it as it is until the transaction ends.
   *
   * @param at - now, in ms since the epoch
   * @returns the highest token
   */
  raise(name: string, token: number, at: number): Maybe<number>
}

/** A fence as it is kept. */
export interface FenceRow {
  readonly name: string
  readonly token: number
  readonly raised: number
}
