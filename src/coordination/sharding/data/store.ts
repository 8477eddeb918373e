import type { Maybe } from '../../../core/maybe.js'
import { coordinationError } from '../../errors.js'

/**
 * One database of a sharded application: what an engine has to bring so that rows are found by their bucket, and move while they
 * are used.
 *
 * Laws, which every driver keeps (`shardStoreConformance` of `banyan/testing` checks them):
 *
 * 1. **The database knows what it owns.** Which buckets, and with which epoch, stands in it and changes only with its rows, in one
 *    transaction. A transaction of {@link within} holds its bucket from beginning to end: a bucket cannot be blocked, taken or
 *    given away under it.
 * 2. **A table has the rows of buckets that its database has, and no others.** Rows of a bucket that is coming, or has gone and
 *    may come back, are staged: in tables of ours beside. So plain SQL sees what belongs here.
 * 3. **Nothing escapes a capture.** After {@link ShardMoves.capture} has answered, every change of a row of its buckets is noted with the
 *    change, whoever makes it, until {@link ShardMoves.release}.
 * 4. **Every step may be done again**, and does nothing then. A step with a lower token than the highest the database has seen is
 *    refused with `BANYAN_STALE_TOKEN`, and the highest is raised in the same transaction.
 */
export interface ShardStore<Db> extends AsyncDisposable {
  /** Of the shard. */
  readonly id: string
  readonly engine: 'sqlite' | 'postgres'
  /** What is done to move buckets. */
  readonly moves: ShardMoves

  /**
   * Checks the tables, and adds to them what sharding needs: the column `banyan_bucket` with its index and triggers, and tables
   * of ours. Rows that are there get their bucket; those that got it for another number of buckets, before the database was founded,
   * get another one. Does nothing if all of it is there.
   *
   * @param earlier - owners of beginnings that came to nothing: a database that was founded for one of them forgets it
   * @throws `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_FOREIGN`, `BANYAN_SHARD_UNAVAILABLE`
   */
  prepare(earlier?: readonly string[]): Promise<Prepared>

  /**
   * Says which buckets the database owns from the beginning, at epoch 1, if nobody has said so before.
   *
   * @param owner - drawn once for a sharded application: a database of another one is refused
   * @param earlier - owners of beginnings that came to nothing: a database that was founded for one of them is founded anew
   * @throws `BANYAN_SHARD_FOREIGN`; `BANYAN_SHARD_STRAY` if it has rows of other buckets; `BANYAN_SHARD_UNFIT` if it has rows, and was
   *   not prepared for this number of buckets
   */
  found(owner: string, buckets: readonly BucketRange[], earlier?: readonly string[]): Promise<void>

  /** What it says of itself; undefined before {@link found}. */
  identity(): Promise<ShardIdentity | undefined>

  /**
   * Works in one transaction, in which the database owns the bucket from beginning to end. Does not wait for a bucket that is
   * blocked: the router does, and asks again.
   *
   * @param mode - `'write'` commits what is done through `db`, `'read'` sees one moment
   * @throws `BANYAN_SHARD_MOVED` if it does not own the bucket, or not at `epoch`; `BANYAN_SHARD_BUSY` if the bucket is blocked;
   *   `BANYAN_SHARD_KEY_MISMATCH`, `BANYAN_SHARD_KEY_CHANGED`, `BANYAN_SHARD_KEY_REQUIRED` for rows that are not of the key;
   *   `BANYAN_SHARD_UNAVAILABLE`; what the work throws
   */
  within<Result>(
    bucket: number,
    mode: 'read' | 'write',
    work: (db: Db) => Maybe<Result>,
    options?: WithinOptions,
  ): Promise<Result>

  /** Works in a transaction without a bucket, for reference tables; rows of sharded tables cannot be inserted in it. */
  transact<Result>(work: (db: Db) => Maybe<Result>): Promise<Result>

  /** All rows of a query, and what the database owned in the same moment. */
  query(sql: string, parameters: readonly unknown[], options?: QueryOptions): Promise<ShardRows>

  /** The same, some rows at a time, of one moment. */
  cursor(sql: string, parameters: readonly unknown[], options?: QueryOptions): Promise<ShardCursor>

  owned(): Promise<OwnedBuckets>

  /** Columns and primary keys of the sharded tables: moves need them to be the same everywhere. */
  shapes(): Promise<Readonly<Record<string, TableShape>>>

  close(): Promise<void>
}

/** The steps of moves: of the database that gives buckets away, and of the one that takes them. */
export interface ShardMoves {
  /** From the answer on changes of the buckets are noted. Waits for transactions that write to them. */
  capture(step: MoveStep): Promise<void>
  /** Rows of one bucket that the database has, in the order of their primary key. */
  readPage(step: MoveStep, page: PageQuery): Promise<RowPage>
  /** What was noted, and is not forgotten: which rows, and what is in them now. */
  readChanges(step: MoveStep, limit: number): Promise<ChangeBatch>
  /** After these changes were applied. */
  forgetChanges(step: MoveStep, marks: readonly string[]): Promise<void>
  /**
   * Nobody reads or writes the buckets any more, and all who did have ended.
   *
   * @param wait - how long to wait for them, in ms
   * @returns the epochs at which they are owned
   * @throws `BANYAN_SHARD_BUSY`; then they are not blocked
   */
  block(step: MoveStep, wait: number): Promise<readonly BucketEpoch[]>
  unblock(step: MoveStep): Promise<void>
  /** Rows of blocked buckets are staged, and the buckets are not owned any more: after another database has adopted them. */
  retire(step: MoveStep): Promise<void>
  /** Changes are not noted any more, and forgotten. */
  release(step: MoveStep): Promise<void>

  /** How far a copy has come. */
  staged(step: MoveStep): Promise<Staged>
  /** Stages rows of a page, and notes how far the copy has come, in one transaction. */
  writePage(step: MoveStep, page: PageQuery, rows: RowPage): Promise<void>
  /** Stages what rows have become. */
  applyChanges(step: MoveStep, changes: readonly RowChange[]): Promise<void>
  /**
   * Staged rows come into the tables, and the buckets are owned, one epoch higher; their changes are noted from then on.
   *
   * @param within - how long a statement of it may take, in ms, where the engine can end it; default without a limit
   * @throws `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_BUSY`; then they are not adopted
   */
  adopt(step: MoveStep, epochs: readonly BucketEpoch[], within?: number): Promise<void>
  /** Removes staged rows; those of buckets that were adopted are none. */
  discard(step: MoveStep): Promise<void>
  /** The primary key of a row that is staged, and there already: in another bucket. */
  conflict(step: MoveStep, table: string): Promise<string | undefined>
  /**
   * The primary key of a row that refers to one of those that go, and stays, as it is in another bucket: it would be deleted with
   * that one, or left without it.
   */
  leftBehind(step: MoveStep, table: string): Promise<string | undefined>
  /** Of rows that it has, or that are staged. Of keys that are not there nothing comes back. */
  digests(step: MoveStep, table: string, keys: readonly string[], where: RowPlace): Promise<DigestedRows>
  count(step: MoveStep, table: string, where: RowPlace): Promise<number>
}

/** Where rows are: in the tables, or staged. */
export type RowPlace = 'tables' | 'staged'

/** For whom a step is done. */
export interface MoveStep {
  /** Of the move. */
  readonly id: string
  readonly buckets: readonly number[]
  /** Of who does it: the fencing token. */
  readonly token: number
}

/** What is to be sharded. */
export interface ShardedTables {
  /** The tables whose rows have a bucket, and the column that decides it. */
  readonly tables: Readonly<Record<string, { readonly key: string }>>
  /** Tables that are the same in every database, and never moved. */
  readonly reference?: readonly string[]
}

/** What {@link ShardStore.prepare} has done. */
export interface Prepared {
  /** Whether anything was missing. */
  readonly changed: boolean
  /** How many rows have got their bucket. */
  readonly filled: number
}

/** What a database says of itself. */
export interface ShardIdentity {
  /** Of the sharded application. */
  readonly name: string
  /** Drawn when it was founded. */
  readonly owner: string
  readonly shard: string
  readonly buckets: number
}

/** What is in a database that may become a shard, or be one: found out without changing it. */
export interface ShardInspection {
  readonly engine: 'sqlite' | 'postgres'
  /** Whether the tables of a shard are there. */
  readonly isPrepared: boolean
  /** Undefined before it was founded. */
  readonly identity: ShardIdentity | undefined
  /** Tables that have rows: of those that are to be sharded, and of those that are. */
  readonly filled: readonly string[]
  /** Whether buckets of it are on their way, or were, and are not dropped at their source yet. */
  readonly isMoving: boolean
}

/** Options of {@link ShardStore.within}. */
export interface WithinOptions {
  /** The key of the rows that may be inserted. */
  readonly key?: string | undefined
  /** What the router takes the bucket to be at. */
  readonly epoch?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Options of {@link ShardStore.query}. */
export interface QueryOptions {
  readonly signal?: AbortSignal | undefined
}

/** From, and up to without. */
export type BucketRange = readonly [from: number, to: number]
/** From, up to without, and the epoch of all of them. */
export type OwnedRange = readonly [from: number, to: number, epoch: number]
/** A bucket and the epoch at which it is owned. */
export type BucketEpoch = readonly [bucket: number, epoch: number]

/** What a database owns at a moment. */
export interface OwnedBuckets {
  /** Rises with every change of it. */
  readonly version: number
  /** Buckets whose rows are in its tables, also blocked ones; in order, and as few ranges as can be. */
  readonly ranges: readonly OwnedRange[]
  /** Those that are blocked. */
  readonly blocked: readonly number[]
}

/** By the names of the columns. */
export type Row = Record<string, unknown>

/** A column of an answer. */
export interface Column {
  readonly name: string
  readonly kind: ColumnKind
}

/**
 * What a column of an answer holds, as far as comparing and adding up go.
 *
 * | kind | values |
 * |---|---|
 * | `any` | each says by itself what it is, as in SQLite: null, number, text, bytes |
 * | `integer` | numbers, bigints, or texts of digits |
 * | `decimal` | texts of numbers with any number of digits |
 * | `float` | numbers |
 * | `text` | texts, whose order is a matter of a collation |
 * | `boolean`, `uuid`, `bytes`, `time` | what their name says |
 * | `other` | what only the engine can put in order |
 */
export type ColumnKind =
  'any' | 'integer' | 'decimal' | 'float' | 'boolean' | 'text' | 'uuid' | 'bytes' | 'time' | 'other'

/** What {@link ShardStore.query} answers. */
export interface ShardRows {
  /** Also if there are no rows. */
  readonly columns: readonly Column[]
  readonly rows: Row[]
  readonly owned: OwnedBuckets
}

/** Rows of a query as they are asked for. It holds a connection until it is closed, and closes itself when the signal aborts. */
export interface ShardCursor {
  readonly columns: readonly Column[]
  readonly owned: OwnedBuckets
  /** The next ones, up to so many; none behind the last. */
  read(limit: number): Promise<Row[]>
  close(): Promise<void>
}

/** What a table is made of. */
export interface TableShape {
  /** By name; without generated ones. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Columns of the primary key, in its order. */
  readonly primaryKey: readonly string[]
}

/** That a table refers to a sharded one, by some of its columns. */
export interface Reference {
  readonly parent: string
  readonly columns: readonly { readonly own: string; readonly parent: string }[]
}

/** Which rows of a copy are asked for. */
export interface PageQuery {
  readonly table: string
  readonly bucket: number
  /** The primary key of the last one before; undefined from the first. */
  readonly after: string | undefined
  readonly limit: number
}

/** Some rows on their way. */
export interface RowPage {
  readonly rows: readonly MovedRow[]
  /** Whether there are none behind it. */
  readonly last: boolean
}

/** A row on its way. */
export interface MovedRow {
  /** Its primary key, as the driver writes it. */
  readonly key: string
  /** What decides its bucket, as text. */
  readonly shardKey: string | null
  readonly bucket: number
  /** Of what is in it, for {@link ShardMoves.digests} to compare. */
  readonly digest: string
  /** About, in bytes. */
  readonly size: number
  /** For the driver of the same engine only. */
  readonly image: unknown
}

/** A row that has changed. */
export interface RowChange {
  readonly table: string
  readonly bucket: number
  readonly key: string
  /** What is there now; undefined if nothing is. */
  readonly row: MovedRow | undefined
}

/** What was noted. */
export interface ChangeBatch {
  /** Each row once. */
  readonly changes: readonly RowChange[]
  /** For {@link ShardMoves.forgetChanges}. */
  readonly marks: readonly string[]
}

/** What is staged in a database. */
export interface Staged {
  /** Whether it owns the buckets by now. */
  readonly adopted: boolean
  /** Of pages that were written: by table and bucket. */
  readonly progress: readonly StagedProgress[]
}

/** How far the copy of one bucket of one table has come. */
export interface StagedProgress {
  readonly table: string
  readonly bucket: number
  readonly after: string | undefined
  readonly last: boolean
  readonly rows: number
}

/** Digests of rows by their primary key. */
export type DigestedRows = ReadonlyMap<string, string>

/** What is told when a database is opened as a shard. */
export interface ShardSpec extends ShardedTables {
  /** Of the sharded application. */
  readonly name: string
  /** Of the shard. */
  readonly id: string
  /** How many there are, for ever. */
  readonly buckets: number
}

/** Of a bucket that another database owns, or will. */
export function shardMoved(shard: string, bucket: number, epoch?: number): Error {
  const at = epoch === undefined ? '' : ` at epoch ${epoch}`
  return coordinationError(
    'BANYAN_SHARD_MOVED',
    `the shard ${JSON.stringify(shard)} does not own bucket ${bucket}${at}: read the map again`,
  )
}

/** Of a bucket that is about to be switched. */
export function shardBusy(shard: string, what: string, cause?: unknown): Error {
  return coordinationError(
    'BANYAN_SHARD_BUSY',
    `the shard ${JSON.stringify(shard)}: ${what}; nothing was done`,
    cause,
  )
}

/** Of a step by who is not the one to do it any more. */
export function staleStep(shard: string, { id, token }: MoveStep, highest: number): Error {
  return coordinationError(
    'BANYAN_STALE_TOKEN',
    `the shard ${JSON.stringify(shard)} has seen token ${highest}, so a step of the move ${JSON.stringify(id)} with token ${token} is refused: somebody else has taken over`,
  )
}

/**
 * Checks that a database is of the shard that it was opened as.
 *
 * @param where - the database, in words
 * @param owner - of the map; undefined: whatever it says
 * @throws `BANYAN_SHARD_FOREIGN`
 */
export function mustBeOf(
  { name, id, buckets }: ShardSpec,
  where: string,
  identity: ShardIdentity | undefined,
  owner = identity?.owner,
): void {
  if (!identity) return
  const isSame = identity.name === name && identity.shard === id && identity.buckets === buckets
  if (isSame && identity.owner === owner) return
  const was = `${where} was opened as the shard ${JSON.stringify(id)} of ${JSON.stringify(name)} with ${buckets} buckets`
  throw coordinationError(
    'BANYAN_SHARD_FOREIGN',
    isSame
      ? `${was}, and is that of another map: one on another coordinator, or one that is gone. Open it there; if its map is lost for good, \`banyan shards unprepare --force\` takes sharding off it`
      : `${was}; it is ${JSON.stringify(identity.shard)} of ${JSON.stringify(identity.name)} with ${identity.buckets}` +
          (identity.owner === owner ? '' : ', under another map'),
  )
}

/** Of a database whose rows have no buckets yet, or those of another count. */
export function unmarked({ id, buckets }: ShardSpec): Error {
  return unfit(id, `rows of it have not got one of ${buckets} buckets: prepare it`)
}

/** Of a row in a bucket that another database is to own, or in none. */
export function shardStray(shard: string, table: string, bucket: unknown): Error {
  return coordinationError(
    'BANYAN_SHARD_STRAY',
    `the shard ${JSON.stringify(shard)} has rows of ${JSON.stringify(table)} in bucket ${String(bucket)}, which another one is to own: ` +
      'give it all buckets at first, and move them',
  )
}

/**
 * Of a table whose columns are not those that rows are staged with, so that none of it can move.
 *
 * @param isStaged - whether rows are: they are not made to fit, as they may have to go back as they were
 */
export function changedSince(shard: string, table: string, isStaged: boolean): Error {
  const name = JSON.stringify(table)
  return unfit(
    shard,
    isStaged
      ? `the table ${name} was changed while rows of it are on their way, and nothing of it moves as it is: undo the change in every database, or finish the moves that are switched and abort the others, and then prepare it with \`banyan shards prepare\``
      : `the table ${name} is not prepared, or was changed since: prepare it, with \`banyan shards prepare\``,
  )
}

/** How drivers call the tables that make a database a shard, and the first of them. */
export const SHARD_TABLES = {
  name: 'a shard',
  table: 'banyan_shard',
  madeBy: 'banyan shards prepare',
  codes: { unavailable: 'BANYAN_SHARD_UNAVAILABLE', closed: 'BANYAN_SHARD_CLOSED' },
} as const

/** Of tables that cannot be sharded as they are. */
export function unfit(shard: string, problem: string, cause?: unknown): Error {
  return coordinationError('BANYAN_SHARD_UNFIT', `the shard ${JSON.stringify(shard)}: ${problem}`, cause)
}

/**
 * The error of ours that the text of a database's begins with, as its triggers say it: `BANYAN_SHARD_KEY_CHANGED: ...`.
 *
 * @returns undefined if it is none of ours
 */
export function saidByTrigger(shard: string, error: unknown): Error | undefined {
  const said = error instanceof Error ? /(BANYAN_SHARD_[A-Z_]+): (.*)/s.exec(error.message) : null
  if (!said || !isTriggerCode(said[1]!)) return undefined
  return coordinationError(said[1], `the shard ${JSON.stringify(shard)}: ${said[2]}`, error)
}

const TRIGGER_CODES = [
  'BANYAN_SHARD_KEY_REQUIRED',
  'BANYAN_SHARD_KEY_MISMATCH',
  'BANYAN_SHARD_KEY_CHANGED',
  'BANYAN_SHARD_MOVED',
  'BANYAN_SHARD_BUSY',
  'BANYAN_SHARD_UNFIT',
] as const

function isTriggerCode(code: string): code is (typeof TRIGGER_CODES)[number] {
  return (TRIGGER_CODES as readonly string[]).includes(code)
}

/** Tables in an order in which those that are referred to come first, as far as there is one. */
export function parentsFirst(tables: ReadonlyMap<string, readonly string[]>): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (table: string): void => {
    if (seen.has(table)) return
    seen.add(table)
    for (const parent of tables.get(table) ?? []) if (tables.has(parent)) visit(parent)
    order.push(table)
  }
  for (const table of tables.keys()) visit(table)
  return order
}

/** As few ranges as can be of buckets with their epochs, in order. */
export function rangesOf(buckets: readonly BucketEpoch[]): OwnedRange[] {
  const ranges: [number, number, number][] = []
  for (const [bucket, epoch] of buckets) {
    const last = ranges.at(-1)
    if (last?.[1] === bucket && last[2] === epoch) last[1]++
    else ranges.push([bucket, bucket + 1, epoch])
  }
  return ranges
}
