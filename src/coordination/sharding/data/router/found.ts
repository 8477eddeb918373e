import type { Coordinator } from '../../../coordinator.js'
import { coordinationError } from '../../../errors.js'
import { changeDataShards, dataShardsKey, readDataShards, type DataShard, type DataShardMap } from '../map.js'
import type { BucketRange, ShardStore } from '../store.js'
import { evenOwners } from './even-owners.js'

/** What whoever opens it says of it. */
export interface Founding {
  /** Of all databases. */
  readonly weights: ReadonlyMap<string, number>
  /** Those of {@link weights} that were said, and not only meant. */
  readonly said: ReadonlySet<string>
  /** Undefined: as many as there are, or 1024. */
  readonly buckets: number | undefined
}

const BUCKETS = 1024

/**
 * Reads the map, or makes it; databases that are new get no buckets. Weights that were said are those of the map from then on: plans
 * go by them, and nothing moves by itself.
 *
 * @throws `BANYAN_NAME_CLASH` if it has another number of buckets; `BANYAN_SHARD_UNKNOWN` if it names databases that are not given
 */
export async function joinMap(
  coordinator: Coordinator,
  name: string,
  { weights, said, buckets }: Founding,
): Promise<DataShardMap> {
  const map =
    (await readDataShards(coordinator, name)) ?? (await makeMap(coordinator, name, weights, buckets))
  if (buckets !== undefined && buckets !== map.buckets)
    throw coordinationError(
      'BANYAN_NAME_CLASH',
      `the data shards ${name} have ${map.buckets} buckets, for ever, and were opened with ${buckets}`,
    )
  const absent = Object.keys(map.shards).filter((shard) => !weights.has(shard))
  if (absent.length > 0)
    throw coordinationError(
      'BANYAN_SHARD_UNKNOWN',
      `the data shards ${name} have databases that were not given: ${absent.join(', ')}; name them in databases`,
    )
  const news = ({ shards }: DataShardMap): [string, DataShard][] =>
    [...weights]
      .filter(([shard, weight]) => !shards[shard] || (said.has(shard) && shards[shard].weight !== weight))
      .map(([shard, weight]) => [shard, { weight }])
  if (news(map).length === 0) return map
  return changeDataShards(coordinator, name, (now) =>
    news(now).length === 0 ? now : { ...now, shards: { ...now.shards, ...Object.fromEntries(news(now)) } },
  )
}

async function makeMap(
  coordinator: Coordinator,
  name: string,
  weights: ReadonlyMap<string, number>,
  buckets = BUCKETS,
): Promise<DataShardMap> {
  const { random } = coordinator.runtime
  const made: DataShardMap = {
    buckets,
    owner: Array.from({ length: 4 }, () =>
      Math.floor(random.next() * 2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    ).join(''),
    founded: false,
    version: 1,
    token: 0,
    shards: Object.fromEntries([...weights].map(([shard, weight]) => [shard, { weight }])),
    owners: evenOwners(buckets, weights),
    moves: [],
  }
  // Whoever was first has made it.
  await coordinator.put(dataShardsKey(name), JSON.stringify(made), { expected: 'absent' })
  return (await readDataShards(coordinator, name)) ?? made
}

/**
 * Tells databases what they own, if they have not been told.
 *
 * @throws `BANYAN_SHARD_FOREIGN` for a database of another map, or one that has lost what it knew
 */
export async function foundShards(
  coordinator: Coordinator,
  name: string,
  map: DataShardMap,
  stores: readonly ShardStore<unknown>[],
): Promise<DataShardMap> {
  for (const store of stores) {
    const own = map.owners
      .filter(([, , shard]) => shard === store.id)
      .map(([from, to]): BucketRange => [from, to])
    if (!map.founded) await store.found(map.owner, own)
    else if (own.length === 0 || (await store.identity())) await store.found(map.owner, [])
    else
      throw coordinationError(
        'BANYAN_SHARD_FOREIGN',
        `the database of the shard ${store.id} knows nothing of the buckets that the map says it has: it is another database, or an empty one in its place`,
      )
  }
  if (map.founded) return map
  return changeDataShards(coordinator, name, (now) => (now.founded ? now : { ...now, founded: true }))
}
