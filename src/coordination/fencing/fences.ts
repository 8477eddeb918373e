import type { AsyncTransaction, SyncTransaction } from '../../core/application-transaction.js'
import { duration, type Duration } from '../../core/duration.js'
import { andThen, type Maybe } from '../../core/maybe.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import { coordinationError } from '../errors.js'
import { checkFenceName, claimOf, type CheckedClaim, type Claim } from './claim.js'
import { staleCounter, StaleTokenError } from './stale-token.js'
import type { FenceRow, FenceRows, FenceStore } from './store.js'

/** Options of `openFences`. */
export interface FencesOptions {
  /** Whether to make the table if it is not there. Default true. */
  migrate?: boolean
  /**
   * How long to wait for a transaction of an earlier holder that does not end. Default `'30s'`. A `guard` in a transaction of
   * yours on SQLite waits as long as its connection does instead.
   */
  wait?: Duration
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<FencesOptions> = {
  migrate: { kind: 'boolean', doc: 'whether to make the table' },
  wait: { kind: 'duration', min: 1, doc: 'how long to wait for transactions of earlier holders' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/**
 * Fences in a table of your own database, so that it takes nothing from who has been replaced.
 *
 * Guarantee: of the transactions that are guarded under one name, none commits after one with a higher token has passed its
 * guard. A transaction passes its guard only when all of before, with lower tokens, have ended. What a transaction reads after
 * its guard is therefore not changed by earlier holders any more: guard first, then read, then write.
 */
export interface Fences<Db> extends AsyncDisposable {
  /**
   * Guards a transaction that is open, up to its end. Transactions of one holder may go on side by side, as far as the engine
   * allows it.
   *
   * @param transaction - where it is open: a client of pg, a database of better-sqlite3 or node:sqlite, or a function
   *   `(sql, parameters) => result`, as for an outbox
   * @returns at once if the database answers at once
   * @throws `BANYAN_STALE_TOKEN` ({@link StaleTokenError}), `BANYAN_FENCE_BUSY`: roll the transaction back; what `check` of what is held throws;
   *   `BANYAN_INVALID_OPTIONS`, `BANYAN_FENCES_CLOSED`; what the database throws. Under `REPEATABLE READ` a stale transaction
   *   may fail to serialize instead, and is told when it is run again.
   */
  guard(transaction: AsyncTransaction, claim: Claim): Promise<void>
  guard(transaction: SyncTransaction, claim: Claim): void

  /**
   * Works in a guarded transaction of its own, which commits what is done through `db` unless the work throws.
   *
   * @throws as {@link guard}, and what the work throws; `BANYAN_FENCES_UNAVAILABLE`; with SQLite `BANYAN_INVALID_OPTIONS` in the
   *   work of another transaction of the same fences, for which it would wait for ever
   */
  transaction<Result>(claim: Claim, work: (db: Db) => Result | Promise<Result>): Promise<Result>

  /**
   * Raises a fence, without doing anything else: to be called before something is read elsewhere.
   *
   * @throws as {@link transaction}
   */
  raise(claim: Claim): Promise<void>

  /** The highest token of each fence, by name. */
  list(): Promise<readonly FenceRow[]>

  /**
   * Lets every token through a fence again, until the next is used. For operators: after a coordinator was lost, and a new
   * one gives out lower tokens. Whoever has a token of before must be gone.
   *
   * @returns whether there was such a fence
   */
  reset(name: string): Promise<boolean>

  /** Lets go of the database. */
  close(): Promise<void>
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkFencesOptions(options: FencesOptions): void {
  checkOptions('openFences', OPTIONS, options)
}

/** How long transactions of earlier holders are waited for, in ms. */
export function fencesWait({ wait = '30s' }: FencesOptions): number {
  return duration(wait, 'wait')
}

/** Fences over a store. */
export class StoredFences<Db> implements Fences<Db> {
  readonly #store: FenceStore<Db>
  readonly #runtime: Runtime
  readonly #refused: Counter
  #closed: Promise<void> | undefined

  constructor(store: FenceStore<Db>, { runtime = systemRuntime }: FencesOptions) {
    this.#store = store
    this.#refused = staleCounter(runtime)
    this.#runtime = runtime
  }

  guard(transaction: AsyncTransaction, claim: Claim): Promise<void>
  guard(transaction: SyncTransaction, claim: Claim): void
  guard(transaction: unknown, claim: Claim): Maybe<void> {
    const isClient = typeof transaction === 'object' && transaction !== null && 'query' in transaction
    try {
      const checked = this.#checked(claim)
      return this.#pass(this.#store.within(transaction), checked)
    } catch (error) {
      if (isClient) return Promise.reject(error)
      throw error
    }
  }

  async transaction<Result>(claim: Claim, work: (db: Db) => Result | Promise<Result>): Promise<Result> {
    const checked = this.#checked(claim)
    return this.#store.transact(checked.name, (db, rows) =>
      andThen<undefined, Result>(this.#pass(rows, checked), () => work(db)),
    )
  }

  async raise(claim: Claim): Promise<void> {
    await this.transaction(claim, () => undefined)
  }

  async list(): Promise<readonly FenceRow[]> {
    this.#mustBeOpen()
    return this.#store.list()
  }

  async reset(name: string): Promise<boolean> {
    this.#mustBeOpen()
    checkFenceName(name)
    return this.#store.remove(name)
  }

  close(): Promise<void> {
    this.#closed ??= this.#store.close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #pass(rows: FenceRows, { name, token }: CheckedClaim): Maybe<undefined> {
    return andThen(rows.raise(name, token, Math.floor(this.#runtime.clock.wall())), (highest) => {
      if (highest === token) return undefined
      this.#refused.add(1, { 'banyan.fence': name })
      throw new StaleTokenError(name, token, highest)
    })
  }

  #checked(claim: Claim): CheckedClaim {
    this.#mustBeOpen()
    const checked = claimOf(claim)
    checked.check()
    return checked
  }

  #mustBeOpen(): void {
    if (this.#closed) throw coordinationError('BANYAN_FENCES_CLOSED', 'the fences are closed')
  }
}
