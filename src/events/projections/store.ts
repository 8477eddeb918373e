import { isPromise, type Maybe } from '../../core/maybe.js'
import type { Position } from '../log.js'

/**
 * What an engine has to bring so that `openReadModels` keeps read models in it. Its laws (`readModelConformance` in
 * `banyan/testing` checks them):
 *
 * 1. A transaction of `write` happens as a whole or not at all: rows, parked events, and what is done through `db`.
 * 2. Of two transactions that change one row from the same revision, one happens; the other ends with {@link MovedError}.
 * 3. What is seen through one view of `read` is one moment, rows and tables alike.
 * 4. After the end of a transaction its `db` refuses everything: a handler that hangs cannot write later.
 */
export interface ReadModelStore<Db> {
  /** `memory`, `sqlite`, `postgres`, ... */
  readonly engine: string
  /** Whether the first law holds for `db`; without it handlers come first, and see events at least once. */
  readonly transactional: boolean
  /** Shows one moment, to read only. */
  read<Result>(work: (view: StoreView<Db>) => Maybe<Result>): Promise<Result>
  /**
   * Runs a transaction; it is rolled back if the work throws.
   *
   * @throws what the work throws, {@link MovedError}, `BANYAN_READ_MODEL_UNAVAILABLE`
   */
  write<Result>(work: (transaction: StoreTransaction<Db>) => Maybe<Result>): Promise<Result>
  /**
   * Runs work inside a transaction of the application's, in the same database; nothing of it has happened if it throws.
   * Missing if the store has none that a log can append in.
   *
   * @param transaction - what `EventLog.within` takes
   * @throws what the work throws, {@link MovedError}; errors of the client as they are
   */
  join?<Result>(
    transaction: unknown,
    work: (transaction: StoreTransaction<Db>) => Promise<Result>,
  ): Promise<Result>
  close(): Promise<void>
}

export { isPromise, type Maybe }

/** A moment of a store. */
export interface StoreView<Db> {
  /** What handlers and queries work with. */
  readonly db: Db
  /** The rows of a projection, or of all, by name and version. */
  rows(name?: string): Maybe<readonly CheckpointRow[]>
  /** Parked events of a version by position: at most `limit` behind `after`, of one key if it is given. */
  parked(name: string, version: number, query: ParkedQuery): Maybe<readonly ParkedRow[]>
  /** What the columns of tables are, in words that change when they do; undefined for those that are not there. */
  describe(tables: readonly string[]): Maybe<readonly (string | undefined)[]>
}

/** A transaction of a store. */
export interface StoreTransaction<Db> extends StoreView<Db> {
  /** What `EventLog.within` takes; missing if no log can append in this transaction. */
  readonly client?: unknown
  /** A row that nobody else changes before this transaction ends. */
  lock(name: string, version: number): Maybe<CheckpointRow | undefined>
  /**
   * Writes a row.
   *
   * @param previous - the revision that it has now; undefined if there is none
   * @throws {@link MovedError}, at once or when the transaction ends, if that is not so, or if another version is active
   */
  put(row: CheckpointRow, previous: number | undefined): Maybe<void>
  /** Removes a row and what is parked of its version; throws as {@link put} does. */
  remove(name: string, version: number, previous: number): Maybe<void>
  /** Keeps a parked event, in place of one with the same position. */
  park(row: ParkedRow): Maybe<void>
  unpark(name: string, version: number, position: Position): Maybe<void>
  /** The tables whose names begin so. */
  tables(prefix: string): Maybe<readonly string[]>
  /** Makes views, each of a table, in place of others and of those that are there. */
  publish(views: readonly View[], retired: readonly string[]): Maybe<void>
  /** Drops tables; those that are not there are no error. */
  drop(tables: readonly string[]): Maybe<void>
}

/** What people and other programs read: it stands for a table of the active version. */
export interface View {
  readonly name: string
  readonly table: string
}

/** Where a version of a projection is. */
export interface CheckpointRow {
  readonly name: string
  /** 0 for the cursor of side effects, which all versions share. */
  readonly version: number
  /** Rises with every change: what is compared before the row is changed. */
  readonly revision: number
  /** Everything selected up to here is in the read model, or parked. */
  readonly position: Position
  /** Whether this is the version that is read. At most one of a name is. */
  readonly active: boolean
  readonly state: ProjectionState
  /** Who runs it; empty if nobody does. */
  readonly owner: string
  /** When it was changed, in ms since the epoch. */
  readonly updated: number
  /** The rest, as JSON. */
  readonly details: string
  /** CRC-32 of everything else. */
  readonly checksum: number
}

/** `rebuilding` until it has reached the end of the log for the first time; `failed` when it has stopped at an event. */
export type ProjectionState = 'rebuilding' | 'running' | 'failed'

/** An event that was set aside. */
export interface ParkedRow {
  readonly name: string
  readonly version: number
  readonly position: Position
  /** What keeps its order: later events of the same key are parked too. */
  readonly key: string
  readonly stream: string
  readonly type: string
  /** How often its handler has failed; 0 if it only stands behind another. */
  readonly attempts: number
  readonly reason: string
  /** When it was parked, in ms since the epoch. */
  readonly time: number
}

export interface ParkedQuery {
  readonly after?: Position
  readonly key?: string
  readonly limit: number
}

/** The row is not what it was: somebody else has changed it. Nothing of the transaction has happened. */
export class MovedError extends Error {
  constructor() {
    super('the row of the projection was changed by somebody else')
    this.name = 'MovedError'
  }
}
