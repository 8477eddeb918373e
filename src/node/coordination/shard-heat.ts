import { BanyanError } from '../../core/errors.js'
import { hotShards, type HotFinding } from '../../coordination/sharding/heat/hot-shards.js'
import { snapshotOf, type HeatSnapshot, type HotKey } from '../../coordination/sharding/heat/snapshot.js'
import { depthOf, Layout, rootOf } from '../../coordination/sharding/map/layout.js'
import type { ShardMapPicture } from '../../coordination/sharding/map/read-shards.js'
import type { DataShardsDetail } from './shard-views.js'

/** Where the load of a shard map is. */
export interface ShardHeat {
  readonly name: string
  /** In the unit of whoever has measured it. */
  readonly total: number
  readonly owners: readonly OwnerHeat[]
  /** The hottest first, up to twenty. */
  readonly buckets: readonly BucketHeat[]
  /** The same; none unless a meter has counted keys. */
  readonly keys: readonly KeyHeat[]
  /** What is too hot, and what helps. */
  readonly findings: readonly HeatFinding[]
}

export interface OwnerHeat {
  readonly owner: string
  readonly weight: number
  readonly load: number
  /** As a multiple of what would be its part; 0 without any load. */
  readonly parts: number
}

export interface BucketHeat {
  readonly bucket: string
  readonly owner?: string
  readonly load: number
}

export type KeyHeat = Omit<HotKey, 'bucket'> & { readonly bucket: string }

/** What is too hot, with the bucket as it is called. */
export type HeatFinding = Omit<HotFinding, 'bucket'> & { readonly bucket?: string }

/** What has heat: buckets in the order of their ranges, and who can have them. */
interface Heated {
  readonly name: string
  readonly buckets: readonly string[]
  readonly owners: readonly (string | undefined)[]
  readonly weights: ReadonlyMap<string, number>
}

const SHOWN = 20

/**
 * Where the load of a shard map of workers is: as meters of its keys have measured it, or else as its workers say.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for what was measured with another number of buckets
 */
export function heatOfMap(map: ShardMapPicture, measured?: HeatSnapshot): ShardHeat {
  const layout = new Layout(map.buckets, map.splits)
  const heated = {
    name: map.name,
    buckets: layout.leaves,
    owners: map.owners.map(({ worker }) => worker),
    weights: new Map(
      map.workers.filter(({ draining }) => !draining).map(({ worker, weight }) => [worker, weight]),
    ),
  }
  if (!measured)
    return heatOf(
      heated,
      map.owners.map(({ load = 0 }) => load),
      [],
    )
  checkBuckets(map, measured)
  const places = new Map(layout.leaves.map((leaf, place) => [leaf, place]))
  return heatOf(
    heated,
    // Of a bucket that was split since, nobody has measured the halves.
    layout.leaves.map((leaf) => measured.buckets[Number(rootOf(leaf))]! / 2 ** depthOf(leaf)),
    measured.keys.map((key) => ({ ...key, bucket: places.get(layout.leafOf(key.key))! })),
  )
}

/**
 * The same of databases, whose load only meters know.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for what was measured with another number of buckets
 */
export function heatOfDatabases(map: DataShardsDetail, measured: HeatSnapshot): ShardHeat {
  checkBuckets(map, measured)
  const heated = {
    name: map.name,
    buckets: measured.buckets.map((_, bucket) => String(bucket)),
    owners: map.owners.flatMap(([from, to, shard]) => new Array<string>(to - from).fill(shard)),
    weights: new Map(map.databases.map(({ shard, weight }) => [shard, weight])),
  }
  return heatOf(heated, measured.buckets, measured.keys)
}

function heatOf(
  { name, buckets, owners, weights }: Heated,
  loads: readonly number[],
  keys: readonly HotKey[],
): ShardHeat {
  const snapshot = snapshotOf({ ...NO_TIME, buckets: loads, keys, keyLimit: keys.length, floor: 0 })
  const able = [...weights].filter(([, weight]) => weight > 0).map(([id, weight]) => ({ id, weight }))
  const all = able.reduce((sum, { weight }) => sum + weight, 0)
  const has = new Map<string, number>([...weights.keys()].map((owner) => [owner, 0]))
  for (const [place, owner] of owners.entries())
    if (owner !== undefined) has.set(owner, (has.get(owner) ?? 0) + loads[place]!)
  const hottest = [...loads.entries()].filter(([, load]) => load > 0).sort(([, a], [, b]) => b - a)
  return {
    name,
    total: snapshot.total,
    owners: Array.from(has, ([owner, load]) => {
      const weight = weights.get(owner) ?? 0
      const part = (snapshot.total * weight) / all
      return { owner, weight, load, parts: part > 0 ? load / part : 0 }
    }).sort((a, b) => b.load - a.load),
    buckets: hottest.slice(0, SHOWN).map(([place, load]) => ({
      bucket: buckets[place]!,
      ...(owners[place] !== undefined && { owner: owners[place] }),
      load,
    })),
    keys: keys.slice(0, SHOWN).map((key) => ({ ...key, bucket: buckets[key.bucket]! })),
    findings: hotShards(snapshot, owners, { workers: able }).map((finding) => called(finding, buckets)),
  }
}

/** Nothing of what is told depends on when, and how, it was measured. */
const NO_TIME = { at: 0, halfLife: 1 }

/** Heat is found by place; a bucket that was split is called otherwise. */
function called(finding: HotFinding, buckets: readonly string[]): HeatFinding {
  if (finding.kind === 'uneven') return finding
  const bucket = buckets[finding.bucket]!
  return { ...finding, bucket, text: finding.text.replace(/^bucket \d+/, `bucket ${bucket}`) }
}

function checkBuckets({ name, buckets }: { name: string; buckets: number }, measured: HeatSnapshot): void {
  if (measured.buckets.length !== buckets)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `what was measured has ${measured.buckets.length} buckets, and ${JSON.stringify(name)} has ${buckets}: make the meter with as many`,
    )
}
