import type { Coordinator } from '../../coordination/coordinator.js'
import { KEYSPACE, nameOf } from '../../coordination/keyspace.js'
import {
  decodeDataShards,
  readDataShards,
  type DataMove,
  type DataShardMap,
} from '../../coordination/sharding/data/map.js'
import { readMoveHistory, type PastDataMove } from '../../coordination/sharding/data/history.js'
import { readMovers, type Mover } from '../../coordination/sharding/data/moves/mover.js'
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
  /** Who makes the moves; if nobody does they stand still. */
  readonly mover?: Mover
}

/** A database that has rows of a sharded application. */
export interface DatabaseStatus {
  readonly shard: string
  readonly weight: number
  /** How many it has. */
  readonly buckets: number
}

/** A sharded application with who has which bucket, and its past. */
export interface DataShardsDetail extends DataShardsStatus {
  readonly owners: DataShardMap['owners']
  /** Moves that are over, oldest first. */
  readonly history: readonly PastDataMove[]
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
  const [{ entries }, movers] = await Promise.all([
    coordinator.list(KEYSPACE.dataShards),
    readMovers(coordinator),
  ])
  return entries.map((entry) => {
    const name = nameOf(entry.key.slice(KEYSPACE.dataShards.length))
    return statusOf(name, decodeDataShards(entry), movers.get(name))
  })
}

/** Undefined if there are none of that name. */
export async function showDataShards(
  coordinator: Coordinator,
  name: string,
): Promise<DataShardsDetail | undefined> {
  const [map, movers, history] = await Promise.all([
    readDataShards(coordinator, name),
    readMovers(coordinator),
    readMoveHistory(coordinator, name),
  ])
  return map && { ...statusOf(name, map, movers.get(name)), owners: map.owners, history }
}

function statusOf(
  name: string,
  { buckets, founded, version, shards, owners, moves }: DataShardMap,
  mover: Mover | undefined,
): DataShardsStatus {
  const has = new Map<string, number>()
  for (const [from, to, shard] of owners) has.set(shard, (has.get(shard) ?? 0) + to - from)
  return {
    ...{ name, buckets, founded, version, moves },
    ...(mover && { mover }),
    databases: Object.entries(shards).map(([shard, { weight }]) => ({
      ...{ shard, weight },
      buckets: has.get(shard) ?? 0,
    })),
  }
}
