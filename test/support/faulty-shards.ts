import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import type { Coordinator, Shards, ShardsOptions } from '../../src/coordination/index.js'
import { openShardsWith } from '../../src/coordination/sharding/data/router/open.js'
import { changeDataShards, reowned } from '../../src/coordination/sharding/data/map.js'
import type { MoveStep, ShardStore } from '../../src/coordination/sharding/data/store.js'
import { inspectShard, openShardStore } from '../../src/drivers/open-shards.js'
import type { SqliteTables } from '../../src/drivers/sqlite/read-models/tables.js'
import { newDirectory } from './logs.js'

/** SQLite files with tables of orders, behind stores that can be made to fail. */
export class FaultyShards {
  readonly directory = newDirectory()
  /** Asked instead of the store, by shard and method. */
  readonly instead = new Map<string, (store: ShardStore<SqliteTables>, ...given: unknown[]) => unknown>()
  /** What was asked, as `shard method`. */
  readonly asked: string[] = []
  /** The stores behind, by shard. */
  readonly stores = new Map<string, ShardStore<SqliteTables>>()
  #token = 0

  open(
    coordinator: Coordinator,
    {
      shards = ['a', 'b', 'c'],
      ...options
    }: Partial<ShardsOptions<string>> & { shards?: readonly string[] } = {},
  ): Promise<Shards<SqliteTables>> {
    for (const shard of shards) {
      const database = new SQLite(this.fileOf(shard))
      database.exec(
        'CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, status TEXT); CREATE TABLE IF NOT EXISTS names (status TEXT PRIMARY KEY, label TEXT)',
      )
      database.close()
    }
    return openShardsWith<string, SqliteTables>(
      coordinator,
      'orders',
      {
        databases: Object.fromEntries(shards.map((shard) => [shard, `sqlite:${this.fileOf(shard)}`])),
        tables: { orders: { key: 'customer' } },
        reference: ['names'],
        buckets: 16,
        ...options,
      },
      {
        inspect: (where, spec) => inspectShard(where, spec, coordinator.runtime),
        open: async (where, spec) => {
          const store = (await openShardStore(where, spec, {
            runtime: coordinator.runtime,
          })) as ShardStore<SqliteTables>
          this.stores.set(spec.id, store)
          return new Proxy(store, {
            get: (_, name: string) => {
              const value: unknown = Reflect.get(store, name)
              if (typeof value !== 'function') return value
              return (...given: unknown[]) => {
                this.asked.push(`${spec.id} ${name}`)
                const instead = this.instead.get(`${spec.id} ${name}`)
                return instead
                  ? instead(store, ...given)
                  : (value as (...given: unknown[]) => unknown).apply(store, given)
              }
            },
          })
        },
      },
    )
  }

  fileOf(shard: string): string {
    return join(this.directory, `${shard}.db`)
  }

  /** The steps of a move of one bucket, without the map, each by itself. */
  move(
    bucket: number,
    from: string,
    to: string,
  ): Record<'copy' | 'block' | 'adopt' | 'retire', () => Promise<void>> {
    const step: MoveStep = { id: `move-${++this.#token}`, buckets: [bucket], token: this.#token }
    const source = this.stores.get(from)!.moves
    const target = this.stores.get(to)!.moves
    let epochs: Awaited<ReturnType<typeof source.block>> = []
    return {
      copy: async () => {
        await source.capture(step)
        const page = { table: 'orders', bucket, after: undefined, limit: 1000 }
        await target.writePage(step, page, await source.readPage(step, page))
      },
      block: async () => {
        epochs = await source.block(step, 5000)
        const { changes, marks } = await source.readChanges(step, 1000)
        await target.applyChanges(step, changes)
        await source.forgetChanges(step, marks)
      },
      adopt: () => target.adopt(step, epochs),
      retire: async () => {
        await source.retire(step)
        await target.release(step)
        await source.release(step)
        await source.discard(step)
      },
    }
  }

  async moveAll(bucket: number, from: string, to: string): Promise<void> {
    const move = this.move(bucket, from, to)
    await move.copy()
    await move.block()
    await move.adopt()
    await move.retire()
  }
}

/** What the executor of a move does last. */
export async function noteInMap(coordinator: Coordinator, bucket: number, to: string): Promise<void> {
  await changeDataShards(coordinator, 'orders', (map) => ({
    ...map,
    owners: reowned(map.owners, [bucket], to),
  }))
}
