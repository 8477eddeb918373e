import { BanyanError } from '../../../../core/errors.js'
import type { Coordinator } from '../../../coordinator.js'
import { coordinationError } from '../../../errors.js'
import {
  changeDataShards,
  dataShardsKey,
  mustStay,
  rangesIn,
  readDataShards,
  type DataShardMap,
} from '../map.js'
import type { ShardInspection, ShardStore } from '../store.js'
import { mustAdopt, mustBeFree, mustBeOfOneEngine, mustBePrepared } from './checks.js'
import { evenOwners } from './even-owners.js'
import { ofDatabase } from './of-database.js'
import { specOf, type ShardOpener, type ShardPlaces } from './opener.js'

/** What whoever opens it says of it. */
export interface Founding {
  /** That were said, by shard. */
  readonly weights: Readonly<Record<string, number>>
  /** Undefined: as many as there are, or 1024. */
  readonly buckets: number | undefined
  /** Whether to make what sharding needs. */
  readonly migrate: boolean
}

const BUCKETS = 1024

/**
 * Makes the map of a sharded application, and tells its databases what they own. What can be known is checked before anything is
 * changed. One that was begun and came to nothing is begun anew, as it is said now.
 *
 * @param before - the map that was begun
 * @returns undefined if somebody else has changed the map meanwhile: look at it again
 * @throws `BANYAN_SHARD_STRAY`, `BANYAN_SHARD_FOREIGN`, `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_UNAVAILABLE`, `BANYAN_INVALID_OPTIONS`
 */
export async function foundShards<Place, Db>(
  coordinator: Coordinator,
  places: ShardPlaces<Place>,
  before: DataShardMap | undefined,
  said: Founding,
  opener: ShardOpener<Place, Db>,
): Promise<{ map: DataShardMap; stores: ShardStore<Db>[] } | undefined> {
  if (before) mustStay(before, places.name)
  const wanted = wantedOf(places, before, said)
  const owners = [before?.owner, ...(before?.earlier ?? [])]
  const inspections = new Map<string, ShardInspection>()
  for (const [id, where] of Object.entries(places.databases)) {
    const spec = specOf(places, id, wanted.buckets)
    try {
      const found = await opener.inspect(where, spec)
      mustBeFree(spec, found.identity, owners)
      if (!said.migrate) mustBePrepared(spec, found)
      inspections.set(id, found)
    } catch (error) {
      throw ofDatabase(id, error)
    }
  }
  mustBeOfOneEngine(inspections)
  mustAdopt(
    places.name,
    inspections,
    new Map(Object.entries(wanted.shards).map(([id, { weight }]) => [id, weight])),
  )

  const map = await begin(coordinator, places.name, wanted, before)
  if (!map) return undefined
  const stores: ShardStore<Db>[] = []
  let isFounded = false
  try {
    for (const [id, where] of Object.entries(places.databases)) {
      const store = await opener.open(where, specOf(places, id, map.buckets))
      stores.push(store)
      if (said.migrate) await store.prepare(map.earlier)
    }
    for (const store of stores) await store.found(map.owner, rangesIn(map, store.id), map.earlier)
    const now = await changeDataShards(coordinator, places.name, (last) =>
      last.founded || last.owner !== map.owner ? last : { ...last, founded: true },
    )
    isFounded = now.founded && now.owner === map.owner
    return isFounded ? { map: now, stores } : undefined
  } finally {
    if (!isFounded) await Promise.allSettled(stores.map((store) => store.close()))
  }
}

type Beginning = Pick<DataShardMap, 'buckets' | 'shards' | 'owners'>

function wantedOf(
  { databases }: ShardPlaces<unknown>,
  before: DataShardMap | undefined,
  said: Founding,
): Beginning {
  const buckets = said.buckets ?? before?.buckets ?? BUCKETS
  const shards = Object.keys(databases)
  const isSameSet = shards.length === Object.keys(before?.shards ?? {}).length
  const known = isSameSet && shards.every((id) => before?.shards[id]) ? before!.shards : {}
  const weights = new Map(shards.map((id) => [id, said.weights[id] ?? known[id]?.weight ?? 1]))
  if ([...weights.values()].every((weight) => weight === 0))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'openShards: weights must leave one database above 0; those that are not said are as somebody said before: say all of them',
    )
  return {
    buckets,
    shards: Object.fromEntries(Array.from(weights, ([id, weight]) => [id, { weight }])),
    owners: evenOwners(buckets, weights),
  }
}

/** Makes the map, or has it begin anew; undefined if somebody else did something else. */
async function begin(
  coordinator: Coordinator,
  name: string,
  wanted: Beginning,
  before: DataShardMap | undefined,
): Promise<DataShardMap | undefined> {
  if (!before) {
    const made: DataShardMap = {
      ...wanted,
      owner: drawn(coordinator),
      founded: false,
      version: 1,
      token: 0,
      moves: [],
    }
    await coordinator.put(dataShardsKey(name), JSON.stringify(made), { expected: 'absent' })
    const now = await readDataShards(coordinator, name)
    return now?.owner === made.owner ? now : undefined
  }
  if (isSame(before, wanted)) return before
  const owner = drawn(coordinator)
  const now = await changeDataShards(coordinator, name, (map) =>
    // Whoever has begun it before, and goes on, must not end it: databases would own what the map does not say.
    map.owner === before.owner && !map.founded
      ? { ...map, ...wanted, owner, earlier: [...(map.earlier ?? []), map.owner] }
      : map,
  )
  return now.owner === owner ? now : undefined
}

function isSame(map: Beginning, { buckets, shards, owners }: Beginning): boolean {
  const ids = Object.keys(shards)
  return (
    map.buckets === buckets &&
    ids.length === Object.keys(map.shards).length &&
    ids.every((id) => map.shards[id]?.weight === shards[id]!.weight) &&
    JSON.stringify(map.owners) === JSON.stringify(owners)
  )
}

function drawn({ runtime: { random } }: Coordinator): string {
  return Array.from({ length: 4 }, () =>
    Math.floor(random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  ).join('')
}

/** Of a map that changes all the time while it is opened. */
export function unsettled(name: string): Error {
  return coordinationError(
    'BANYAN_NAME_CLASH',
    `others open the data shards ${JSON.stringify(name)} with other options at the same time; open it everywhere with the same ones`,
  )
}
