import { backoffWait, type Growth } from '../../../../core/backoff.js'
import { sleep } from '../../../../core/clock.js'
import type { Coordinator } from '../../../coordinator.js'
import { changeDataShards, readDataShards, type DataShard, type DataShardMap } from '../map.js'
import type { ShardStore } from '../store.js'
import { foundShards, unsettled } from './found.js'
import { openFounded, mustFit } from './join.js'
import type { ShardOpener, ShardPlaces } from './opener.js'
import { checkShardsOptions, type ShardsOptions } from './options.js'
import { RoutedShards, type Shards } from './shards.js'

/** How often it is looked at anew when others open it with other options at the same time. */
const TRIES = 10
/** Waits between that, so that one of them comes to an end before the others are in its way again. */
const AGAIN: Growth = { base: 50, factor: 2, max: 2000 }

/** Opens all databases of a sharded application, tells new ones what they own, and follows the map. */
export async function openShardsWith<Place, Db>(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<Place>,
  opener: ShardOpener<Place, Db>,
): Promise<Shards<Db>> {
  checkShardsOptions(options)
  const { clock, random } = coordinator.runtime
  for (let failures = 0; failures < TRIES; failures++) {
    if (failures > 0) await sleep(clock, backoffWait(AGAIN, failures, 'full', random))
    const map = await readDataShards(coordinator, name)
    try {
      const opened = await (map?.founded
        ? joined(coordinator, name, map, options, opener)
        : founded(coordinator, name, map, options, opener))
      if (opened) return opened
    } catch (error) {
      // What was found in the databases may be of somebody else, who was faster.
      if (await isSame(coordinator, name, map)) throw error
    }
  }
  throw unsettled(name)
}

async function founded<Place, Db>(
  coordinator: Coordinator,
  name: string,
  before: DataShardMap | undefined,
  options: ShardsOptions<Place>,
  opener: ShardOpener<Place, Db>,
): Promise<Shards<Db> | undefined> {
  const { weights = {}, buckets, migrate = true } = options
  const done = await foundShards(
    coordinator,
    placesOf(name, options),
    before,
    { weights, buckets, migrate },
    opener,
  )
  return done && new RoutedShards(coordinator, name, done.map, done.stores, options)
}

async function joined<Place, Db>(
  coordinator: Coordinator,
  name: string,
  map: DataShardMap,
  options: ShardsOptions<Place>,
  opener: ShardOpener<Place, Db>,
): Promise<Shards<Db>> {
  const places = placesOf(name, options)
  mustFit(map, places, options.buckets)
  let last = map
  let mapNow = (): DataShardMap => last
  const stores: ShardStore<Db>[] = await openFounded(
    places,
    {
      runtime: coordinator.runtime,
      map: () => mapNow(),
      prepare: (options.migrate ?? true) ? 'all' : 'found',
    },
    opener,
    async () => {
      last = await changeDataShards(coordinator, name, (now) => withNews(now, options))
    },
  )
  const routed = new RoutedShards(coordinator, name, last, stores, options)
  mapNow = () => routed.map
  return routed
}

/** Databases that are new, and get no buckets; and weights that were said: plans go by them, and nothing moves by itself. */
function withNews(
  map: DataShardMap,
  { databases, weights = {} }: Pick<ShardsOptions<unknown>, 'databases' | 'weights'>,
): DataShardMap {
  const news = Object.keys(databases)
    .filter((id) => {
      const known = map.shards[id]
      return !known || (Object.hasOwn(weights, id) && known.weight !== weights[id])
    })
    .map((id): [string, DataShard] => [id, { weight: weights[id] ?? 1 }])
  return news.length === 0 ? map : { ...map, shards: { ...map.shards, ...Object.fromEntries(news) } }
}

function placesOf<Place>(
  name: string,
  { databases, tables, reference = [] }: ShardsOptions<Place>,
): ShardPlaces<Place> {
  return { name, databases, tables, reference }
}

async function isSame(
  coordinator: Coordinator,
  name: string,
  map: DataShardMap | undefined,
): Promise<boolean> {
  const now = await readDataShards(coordinator, name).catch(() => map)
  return now?.owner === map?.owner && now?.founded === map?.founded
}
