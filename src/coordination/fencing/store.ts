import type { BanyanError } from '../../core/errors.js'
import { formatDuration } from '../../core/duration.js'
import type { Maybe } from '../../core/maybe.js'
import { coordinationError } from '../errors.js'

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
  /**
   * Works in a transaction of the store's own, which commits what is done through `db`.
   *
   * @param name - of the fence that the work raises, for messages
   * @throws `BANYAN_FENCE_BUSY`
   */
  transact<Result>(name: string, work: (db: Db, rows: FenceRows) => Maybe<Result>): Promise<Result>
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
   * @throws `BANYAN_FENCE_BUSY` if others keep it for longer than they are waited for
   */
  raise(name: string, token: number, at: number): Maybe<number>
}

/** A fence as it is kept. */
export interface FenceRow {
  readonly name: string
  readonly token: number
  readonly raised: number
}

/**
 * What to throw when others keep a fence for too long.
 *
 * @param wait - how long they were waited for, in ms
 * @param advice - what ends them, with this engine
 */
export function fenceBusy(
  name: string,
  { wait, advice, cause }: { wait: number; advice: string; cause?: unknown },
): BanyanError {
  return coordinationError(
    'BANYAN_FENCE_BUSY',
    `a transaction, it seems of an earlier holder of ${JSON.stringify(name)}, has not ended within ${formatDuration(wait)}; ` +
      `nothing was done. ${advice}`,
    cause,
  )
}
