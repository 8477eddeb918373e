import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import { factsOf, type Facts } from './board.js'
import { shardKeys } from './keys.js'
import { depthOf, Layout } from './layout.js'
import { nextPlan, type MadeMove, type PlannedWorker } from './next-plan.js'
import { noMap } from './operate.js'
import { checkWeight } from './options.js'

/** What if: changes of the workers of a map, for {@link planShards}. */
export interface ShardChanges {
  /** Workers that would come, with their weights. */
  add?: Readonly<Record<string, number>>
  /** Workers that would be gone. */
  remove?: readonly string[]
  /** Other weights of workers that are there. */
  weights?: Readonly<Record<string, number>>
  /** How far a worker may be from its part; default as the map is planned. */
  tolerance?: number
}

const CHANGES: OptionTable<ShardChanges> = {
  add: { kind: 'code', type: 'object', doc: 'workers that would come, with their weights' },
  remove: { kind: 'list', of: { kind: 'string', doc: 'a worker' }, doc: 'workers that would be gone' },
  weights: { kind: 'code', type: 'object', doc: 'other weights of workers' },
  tolerance: { kind: 'number', min: 0, max: 10, doc: 'how far a worker may be from its part' },
}

/** What would move, all of it; nothing of that is done. */
export interface ShardForecast {
  /** In the order in which they would be made, some at a time. */
  readonly moves: readonly MadeMove[]
  readonly before: readonly WorkerShare[]
  readonly after: readonly WorkerShare[]
  /** Whether nothing of what somebody has would move, as the map is paused. */
  readonly paused: boolean
}

/** What a worker has, or would have. */
export interface WorkerShare {
  readonly worker: string
  readonly weight: number
  readonly buckets: number
  /** Of these buckets: as workers say, and otherwise how many they are, halves as halves. */
  readonly load: number
}

/** Until everything has moved, at worst. */
const ROUNDS = 100

/**
 * What would move, and why: as things are, or if workers came, went, or had other weights. A pause counts as ended. A dry run, which
 * changes nothing.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`, `BANYAN_WORKER_UNKNOWN`; `BANYAN_INVALID_OPTIONS`
 */
export async function planShards(
  coordinator: Coordinator,
  name: string,
  changes: ShardChanges = {},
): Promise<ShardForecast> {
  checkOptions('planShards', CHANGES, changes)
  const facts = factsOf(name, (await coordinator.list(shardKeys(name).prefix)).entries)
  const { buckets, plan, layout } = facts
  if (buckets === undefined || !layout) throw noMap(name)
  const workers = workersAfter(name, facts, changes)
  const { paused, ...wishes } = facts.wishes
  const rules = {
    settle: 0,
    movesAtOnce: Infinity,
    tolerance: changes.tolerance ?? plan?.rules.tolerance ?? 0.1,
  }
  const loads = new Map([...facts.loads.values()].flatMap((each) => [...each]))
  const moves: MadeMove[] = []
  let now = { splits: plan?.splits ?? [], targets: plan?.targets ?? [], leveling: false }
  for (let round = 0; round < ROUNDS; round++) {
    const targets = new Map(
      new Layout(buckets, now.splits).leaves.map((leaf, place) => [leaf, now.targets[place]]),
    )
    const next = nextPlan({
      buckets,
      plan: { ...now, moves: [] },
      wishes,
      workers,
      // As if everything had arrived.
      owned: new Map(
        Array.from(targets).flatMap(([leaf, worker]) => (worker === undefined ? [] : [[leaf, { worker }]])),
      ),
      loads,
      rules,
      now: 0,
      watchedSince: 0,
      goneSince: () => 0,
      wall: 0,
    })
    moves.push(...next.made)
    now = next
    if (next.made.length === 0) break
  }
  const before = sharesOf(facts.workers, layout, plan?.targets ?? [], loads)
  const after = sharesOf(workers, new Layout(buckets, now.splits), now.targets, loads)
  return { moves, before, after, paused: paused !== undefined }
}

function workersAfter(
  name: string,
  facts: Facts,
  { add = {}, remove = [], weights = {} }: ShardChanges,
): Map<string, PlannedWorker> {
  const workers = new Map<string, PlannedWorker>(
    Array.from(facts.workers, ([worker, { weight }]) => [
      worker,
      { weight, draining: facts.isDraining(worker), since: 0 },
    ]),
  )
  for (const worker of [...remove, ...Object.keys(weights)])
    if (!workers.has(worker))
      throw coordinationError(
        'BANYAN_WORKER_UNKNOWN',
        `no worker ${JSON.stringify(worker)} takes part in ${JSON.stringify(name)}`,
      )
  for (const [worker, weight] of Object.entries(add)) {
    if (workers.has(worker))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `planShards: the worker ${worker} is there already`)
    checkWeight('planShards', weight)
    workers.set(worker, { weight, draining: false, since: 0 })
  }
  for (const [worker, weight] of Object.entries(weights)) {
    checkWeight('planShards', weight)
    workers.set(worker, { ...workers.get(worker)!, weight })
  }
  for (const worker of remove) workers.delete(worker)
  return workers
}

function sharesOf(
  workers: ReadonlyMap<string, { readonly weight: number }>,
  layout: Layout,
  targets: readonly (string | undefined)[],
  loads: ReadonlyMap<string, number>,
): WorkerShare[] {
  const shares = new Map(
    Array.from(workers, ([worker, { weight }]) => [worker, { worker, weight, buckets: 0, load: 0 }]),
  )
  for (const [place, leaf] of layout.leaves.entries()) {
    const share = shares.get(targets[place] ?? '')
    if (!share) continue
    share.buckets++
    share.load += loads.size === 0 ? 2 ** -depthOf(leaf) : (loads.get(leaf) ?? 0)
  }
  return [...shares.values()].sort((a, b) => (a.worker < b.worker ? -1 : 1))
}
