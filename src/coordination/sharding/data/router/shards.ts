import { backoffWait } from '../../../../core/backoff.js'
import { sleep } from '../../../../core/clock.js'
import { duration } from '../../../../core/duration.js'
import type { Maybe } from '../../../../core/maybe.js'
import type { Coordinator } from '../../../coordinator.js'
import { coordinationError, hasCode } from '../../../errors.js'
import { bucketOf } from '../../buckets.js'
import type { DataShardMap } from '../map.js'
import type { ScatterContext } from '../scatter/context.js'
import type { KnownTables } from '../scatter/tables-of.js'
import { queryPlan, type ShardQueryOptions } from '../scatter/options.js'
import { scatter, type ShardAnswer } from '../scatter/query.js'
import { scatterStream, type ShardStream } from '../scatter/stream.js'
import type { Row, ShardStore } from '../store.js'
import { FollowedMap } from './followed-map.js'
import { awayOf } from './late-store.js'
import { RouterMeter } from './meter.js'
import type { ShardsOptions } from './options.js'
import { mustBeStatement, readManyOf, type KeyedStatement } from './read-many.js'
import { shardKeyText, type ShardKey } from './shard-key.js'

/** Tables of an application that are spread over several databases by a key. `Db` is what works on them in a transaction. */
export interface Shards<Db> extends AsyncDisposable {
  readonly name: string
  readonly engine: 'sqlite' | 'postgres'
  /** The databases by the names of their shards, for `runMoves`. */
  readonly stores: ReadonlyMap<string, ShardStore<Db>>
  /**
   * Databases that were away when they were to be opened, and why. They are tried again; until then what is asked of them fails with
   * `BANYAN_SHARD_UNAVAILABLE`.
   */
  readonly away: Readonly<Record<string, string>>
  /** Which database has which buckets, as far as this process knows. */
  readonly map: DataShardMap
  /** Which bucket a key is in: for ever the same. */
  bucketOf(key: ShardKey): number
  /** Which database has a key, as far as this process knows. */
  shardOf(key: ShardKey): string

  /**
   * Works in a transaction on the database that has a key, and commits it. All rows that it writes are of that key. It is begun anew only
   * if nothing was done: when the key has moved, or is on its way.
   *
   * @param key - number and text are the same: 7 and '7'
   * @throws `BANYAN_SHARD_KEY_REQUIRED`, `BANYAN_SHARD_KEY_MISMATCH`, `BANYAN_SHARD_KEY_CHANGED`; `BANYAN_SHARD_BUSY` if the key was on its
   *   way for longer than `wait`; `BANYAN_SHARD_UNAVAILABLE`, `BANYAN_SHARD_UNKNOWN`; what the work throws, then nothing is done
   */
  write<Result>(key: ShardKey, work: (db: Db) => Maybe<Result>, options?: RoutedOptions): Promise<Result>

  /** The same in a transaction that sees one moment and changes nothing. */
  read<Result>(key: ShardKey, work: (db: Db) => Maybe<Result>, options?: RoutedOptions): Promise<Result>

  /**
   * Reads rows of several keys: one statement for each database that has some of them, in one moment of that database.
   *
   * @param statement - makes the statement for the keys that are in one database; it is sent as it is
   * @returns rows, in no order
   */
  readMany<Key extends ShardKey>(
    keys: readonly Key[],
    statement: (keys: readonly Key[], shard: string) => KeyedStatement,
    options?: RoutedOptions,
  ): Promise<Row[]>

  /**
   * Works in a transaction on each database, one after the other: for reference tables. There is no transaction over several databases:
   * if one fails, it is done in those before, and not in those behind; so write it in a way that can be done again.
   *
   * @returns results by shard
   * @throws `BANYAN_SHARDS_UNAVAILABLE`, which says in which it was done; its `cause` is what happened; `BANYAN_SHARD_KEY_REQUIRED` for
   *   rows of sharded tables
   */
  writeAll<Result>(
    work: (db: Db, shard: string) => Maybe<Result>,
    options?: RoutedOptions,
  ): Promise<Map<string, Result>>

  /**
   * Asks all databases, and merges what they answer to what one with all rows would.
   *
   * @param sql - a `SELECT` without `ORDER BY`, `LIMIT` and `OFFSET`, which are options here
   * @throws `BANYAN_QUERY_NOT_MERGEABLE` for what cannot be merged; `BANYAN_SHARDS_UNAVAILABLE` if a database does not answer;
   *   `BANYAN_SHARDS_UNSETTLED` if a bucket was in two databases or in none for longer than `wait`; `BANYAN_QUERY_TOO_LARGE`;
   *   `BANYAN_INVALID_OPTIONS`; what the engine says of a statement that is wrong
   */
  query(sql: string, parameters?: readonly unknown[], options?: ShardQueryOptions): Promise<ShardAnswer>

  /** The same with rows that come as they are asked for, however many there are. Throws as `query`, and when rows are read. */
  queryStream(sql: string, parameters?: readonly unknown[], options?: ShardQueryOptions): Promise<ShardStream>

  /** Closes the databases, but for pools that were given. */
  close(): Promise<void>
}

/** Options of a read or write. */
export interface RoutedOptions {
  /** Ends the waiting for a bucket that is on its way, and what the engine can end. */
  signal?: AbortSignal
}

/** Between tries to reach a bucket that is on its way, in ms. */
const AGAIN = { base: 2, factor: 2, max: 100 }

const NEVER = new AbortController().signal

/** Routes by the map, and where that is wrong by what the databases say. */
export class RoutedShards<Db> implements Shards<Db> {
  readonly name: string
  readonly engine: 'sqlite' | 'postgres'
  readonly #coordinator: Coordinator
  readonly stores: ReadonlyMap<string, ShardStore<Db>>
  readonly #followed: FollowedMap
  readonly #meter: RouterMeter
  readonly #heat: ShardsOptions<unknown>['heat']
  readonly #waitMs: number
  readonly #scatter: ScatterContext

  constructor(
    coordinator: Coordinator,
    name: string,
    map: DataShardMap,
    stores: readonly ShardStore<Db>[],
    {
      tables,
      reference = [],
      heat,
      wait = '5s',
    }: Pick<ShardsOptions<unknown>, 'tables' | 'reference' | 'heat' | 'wait'>,
  ) {
    this.name = name
    this.engine = stores[0]!.engine
    this.#coordinator = coordinator
    this.stores = new Map(stores.map((store) => [store.id, store]))
    this.#followed = new FollowedMap(coordinator, name, map)
    this.#meter = new RouterMeter(coordinator.runtime, name)
    this.#heat = heat
    this.#waitMs = duration(wait, 'wait')
    this.#scatter = this.#scatterContext({ tables, reference })
  }

  get away(): Readonly<Record<string, string>> {
    return awayOf(this.stores.values())
  }

  get map(): DataShardMap {
    return this.#followed.map
  }

  bucketOf(key: ShardKey): number {
    return bucketOf(shardKeyText(key), this.map.buckets)
  }

  shardOf(key: ShardKey): string {
    return this.#followed.ownerOf(this.bucketOf(key))
  }

  write<Result>(
    key: ShardKey,
    work: (db: Db) => Maybe<Result>,
    options: RoutedOptions = {},
  ): Promise<Result> {
    return this.#routed(key, 'write', work, options)
  }

  read<Result>(key: ShardKey, work: (db: Db) => Maybe<Result>, options: RoutedOptions = {}): Promise<Result> {
    return this.#routed(key, 'read', work, options)
  }

  async readMany<Key extends ShardKey>(
    keys: readonly Key[],
    statement: (keys: readonly Key[], shard: string) => KeyedStatement,
    { signal = NEVER }: RoutedOptions = {},
  ): Promise<Row[]> {
    const keyed = keys.map((key) => {
      const text = shardKeyText(key)
      this.#heat?.record(text)
      return { key, bucket: bucketOf(text, this.map.buckets) }
    })
    return this.#patiently(signal, async (found) => {
      const byShard = new Map<string, typeof keyed>()
      for (const one of keyed) {
        const shard = this.#followed.ownerOf(one.bucket)
        const some = byShard.get(shard)
        if (some) some.push(one)
        else byShard.set(shard, [one])
      }
      const answers = await Promise.all(
        Array.from(byShard, async ([shard, some]) => {
          this.#meter.called(shard, 'read')
          return readManyOf(this.#storeOf(shard), some, statement, signal, found)
        }),
      )
      return answers.flat()
    })
  }

  async writeAll<Result>(
    work: (db: Db, shard: string) => Maybe<Result>,
    { signal = NEVER }: RoutedOptions = {},
  ): Promise<Map<string, Result>> {
    const results = new Map<string, Result>()
    for (const [shard, store] of this.stores) {
      try {
        signal.throwIfAborted()
        results.set(shard, await store.transact((db) => work(db, shard)))
      } catch (error) {
        if (hasCode(error, 'BANYAN_SHARD_KEY_REQUIRED'))
          throw coordinationError(
            'BANYAN_SHARD_KEY_REQUIRED',
            `writeAll is for reference tables, and ${error.message}: insert them with write(key, work), each key by itself`,
            error,
          )
        const left = [...this.stores.keys()].filter((other) => !results.has(other))
        throw coordinationError(
          'BANYAN_SHARDS_UNAVAILABLE',
          `writeAll failed in ${shard}: ${error instanceof Error ? error.message : String(error)}. It was done in ${[...results.keys()].join(', ') || 'none'}, not in ${left.join(', ')}: do it again`,
          error,
        )
      }
    }
    return results
  }

  async query(
    sql: string,
    parameters: readonly unknown[] = [],
    options: ShardQueryOptions = {},
  ): Promise<ShardAnswer> {
    mustBeStatement('query', sql, parameters)
    const plan = queryPlan('query', options)
    this.#mustHaveAll()
    return scatter(this.#scatter, sql, parameters, plan)
  }

  async queryStream(
    sql: string,
    parameters: readonly unknown[] = [],
    options: ShardQueryOptions = {},
  ): Promise<ShardStream> {
    mustBeStatement('queryStream', sql, parameters)
    const plan = queryPlan('queryStream', options)
    this.#mustHaveAll()
    return scatterStream(this.#scatter, sql, parameters, plan)
  }

  async close(): Promise<void> {
    await this.#followed.close()
    await Promise.all(Array.from(this.stores.values(), (store) => store.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #routed<Result>(
    key: ShardKey,
    mode: 'read' | 'write',
    work: (db: Db) => Maybe<Result>,
    { signal = NEVER }: RoutedOptions,
  ): Promise<Result> {
    const text = shardKeyText(key)
    const bucket = bucketOf(text, this.map.buckets)
    this.#heat?.record(text)
    return this.#patiently(signal, async (found) => {
      const shard = this.#followed.ownerOf(bucket)
      this.#meter.called(shard, mode)
      found.bucket = bucket
      return this.#storeOf(shard).within(
        bucket,
        mode,
        (db) => {
          // What the work says of other shards is not of this bucket.
          found.isWorking = true
          return work(db)
        },
        { key: text, ...(signal !== NEVER && { signal }) },
      )
    })
  }

  /** Tries until the bucket that is asked for is where it is looked for. */
  async #patiently<Result>(
    signal: AbortSignal,
    attempt: (found: Attempt) => Promise<Result>,
  ): Promise<Result> {
    const { clock, random } = this.#coordinator.runtime
    let deadline: number | undefined
    for (let failures = 1; ; failures++) {
      const found: Attempt = { bucket: undefined, isWorking: false }
      try {
        return await attempt(found)
      } catch (error) {
        const isMoved = hasCode(error, 'BANYAN_SHARD_MOVED')
        if (found.isWorking || (!isMoved && !hasCode(error, 'BANYAN_SHARD_BUSY'))) throw error
        deadline ??= clock.now() + this.#waitMs
        if (clock.now() >= deadline)
          throw coordinationError(
            'BANYAN_SHARD_BUSY',
            `bucket ${found.bucket} was on its way for ${this.#waitMs} ms; nothing was done: ${error.message}`,
            error,
          )
        this.#meter.retried(isMoved ? 'moved' : 'busy')
        if (isMoved && (await this.#lookFor(found.bucket, signal))) continue
      }
      await sleep(clock, backoffWait(AGAIN, failures, 'equal', random), signal)
    }
  }

  /** Where a bucket is that is not where it was; whether that is known now. */
  async #lookFor(bucket: number | undefined, signal: AbortSignal): Promise<boolean> {
    if (bucket === undefined) return false
    const before = this.#followed.ownerOf(bucket)
    await this.#refresh(signal)
    if (this.#followed.ownerOf(bucket) !== before) return true
    // The map is the last to change in a switch, and the coordinator may be away.
    for (const [shard, store] of this.stores) {
      if (shard === before) continue
      const owned = await store.owned().catch(() => undefined)
      if (!owned?.ranges.some(([from, to]) => from <= bucket && bucket < to)) continue
      this.#followed.said(bucket, shard)
      return true
    }
    return false
  }

  /** A coordinator that does not answer is not waited for long. */
  async #refresh(signal: AbortSignal): Promise<void> {
    const { clock } = this.#coordinator.runtime
    const enough = new AbortController()
    await Promise.race([
      this.#followed.refresh(),
      sleep(clock, Math.min(500, this.#waitMs), AbortSignal.any([signal, enough.signal])).catch(
        () => undefined,
      ),
    ])
    enough.abort()
    signal.throwIfAborted()
  }

  #storeOf(shard: string): ShardStore<Db> {
    const store = this.stores.get(shard)
    if (store) return store
    throw this.#unknown(shard)
  }

  /** A query must not leave out what is in a database that came later. */
  #mustHaveAll(): void {
    for (const [, , shard] of this.map.owners) if (!this.stores.has(shard)) throw this.#unknown(shard)
  }

  #unknown(shard: string): Error {
    return coordinationError(
      'BANYAN_SHARD_UNKNOWN',
      `the map of ${this.name} names the database ${shard}, which this process was not given: open it with databases that have ${shard}`,
    )
  }

  #scatterContext(known: KnownTables): ScatterContext {
    return {
      engine: this.engine,
      known,
      runtime: this.#coordinator.runtime,
      waitMs: this.#waitMs,
      stores: () => [...this.stores.values()],
      map: () => this.map,
      refresh: (signal) => this.#refresh(signal),
      asked: (width) => this.#meter.asked(width),
      askedAgain: () => this.#meter.askedAgain(),
    }
  }
}

/** What is known of a try when it fails. */
export interface Attempt {
  bucket: number | undefined
  isWorking: boolean
}
