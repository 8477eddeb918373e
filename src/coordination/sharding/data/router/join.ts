import type { Runtime } from '../../../../core/runtime.js'
import { coordinationError, hasCode } from '../../../errors.js'
import { hasPart, mustStay, rangesIn, type DataShardMap } from '../map.js'
import { mustBeOf, type ShardInspection, type ShardStore } from '../store.js'
import { mustBeOfOneEngine, mustBePrepared } from './checks.js'
import { LateStore } from './late-store.js'
import { ofDatabase } from './of-database.js'
import { specOf, type ShardOpener, type ShardPlaces } from './opener.js'

/** Who joins a sharded application that was founded. */
export interface Joining {
  readonly runtime: Runtime
  /** As far as it is known at the moment. */
  readonly map: () => DataShardMap
  /** Whether to make what sharding needs: in the database, and that it is one of them. `never`: those that are not stay away. */
  readonly prepare: 'all' | 'found' | 'never'
}

/**
 * Opens the databases of a map that was founded. Those that the map knows and that are away are opened later; what can be known is checked
 * before one is changed.
 *
 * @param joined - is told when all that are there were checked, and before they are opened
 * @throws `BANYAN_SHARD_UNAVAILABLE` if all are away, or one is that the map does not know; `BANYAN_SHARD_FOREIGN`,
 *   `BANYAN_SHARD_STRAY`, `BANYAN_SHARD_UNFIT`, `BANYAN_INVALID_OPTIONS`
 */
export async function openFounded<Place, Db>(
  places: ShardPlaces<Place>,
  joining: Joining,
  opener: ShardOpener<Place, Db>,
  joined: () => Promise<void> = () => Promise.resolve(),
): Promise<ShardStore<Db>[]> {
  const map = joining.map()
  const all = Object.entries(places.databases)
  const away = new Map<string, unknown>()
  const late = (id: string, error: unknown): void => {
    if (!hasCode(error, 'BANYAN_SHARD_UNAVAILABLE') || !Object.hasOwn(map.shards, id))
      throw ofDatabase(id, error)
    away.set(id, ofDatabase(id, error))
  }
  const inspections = new Map<string, ShardInspection>()
  await Promise.all(
    all.map(async ([id, where]) => {
      try {
        inspections.set(id, await looked(places, id, where, joining, opener))
      } catch (error) {
        late(id, error)
      }
    }),
  )
  mustBeOfOneEngine(inspections)
  if (inspections.size === 0) throw allAway(places.name, away)
  await joined()

  const stores = new Map<string, ShardStore<Db>>()
  try {
    for (const [id, where] of all) {
      if (away.has(id)) continue
      try {
        stores.set(id, await entered(places, id, where, joining, opener))
      } catch (error) {
        late(id, error)
      }
    }
    const [first] = stores.values()
    if (!first) throw allAway(places.name, away)
    return all.map(([id, where]) => {
      const there = stores.get(id)
      if (there) return there
      const open = async (): Promise<ShardStore<Db>> => {
        const found = await looked(places, id, where, joining, opener)
        mustBeOfOneEngine(new Map([...inspections, [id, found]]))
        return entered(places, id, where, joining, opener)
      }
      return new LateStore<Db>({ id, engine: first.engine }, away.get(id), open, joining.runtime)
    })
  } catch (error) {
    await Promise.allSettled(Array.from(stores.values(), (store) => store.close()))
    throw error
  }
}

/** Looks whether a database is the one that the map means. */
async function looked<Place, Db>(
  places: ShardPlaces<Place>,
  id: string,
  where: Place,
  { map: mapNow, prepare }: Joining,
  opener: ShardOpener<Place, Db>,
): Promise<ShardInspection> {
  const map = mapNow()
  const spec = specOf(places, id, map.buckets)
  const found = await opener.inspect(where, spec)
  if (found.identity) mustBeOf(spec, `the database ${id}`, found.identity, map.owner)
  else if (rangesIn(map, id).length > 0)
    throw coordinationError(
      'BANYAN_SHARD_FOREIGN',
      `the database of the shard ${id} knows nothing of the buckets that the map says it has: it is another database, or an empty one in its ` +
        'place; nothing was changed. Bring back the right one, or a backup of it',
    )
  else if (prepare === 'never')
    throw coordinationError(
      'BANYAN_SHARD_UNAVAILABLE',
      `it was not prepared yet: \`banyan shards prepare ${places.name}\` does that, or the first application that opens it`,
    )
  else if (found.filled.length > 0)
    throw coordinationError(
      'BANYAN_SHARD_STRAY',
      `the database ${id} comes to ${JSON.stringify(places.name)} with rows in ${found.filled.join(', ')}, and has no buckets yet, so they would be in ` +
        'none; nothing was changed. Write them through the router, and empty it, before it is opened with the others',
    )
  else if (prepare === 'found') mustBePrepared(spec, found)
  return found
}

async function entered<Place, Db>(
  places: ShardPlaces<Place>,
  id: string,
  where: Place,
  { map, prepare }: Joining,
  opener: ShardOpener<Place, Db>,
): Promise<ShardStore<Db>> {
  const { owner, earlier, buckets } = map()
  const store = await opener.open(where, specOf(places, id, buckets))
  try {
    if (prepare === 'all') await store.prepare(earlier)
    if (prepare !== 'never') await store.found(owner, [], earlier)
    return store
  } catch (error) {
    await store.close().catch(() => undefined)
    throw error
  }
}

function allAway(name: string, away: ReadonlyMap<string, unknown>): Error {
  const said = Array.from(away.values(), (error) => (error as Error).message)
  return coordinationError(
    'BANYAN_SHARD_UNAVAILABLE',
    `no database of ${JSON.stringify(name)} can be reached: ${said.join('; ')}`,
    away.values().next().value,
  )
}

/**
 * Checks that a map is the one that is meant.
 *
 * @throws `BANYAN_NAME_CLASH` if it has another number of buckets; `BANYAN_SHARD_UNKNOWN` if it has databases that are not given, other
 *   than those that have nothing to do any more
 */
export function mustFit(
  map: DataShardMap,
  { name, databases }: Pick<ShardPlaces<unknown>, 'name' | 'databases'>,
  buckets: number | undefined,
): void {
  mustStay(map, name)
  if (buckets !== undefined && buckets !== map.buckets)
    throw coordinationError(
      'BANYAN_NAME_CLASH',
      `the data shards ${name} have ${map.buckets} buckets, for ever, and were opened with ${buckets}`,
    )
  const absent = Object.keys(map.shards).filter((id) => !Object.hasOwn(databases, id) && hasPart(map, id))
  if (absent.length > 0)
    throw coordinationError(
      'BANYAN_SHARD_UNKNOWN',
      `the data shards ${name} have databases that were not given: ${absent.join(', ')}; name them in databases, or, if they are to go: say weight ` +
        '0 for them, move off what they have, and remove them',
    )
}
