import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import { removeElection } from '../../election/remove-election.js'
import { thisHolder } from '../../holder.js'
import { factsOf, type Facts } from './board.js'
import { historyKeyOf, rememberShards, type ShardHappening } from './history.js'
import { plannerOf, shardKeys } from './keys.js'
import { depthOf, halvesOf, MAX_DEPTH, MAX_LEAVES } from './layout.js'
import { askedLayout } from './next-plan.js'
import type { Wishes } from './records.js'

/** Options of what operators ask for. */
export interface ShardOperatorOptions {
  /** Who asks, for the history; default `host:pid`. */
  by?: string
}

const BY: OptionTable<ShardOperatorOptions> = { by: { kind: 'string', doc: 'who asks' } }

/** Options of {@link moveShard}. */
export interface MoveShardOptions extends ShardOperatorOptions {
  /** Whether it takes the place of a move of the same bucket that is under way. Default false. */
  replace?: boolean
}

const MOVE: OptionTable<MoveShardOptions> = {
  ...BY,
  replace: { kind: 'boolean', doc: 'takes the place of a move that is under way' },
}

/**
 * Moves a bucket to a worker and keeps it there, until it is unpinned: what else is planned goes around it. If the worker goes, the
 * bucket is given to another, and comes back with it. While the map is paused it waits.
 *
 * @param bucket - `17`, or `17/0` if it was split
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`, `BANYAN_BUCKET_UNKNOWN`, `BANYAN_WORKER_UNKNOWN`; `BANYAN_SHARD_MOVING` if it is on its way elsewhere and `replace` is not
 *   given; `BANYAN_INVALID_OPTIONS`
 */
export async function moveShard(
  coordinator: Coordinator,
  name: string,
  bucket: string,
  to: string,
  options: MoveShardOptions = {},
): Promise<void> {
  checkOptions('moveShard', MOVE, options)
  const { by = thisHolder(), replace = false } = options
  await wish(coordinator, name, by, (facts, at) => {
    checkLeaf(facts, name, bucket)
    checkWorker(facts, name, to)
    if (facts.isDraining(to))
      throw coordinationError(
        'BANYAN_WORKER_UNKNOWN',
        `the worker ${JSON.stringify(to)} of ${JSON.stringify(name)} gives away what it has`,
      )
    const other = wayOf(facts, bucket)
    if (!replace && other !== undefined && other !== to)
      throw coordinationError(
        'BANYAN_SHARD_MOVING',
        `the bucket ${bucket} of ${JSON.stringify(name)} is on its way to ${JSON.stringify(other)}; \`replace\` takes its place`,
      )
    const pins = { ...facts.wishes.pins, [bucket]: { to, by, at } }
    const from = facts.owned.get(bucket)?.worker
    return [
      { ...facts.wishes, pins },
      { what: 'pinned', buckets: [{ bucket, ...(from !== undefined && { from }), to }] },
    ]
  })
}

/**
 * Lets a bucket that was moved by an operator go where the plan wants it. One that was not is left as it is.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`; `BANYAN_INVALID_OPTIONS`
 */
export async function unpinShard(
  coordinator: Coordinator,
  name: string,
  bucket: string,
  options: ShardOperatorOptions = {},
): Promise<void> {
  checkOptions('unpinShard', BY, options)
  const { by = thisHolder() } = options
  await wish(coordinator, name, by, (facts) => {
    const { [bucket]: pin, ...pins } = facts.wishes.pins
    return (
      pin && [
        { ...facts.wishes, pins },
        { what: 'unpinned', buckets: [{ bucket, from: pin.to }] },
      ]
    )
  })
}

/**
 * Splits a bucket in two halves of its keys, `17` in `17/0` and `17/1`, which then move on their own. Its owner has both first.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`, `BANYAN_BUCKET_UNKNOWN`; `BANYAN_SHARD_MOVING` while it is on its way; `BANYAN_UNSUPPORTED` if there are too many already;
 *   `BANYAN_INVALID_OPTIONS`
 */
export async function splitShard(
  coordinator: Coordinator,
  name: string,
  bucket: string,
  options: ShardOperatorOptions = {},
): Promise<void> {
  checkOptions('splitShard', BY, options)
  const { by = thisHolder() } = options
  await wish(coordinator, name, by, (facts) => {
    checkLeaf(facts, name, bucket)
    checkStill(facts, name, [bucket])
    const { splits } = facts.wishes
    if (depthOf(bucket) >= MAX_DEPTH || facts.buckets! + splits.length >= MAX_LEAVES)
      throw coordinationError(
        'BANYAN_UNSUPPORTED',
        `the bucket ${bucket} of ${JSON.stringify(name)} cannot be split: ` +
          `at most ${MAX_DEPTH} times, and ${MAX_LEAVES} buckets in all`,
      )
    const { [bucket]: pin, ...pins } = facts.wishes.pins
    const halves = pin ? Object.fromEntries(halvesOf(bucket).map((half) => [half, pin])) : {}
    return [
      { ...facts.wishes, pins: { ...pins, ...halves }, splits: [...splits, bucket] },
      { what: 'split', buckets: [{ bucket }] },
    ]
  })
}

/**
 * Makes one bucket of the two that it was split into. They end first, wherever they are, and then it begins.
 *
 * @param bucket - the one that was split: `17` for `17/0` and `17/1`
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`; `BANYAN_BUCKET_UNKNOWN` if it is not split, or its halves are; `BANYAN_SHARD_MOVING` while a half is on its way;
 *   `BANYAN_INVALID_OPTIONS`
 */
export async function mergeShard(
  coordinator: Coordinator,
  name: string,
  bucket: string,
  options: ShardOperatorOptions = {},
): Promise<void> {
  checkOptions('mergeShard', BY, options)
  const { by = thisHolder() } = options
  await wish(coordinator, name, by, (facts) => {
    const halves = halvesOf(bucket)
    for (const half of halves) checkLeaf(facts, name, half)
    checkStill(facts, name, halves)
    const splits = facts.wishes.splits.filter((each) => each !== bucket)
    const pins = Object.fromEntries(
      Object.entries(facts.wishes.pins).filter(([each]) => !halves.includes(each)),
    )
    return [
      { ...facts.wishes, pins, splits },
      { what: 'merged', buckets: [{ bucket }] },
    ]
  })
}

/**
 * Lets nothing move that somebody has: not for balance, not away from workers that drain, not by {@link moveShard}. What nobody has
 * is given to somebody all the same.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`; `BANYAN_INVALID_OPTIONS`
 */
export async function pauseShards(
  coordinator: Coordinator,
  name: string,
  options: ShardOperatorOptions = {},
): Promise<void> {
  checkOptions('pauseShards', BY, options)
  const { by = thisHolder() } = options
  await wish(coordinator, name, by, (facts, at) =>
    facts.wishes.paused ? undefined : [{ ...facts.wishes, paused: { by, at } }, { what: 'paused' }],
  )
}

/**
 * Ends a pause.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`; `BANYAN_INVALID_OPTIONS`
 */
export async function resumeShards(
  coordinator: Coordinator,
  name: string,
  options: ShardOperatorOptions = {},
): Promise<void> {
  checkOptions('resumeShards', BY, options)
  const { by = thisHolder() } = options
  await wish(coordinator, name, by, ({ wishes: { paused, ...wishes } }) =>
    paused ? [wishes, { what: 'resumed' }] : undefined,
  )
}

/** Options of {@link drainWorker}. */
export interface DrainWorkerOptions extends ShardOperatorOptions {
  /** Whether it is taken back: the worker gets its part again. Default false. */
  undo?: boolean
}

/**
 * Has a worker give away all it has, and get nothing more, for as long as its process lives. What comes later under the same name is
 * not meant. It stays a worker: stop it when it has nothing.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN`, `BANYAN_WORKER_UNKNOWN`; `BANYAN_INVALID_OPTIONS`
 */
export async function drainWorker(
  coordinator: Coordinator,
  name: string,
  worker: string,
  options: DrainWorkerOptions = {},
): Promise<void> {
  checkOptions('drainWorker', { ...BY, undo: { kind: 'boolean', doc: 'takes it back' } }, options)
  const { by = thisHolder(), undo = false } = options
  await wish(coordinator, name, by, (facts, at) => {
    checkWorker(facts, name, worker)
    const { incarnation } = facts.workers.get(worker)!
    // Those that were meant and are gone are of no use any more.
    const others = Object.entries(facts.wishes.drains).filter(
      ([each, drain]) => each !== worker && facts.workers.get(each)?.incarnation === drain.incarnation,
    )
    const own = undo ? [] : [[worker, { incarnation, by, at }] as const]
    const drains = Object.fromEntries([...others, ...own])
    return [
      { ...facts.wishes, drains },
      { what: undo ? 'drain ended' : 'drain', worker },
    ]
  })
}

/**
 * Removes a map that nobody works for any more, with its history; what is there is forgotten, and it can be made anew, also with
 * another number of buckets.
 *
 * @throws `BANYAN_SHARD_MAP_UNKNOWN` if there is none; `BANYAN_SHARD_MAP_BUSY` if workers take part in it
 */
export async function removeShards(coordinator: Coordinator, name: string): Promise<void> {
  const keys = shardKeys(name)
  const { entries } = await coordinator.list(keys.prefix)
  const facts = factsOf(name, entries)
  if (entries.length === 0) throw noMap(name)
  if (facts.workers.size > 0 || facts.owned.size > 0)
    throw coordinationError(
      'BANYAN_SHARD_MAP_BUSY',
      `the shard map ${JSON.stringify(name)} is in use, by ${[...facts.workers.keys()].join(', ') || 'workers that are gone'}`,
    )
  // What it was made with comes last: whoever joins meanwhile makes all of it anew, or nothing.
  for (const key of [keys.plan, keys.wishes, historyKeyOf(name), keys.settings]) await coordinator.delete(key)
  await removeElection(coordinator, plannerOf(name))
}

/** How often it is tried while others write the same. */
const TRIES = 10

/** Changes what operators ask for. */
async function wish(
  coordinator: Coordinator,
  name: string,
  by: string,
  change: (
    facts: Facts,
    at: number,
  ) => readonly [wishes: Wishes, happening: Omit<ShardHappening, 'at' | 'by'>] | undefined,
): Promise<void> {
  const keys = shardKeys(name)
  for (let tries = 0; tries < TRIES; tries++) {
    const facts = factsOf(name, (await coordinator.list(keys.prefix)).entries)
    if (facts.buckets === undefined) throw noMap(name)
    const at = coordinator.runtime.clock.wall()
    const changed = change(facts, at)
    if (!changed) return
    const [wishes, happening] = changed
    const expected = facts.wishesRevision ?? 'absent'
    const { ok } = await coordinator.put(keys.wishes, JSON.stringify(wishes), { expected })
    if (!ok) continue
    await rememberShards(coordinator, name, { at, by, ...happening })
    return
  }
  throw coordinationError(
    'BANYAN_COORDINATOR_UNAVAILABLE',
    `others change what is asked of the shard map ${JSON.stringify(name)} all the time; nothing was done`,
  )
}

/** Where a bucket is to go, if it is on its way: as the plan says, or an operator. */
function wayOf(facts: Facts, bucket: string): string | undefined {
  const owner = facts.owned.get(bucket)?.worker
  const pin = facts.wishes.pins[bucket]?.to
  if (pin !== undefined && pin !== owner && facts.workers.has(pin)) return pin
  const place = facts.layout?.leaves.indexOf(bucket) ?? -1
  const target = facts.plan?.targets[place]
  return owner !== undefined && target !== owner && facts.workers.has(target ?? '') ? target : undefined
}

function checkStill(facts: Facts, name: string, buckets: readonly string[]): void {
  for (const bucket of buckets) {
    const way = wayOf(facts, bucket)
    if (way !== undefined)
      throw coordinationError(
        'BANYAN_SHARD_MOVING',
        `the bucket ${bucket} of ${JSON.stringify(name)} is on its way to ${JSON.stringify(way)}`,
      )
  }
}

/** By what is asked for, also if it is not planned yet: otherwise what is asked for a bucket that is about to go would be lost. */
function checkLeaf({ buckets, wishes }: Facts, name: string, bucket: string): void {
  const layout = askedLayout(buckets!, wishes)
  if (layout.hasLeaf(bucket)) return
  const parts = layout.hasNode(bucket) ? `; it is split: ${layout.leavesOf(bucket).join(', ')}` : ''
  throw coordinationError(
    'BANYAN_BUCKET_UNKNOWN',
    `the shard map ${JSON.stringify(name)} has no bucket ${JSON.stringify(bucket)}${parts}`,
  )
}

function checkWorker(facts: Facts, name: string, worker: string): void {
  if (facts.workers.has(worker)) return
  throw coordinationError(
    'BANYAN_WORKER_UNKNOWN',
    `no worker ${JSON.stringify(worker)} takes part in ${JSON.stringify(name)}; who does: ` +
      ([...facts.workers.keys()].join(', ') || 'nobody'),
  )
}

/** Nobody has ever made it. */
export function noMap(name: string): Error {
  return coordinationError('BANYAN_SHARD_MAP_UNKNOWN', `there is no shard map ${JSON.stringify(name)}`)
}
