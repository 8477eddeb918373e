import { bucketOf } from '../../coordination/sharding/buckets.js'
import type { ShardStore } from '../../coordination/sharding/data/store.js'
import { CASES } from './cases.js'
import type { ShardStoreSetup } from './setup.js'

/** How many buckets the cases have. */
const BUCKETS = 8

/**
 * What every database that is to be a shard must do: one case a promise. Give each to the test runner; it throws what is not so.
 */
export function shardStoreConformance<Db>(
  setup: ShardStoreSetup<Db>,
): { readonly name: string; readonly run: () => Promise<void> }[] {
  return CASES.map(({ name, run }) => ({
    name,
    run: async () => {
      const opened = await setup.open()
      const others: ShardStore<Db>[] = []
      const [a, b] = opened.stores
      const write = (
        store: ShardStore<Db>,
        key: string,
        sql: string,
        ...values: (string | number | null)[]
      ): Promise<void> =>
        store.within(
          bucketOf(key, BUCKETS),
          'write',
          async (db) => {
            await setup.run(db, sql, values)
          },
          { key },
        )
      try {
        await run({
          ...opened,
          a,
          b,
          connect: async (as) => {
            const other = await opened.connect(as)
            others.push(other)
            return other
          },
          run: async (db, sql) => {
            await setup.run(db, sql, [])
          },
          write,
          add: (store, id, owner, amount) =>
            write(store, owner, 'INSERT INTO items (id, owner, amount) VALUES (?, ?, ?)', id, owner, amount),
          items: async (store) => {
            const { rows } = await store.query('SELECT id, owner, amount FROM items', [])
            return rows
              .map((row) => `${String(row['id'])} ${String(row['owner'])} ${String(row['amount'])}`)
              .sort()
          },
        })
      } finally {
        for (const store of [...others, a, b]) await store.close()
        await opened.dispose?.()
      }
    },
  }))
}

export type { ShardStoreSetup, ShardStoresUnderTest } from './setup.js'
