import type { Coordinator, Entry } from '../../coordinator.js'
import { electionKeys } from '../../election/keys.js'
import { leaderOf } from '../../election/picture.js'
import { KEYSPACE } from '../../keyspace.js'
import { factsOf, type Facts } from './board.js'
import { historyKeyOf, shardHappeningsIn, type ShardHappening } from './history.js'
import { mapOfKey, plannerOf, shardKeys } from './keys.js'
import { noMap } from './operate.js'
import type { Pin, PlannedMove, PlanRules } from './records.js'

/** A shard map, as its keys tell. */
export interface ShardMapPicture {
  readonly name: string
  /** How many it was made with. */
  readonly buckets: number
  /** Which ones are split. */
  readonly splits: readonly string[]
  readonly workers: readonly ShardWorkerPicture[]
  /** All that have keys, in the order of their ranges. */
  readonly owners: readonly BucketPicture[]
  /** How many of them nobody has. */
  readonly unowned: number
  /** Those that are on their way. */
  readonly moves: readonly PlannedMove[]
  /** Who plans; undefined while nobody does. */
  readonly planner: string | undefined
  /** The last plan; undefined if none was made yet. */
  readonly plan: ShardPlanPicture | undefined
  /** By whom it was paused, and when, in ms since the epoch. */
  readonly paused: { readonly by: string; readonly at: number } | undefined
  /** The last hundred things that have happened to it, oldest first. */
  readonly history: readonly ShardHappening[]
}

/** A worker, as operators see it. */
export interface ShardWorkerPicture {
  readonly worker: string
  readonly weight: number
  readonly metadata: Readonly<Record<string, unknown>>
  /** How many buckets it has. */
  readonly buckets: number
  /** How many it shall have. */
  readonly planned: number
  /** What they cost, as it says; undefined if it does not. */
  readonly load: number | undefined
  readonly draining: boolean
  /** In ms since the epoch. */
  readonly since: number
  /** Buckets whose work should have ended, and since when, in ms since the epoch: nobody has them meanwhile. */
  readonly releasing: Readonly<Record<string, number>>
}

/** Who has a bucket, as operators see it. */
export interface BucketPicture {
  readonly bucket: string
  /** Undefined if nobody has it. */
  readonly worker: string | undefined
  readonly epoch: number | undefined
  /** Since when it has it, in ms since the epoch. */
  readonly since: number | undefined
  /** Who shall have it. */
  readonly target: string | undefined
  readonly load: number | undefined
  readonly pinned: Pin | undefined
  /** Of one that nobody has: since when at least, in ms since the epoch, as far as is known. */
  readonly unownedSince: number | undefined
}

/** What is known of a plan. */
export interface ShardPlanPicture {
  readonly version: number
  readonly by: string
  /** In ms since the epoch. */
  readonly at: number
  readonly rules: PlanRules
}

/** All shard maps, in the order of their names. */
export function readShards(coordinator: Coordinator): Promise<ShardMapPicture[]>
/**
 * One shard map.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN` if there is none of that name
 */
export function readShards(coordinator: Coordinator, name: string): Promise<ShardMapPicture>
export async function readShards(
  coordinator: Coordinator,
  name?: string,
): Promise<ShardMapPicture | ShardMapPicture[]> {
  const prefix = name === undefined ? KEYSPACE.shards : shardKeys(name).prefix
  const { entries } = await coordinator.list(prefix)
  const byMap = new Map<string, Entry[]>()
  for (const entry of entries) {
    const map = mapOfKey(entry.key)
    const own = byMap.get(map)
    if (own) own.push(entry)
    else byMap.set(map, [entry])
  }
  const maps = await Promise.all(
    Array.from(byMap, async ([map, own]) => {
      const facts = factsOf(map, own)
      if (facts.buckets === undefined) return []
      const [leader, history] = await Promise.all([
        coordinator.get(electionKeys(plannerOf(map)).leader),
        coordinator.get(historyKeyOf(map)),
      ])
      return [pictureOf(map, facts, leader && leaderOf(leader).holder, shardHappeningsIn(history?.value))]
    }),
  )
  const all = maps.flat().sort((a, b) => (a.name < b.name ? -1 : 1))
  if (name === undefined) return all
  if (!all[0]) throw noMap(name)
  return all[0]
}

function pictureOf(
  name: string,
  facts: Facts,
  planner: string | undefined,
  history: readonly ShardHappening[],
): ShardMapPicture {
  const { plan, wishes, workers, owned } = facts
  const layout = facts.layout!
  const loads = new Map([...facts.loads.values()].flatMap((each) => [...each]))
  const moves = (plan?.moves ?? []).filter(({ bucket, to }) => owned.get(bucket)?.worker !== to)
  const byBucket = new Map(moves.map((move) => [move.bucket, move]))
  const owners = layout.leaves.map((bucket, place): BucketPicture => {
    const owner = owned.get(bucket)
    const target = plan?.targets[place]
    const move = byBucket.get(bucket)
    return {
      bucket,
      worker: owner?.worker,
      epoch: owner?.epoch,
      since: owner?.since,
      target,
      load: loads.get(bucket),
      pinned: wishes.pins[bucket],
      unownedSince: owner ? undefined : (plan?.gone[target ?? ''] ?? move?.since ?? plan?.at),
    }
  })
  return {
    name,
    buckets: layout.buckets,
    splits: [...layout.splits],
    workers: Array.from(workers.values(), (worker): ShardWorkerPicture => {
      const { weight, metadata, since, releasing } = worker
      const reported = facts.loads.get(worker.worker)
      return {
        worker: worker.worker,
        weight,
        metadata,
        buckets: owners.filter((each) => each.worker === worker.worker).length,
        planned: owners.filter(({ target }) => target === worker.worker).length,
        load: reported && [...reported.values()].reduce((sum, load) => sum + load, 0),
        draining: facts.isDraining(worker.worker),
        since,
        releasing,
      }
    }).sort((a, b) => (a.worker < b.worker ? -1 : 1)),
    owners,
    unowned: owners.filter(({ worker }) => worker === undefined).length,
    moves,
    planner,
    plan: plan && { version: plan.version, by: plan.by, at: plan.at, rules: plan.rules },
    paused: wishes.paused,
    history,
  }
}
