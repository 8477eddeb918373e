import type { Coordinator } from '../../coordination/coordinator.js'
import { KEYSPACE, nameOf } from '../../coordination/keyspace.js'
import {
  decodeDataShards,
  readDataShards,
  type DataMove,
  type DataShardMap,
} from '../../coordination/sharding/data/map.js'
import { readShards, type ShardMapPicture } from '../../coordination/sharding/map/read-shards.js'

/** A shard map of workers, without what there is to say of each bucket, and its past. */
export interface ShardMapStatus extends Omit<ShardMapPicture, 'owners' | 'history'> {
  /** Since when a bucket has no owner, of the one that is longest without; in ms since the epoch. */
  readonly unownedSince?: number
}

/** A sharded application, as its map tells. */
export interface DataShardsStatus {
  readonly name: string
  readonly buckets: number
  /** Whether every database of the beginning has been told what it owns. */
  readonly founded: boolean
  /** Rises with every change. */
  readonly version: number
  readonly databases: readonly DatabaseStatus[]
  readonly moves: readonly DataMove[]
}

/** A database that has rows of a sharded application. */
export interface DatabaseStatus {
  readonly shard: string
  readonly weight: number
  /** How many it has. */
  readonly buckets: number
}

/** A sharded application with who has which bucket. */
export interface DataShardsDetail extends DataShardsStatus {
  readonly owners: DataShardMap['owners']
}

export async function listShardMaps(coordinator: Coordinator): Promise<ShardMapStatus[]> {
  return (await readShards(coordinator)).map((map) => {
    const { name, buckets, splits, workers, owners, unowned, moves, planner, plan, paused } = map
    const since = owners.flatMap(({ unownedSince }) => unownedSince ?? [])
    return {
      ...{ name, buckets, splits, workers, unowned, moves, planner, plan, paused },
      ...(since.length > 0 && { unownedSince: since.reduce((a, b) => Math.min(a, b)) }),
    }
  })
}

export async function listDataShards(coordinator: Coordinator): Promise<DataShardsStatus[]> {
  const { entries } = await coordinator.list(KEYSPACE.dataShards)
  return entries.map((entry) =>
    statusOf(nameOf(entry.key.slice(KEYSPACE.dataShards.length)), decodeDataShards(entry)),
  )
}

/** Undefined if there are none of that name. */
export async function showDataShards(
  coordinator: Coordinator,
  name: string,
): Promise<DataShardsDetail | undefined> {
  const map = await readDataShards(coordinator, name)
  return map && { ...statusOf(name, map), owners: map.owners }
}

function statusOf(
  name: string,
  { buckets, founded, version, shards, owners, moves }: DataShardMap,
): DataShardsStatus {
  const has = new Map<string, number>()
  for (const [from, to, shard] of owners) has.set(shard, (has.get(shard) ?? 0) + to - from)
  return {
    ...{ name, buckets, founded, version, moves },
    databases: Object.entries(shards).map(([shard, { weight }]) => ({
      ...{ shard, weight },
      buckets: has.get(shard) ?? 0,
    })),
  }
}
