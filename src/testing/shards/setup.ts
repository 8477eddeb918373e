import type { ShardStore } from '../../coordination/sharding/data/store.js'
import type { Maybe } from '../../core/maybe.js'

/** Databases to try, and how to use the tables in them. */
export interface ShardStoreSetup<Db> {
  /**
   * Opens two empty databases, `a` and `b`, of a sharded application with 8 buckets, in which are these tables, and prepares them:
   *
   * - `items (id, owner, amount)`: text, text and a whole number; the primary key is `id`, the shard key `owner`
   * - `parts (item, number, owner, note)`: text, whole number, text and text or null; the primary key is `item, number`, the shard
   *   key `owner`; `item` refers to `items`, whose deletion cascades
   */
  readonly open: () => Promise<ShardStoresUnderTest<Db>>
  /** Runs a statement with values at `?`, in a transaction of the store; gives the rows of one that selects. */
  readonly run: (db: Db, sql: string, values: readonly (string | number | null)[]) => Maybe<readonly object[]>
}

/** Databases that a case tries. */
export interface ShardStoresUnderTest<Db> {
  readonly stores: readonly [a: ShardStore<Db>, b: ShardStore<Db>]
  /** Opens the first one again, as another process would; as another shard, or of another application, if so asked. */
  readonly connect: (as?: { name?: string; id?: string }) => Promise<ShardStore<Db>>
  /** Runs a statement past the store, as any other client of the database. */
  readonly outside: (shard: 0 | 1, sql: string) => Promise<void>
  readonly dispose?: () => Promise<void>
}

/** What a case works with. */
export interface ShardTrial<Db> extends ShardStoresUnderTest<Db> {
  readonly a: ShardStore<Db>
  readonly b: ShardStore<Db>
  /** Runs a statement in a transaction of the store. */
  readonly run: (db: Db, sql: string) => Promise<void>
  /** Inserts an item in a transaction of its owner. */
  readonly add: (store: ShardStore<Db>, id: string, owner: string, amount: number) => Promise<void>
  /** Runs a statement in a transaction that writes for a key. */
  readonly write: (
    store: ShardStore<Db>,
    key: string,
    sql: string,
    ...values: (string | number | null)[]
  ) => Promise<void>
  /** All items that a database has, as `id owner amount`. */
  readonly items: (store: ShardStore<Db>) => Promise<string[]>
}

export interface ShardStoreCase {
  readonly name: string
  readonly run: <Db>(trial: ShardTrial<Db>) => Promise<void>
}
