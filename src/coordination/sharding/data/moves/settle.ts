import type { Clock } from '../../../../core/clock.js'
import { isPassed, raceWithTimer } from '../../../../core/race-with-timer.js'
import { hasCode } from '../../../errors.js'
import { ownerIn, type DataShardMap } from '../map.js'
import { bucketsOf } from '../ranges.js'
import type { MoveStep, ShardStore } from '../store.js'

type Stores = ReadonlyMap<string, ShardStore<unknown>>

/** How long databases are waited for, in ms: moves wait behind it. */
const PATIENCE_MS = 5000

/** What a database has of buckets that are not on their way. */
interface Claim {
  readonly shard: string
  readonly epoch: number
  readonly isBlocked: boolean
}

/**
 * Brings databases and map together where the map knows nothing of a move: the coordinator has come back from a backup that is older
 * than it. What such a move has left blocked, noted or staged ends; no row is in staging tables only, as those have what was adopted
 * elsewhere, or is not yet. Does nothing but read if there is nothing of the kind.
 *
 * @param token - of who makes the moves: whoever came before changes nothing any more
 * @returns buckets by the shard that has them, where the map says another one; undefined while a database is away: it may have what
 *   others seem to have
 * @throws `BANYAN_STALE_TOKEN`
 */
export async function settle(
  map: DataShardMap,
  opened: Stores,
  token: number,
  clock: Clock,
): Promise<ReadonlyMap<string, number[]> | undefined> {
  const moving = new Set(map.moves.flatMap(({ buckets }) => buckets))
  const resting = Array.from({ length: map.buckets }, (_, bucket) => bucket).filter(
    (bucket) => !moving.has(bucket),
  )
  const step: MoveStep = { id: 'settle', buckets: resting, token }
  // One that was taken out of the map, and is still open here, has nothing any more.
  const stores = new Map([...opened].filter(([shard]) => Object.hasOwn(map.shards, shard)))
  if (resting.length === 0 || stores.size < Object.keys(map.shards).length) return new Map()
  try {
    const found = await raceWithTimer(clock, isForgotten(map, stores, step), PATIENCE_MS)
    if (isPassed(found)) return undefined
    if (!found) return new Map()
    for (const store of stores.values()) await store.moves.applyChanges({ ...step, buckets: [] }, [])
    return await settled(map, stores, step)
  } catch (error) {
    if (hasCode(error, 'BANYAN_STALE_TOKEN')) throw error
    return undefined
  }
}

/** Whether something is there that only a move leaves, or has done, which is none of the map's. */
async function isForgotten(map: DataShardMap, stores: Stores, step: MoveStep): Promise<boolean> {
  const resting = new Set(step.buckets)
  for (const [shard, store] of stores) {
    const { ranges, blocked } = await store.owned()
    const isElsewhere = bucketsOf(ranges).some(
      (bucket) => resting.has(bucket) && ownerIn(map, bucket) !== shard,
    )
    if (isElsewhere || blocked.some((bucket) => resting.has(bucket))) return true
    if ((await store.moves.staged(step)).progress.length > 0) return true
    if ((await store.moves.readChanges(step, 1)).marks.length > 0) return true
  }
  return false
}

async function settled(
  map: DataShardMap,
  stores: Stores,
  step: MoveStep,
): Promise<ReadonlyMap<string, number[]>> {
  const claims = new Map<number, Claim[]>()
  for (const [shard, store] of stores) {
    const { ranges, blocked } = await store.owned()
    const areBlocked = new Set(blocked)
    for (const range of ranges)
      for (const bucket of bucketsOf([range]))
        addTo(claims, bucket, { shard, epoch: range[2], isBlocked: areBlocked.has(bucket) })
  }
  const elsewhere = new Map<string, number[]>()
  const [retiring, staying, known] = [
    new Map<string, number[]>(),
    new Map<string, number[]>(),
    [] as number[],
  ]
  for (const bucket of step.buckets) {
    const [owner, ...before] = (claims.get(bucket) ?? []).sort((one, other) => other.epoch - one.epoch)
    // Who has given it away has blocked it before: anything else is no work of a move, and left as it is.
    if (!owner || before.some(({ isBlocked, epoch }) => !isBlocked || epoch === owner.epoch)) continue
    known.push(bucket)
    for (const { shard } of before) addTo(retiring, shard, bucket)
    addTo(staying, owner.shard, bucket)
    if (ownerIn(map, bucket) !== owner.shard) addTo(elsewhere, owner.shard, bucket)
  }
  for (const [shard, buckets] of retiring) await stores.get(shard)!.moves.retire({ ...step, buckets })
  for (const [shard, buckets] of staying) {
    await stores.get(shard)!.moves.unblock({ ...step, buckets })
    await stores.get(shard)!.moves.release({ ...step, buckets })
  }
  for (const store of stores.values()) await store.moves.discard({ ...step, buckets: known })
  return elsewhere
}

function addTo<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}
