import { BanyanError } from '../../../../core/errors.js'
import type { Coordinator } from '../../../coordinator.js'
import type { ShardSpec, ShardStore } from '../store.js'
import { foundShards, joinMap } from './found.js'
import { checkShardsOptions, type ShardsOptions } from './options.js'
import { RoutedShards, type Shards } from './shards.js'

/** Opens one database. */
export type OpenShard<Place, Db> = (where: Place, spec: ShardSpec) => Promise<ShardStore<Db>>

/** Opens all databases of a sharded application, tells new ones what they own, and follows the map. */
export async function openShardsWith<Place, Db>(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<Place>,
  open: OpenShard<Place, Db>,
): Promise<Shards<Db>> {
  const weights = checkShardsOptions(options)
  const { databases, tables, reference = [], migrate = true } = options
  const map = await joinMap(coordinator, name, {
    weights,
    said: new Set(Object.keys(options.weights ?? {})),
    buckets: options.buckets,
  })
  const stores: ShardStore<Db>[] = []
  try {
    for (const [id, where] of Object.entries(databases))
      stores.push(await open(where, { name, id, buckets: map.buckets, tables, reference }))
    const engines = new Set(stores.map(({ engine }) => engine))
    if (engines.size > 1)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `openShards: databases must be of one engine, got ${[...engines].join(' and ')}`,
      )
    if (migrate) for (const store of stores) await store.prepare()
    return new RoutedShards(
      coordinator,
      name,
      await foundShards(coordinator, name, map, stores),
      stores,
      options,
    )
  } catch (error) {
    await Promise.allSettled(stores.map((store) => store.close()))
    throw error
  }
}
