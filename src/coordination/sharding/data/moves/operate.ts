import { randomUUID } from 'node:crypto'
import { BanyanError } from '../../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../../core/options.js'
import type { Coordinator } from '../../../coordinator.js'
import { coordinationError } from '../../../errors.js'
import { balance } from '../../plan/balance.js'
import { changeDataShards, mustStay, ownerIn, readDataShards, shardsUnknown, type DataMove } from '../map.js'
import { backward, begun, replaced, withProblem } from './transitions.js'

/** Buckets that are to go from a shard to another one. */
export interface PlannedDataMove {
  readonly buckets: readonly number[]
  readonly from: string
  readonly to: string
}

/** Options of {@link planDataMoves}. */
export interface PlanDataMovesOptions {
  /** How many buckets move together: they are blocked together when they are switched. Default 1. */
  group?: number
  /** How far a shard may be from its part before anything moves for that, as a part of it. Default 0.05. */
  tolerance?: number
  /** What each bucket costs whoever has it, such as its rows; default 1 each. */
  loads?: readonly number[]
  /** Shards that are to have nothing. Default none. */
  drain?: readonly string[]
  /**
   * Shards that would come, with their weights. `startMoves` refuses moves to them until they are there: until a database of that name
   * was opened. Default none.
   */
  add?: Readonly<Record<string, number>>
}

const PLAN: OptionTable<PlanDataMovesOptions> = {
  group: { kind: 'number', min: 1, integer: true, doc: 'how many buckets move together' },
  tolerance: { kind: 'number', min: 0, doc: 'how far a shard may be from its part' },
  loads: { kind: 'list', of: { kind: 'number', min: 0, doc: 'a load' }, doc: 'what each bucket costs' },
  drain: { kind: 'list', of: { kind: 'string', doc: 'a shard' }, doc: 'shards that are to have nothing' },
  add: { kind: 'code', type: 'object', doc: 'shards that would come, with their weights' },
}

/**
 * Which buckets would move so that every shard has its part, by the weights of the map: as few as can be. Changes nothing. Buckets
 * that are on their way stay out of it.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_SHARD_UNKNOWN`, `BANYAN_INVALID_OPTIONS`
 */
export async function planDataMoves(
  coordinator: Coordinator,
  name: string,
  options: PlanDataMovesOptions = {},
): Promise<PlannedDataMove[]> {
  checkOptions('planDataMoves', PLAN, options)
  const { group = 1, tolerance = 0.05, loads, drain = [], add = {} } = options
  const map = await readDataShards(coordinator, name)
  if (!map) throw shardsUnknown(name)
  const unknown = drain.find((shard) => !Object.hasOwn(map.shards, shard))
  if (unknown !== undefined)
    throw coordinationError('BANYAN_SHARD_UNKNOWN', `there is no shard ${JSON.stringify(unknown)} to drain`)
  const [there] = Object.keys(add).filter((shard) => Object.hasOwn(map.shards, shard))
  if (there !== undefined)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `planDataMoves: the shard ${there} is there already`)
  for (const [shard, weight] of Object.entries(add))
    if (!(weight > 0 && weight < Infinity))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `planDataMoves: the weight of ${shard} must be above 0`)
  if (loads && loads.length !== map.buckets)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `planDataMoves: loads must have one for each of ${map.buckets} buckets`,
    )
  const moving = new Set(map.moves.flatMap(({ buckets }) => buckets))
  const owners = Array.from({ length: map.buckets }, (_, bucket) => ownerIn(map, bucket))
  const workers = Object.entries(map.shards)
    .filter(([id, { weight }]) => weight > 0 && !drain.includes(id))
    .map(([id, { weight }]) => ({ id, weight }))
    .concat(Object.entries(add).map(([id, weight]) => ({ id, weight })))
  if (workers.length === 0)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'planDataMoves: nobody is left to have the buckets: all other shards have weight 0',
    )
  const pairs = new Map<string, PlannedDataMove & { buckets: number[] }>()
  for (const { bucket, to } of balance({ owners, workers, loads, tolerance })) {
    const from = owners[bucket]!
    if (moving.has(bucket) || from === to) continue
    const pair = JSON.stringify([from, to])
    const planned = pairs.get(pair) ?? { buckets: [], from, to }
    pairs.set(pair, planned)
    planned.buckets.push(bucket)
  }
  return [...pairs.values()].flatMap(({ buckets, from, to }) => {
    buckets.sort((a, b) => a - b)
    const groups: PlannedDataMove[] = []
    for (let at = 0; at < buckets.length; at += group)
      groups.push({ buckets: buckets.slice(at, at + group), from, to })
    return groups
  })
}

/**
 * Asks for moves, all of them or none; who runs `runMoves` makes them, one after the other.
 *
 * @param planned - of `planDataMoves`, or your own
 * @returns their ids
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_SHARD_UNKNOWN`; `BANYAN_SHARD_MOVING` if a bucket is on its way already;
 *   `BANYAN_MOVE_STEP` if it is not where it is to go from; `BANYAN_INVALID_OPTIONS` for what is no bucket
 */
export async function startMoves(
  coordinator: Coordinator,
  name: string,
  planned: readonly PlannedDataMove[],
): Promise<string[]> {
  const since = coordinator.runtime.clock.wall()
  const moves = planned.map(({ buckets, from, to }): DataMove => ({
    id: randomUUID().slice(0, 8),
    buckets: [...new Set(buckets)].sort((a, b) => a - b),
    from,
    to,
    step: 'copy',
    reversed: false,
    aborted: false,
    paused: false,
    since,
    rows: 0,
    estimate: 0,
  }))
  const seen = new Set<number>()
  for (const bucket of moves.flatMap(({ buckets }) => buckets))
    if (seen.size === seen.add(bucket).size)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `startMoves: bucket ${bucket} is in two of the moves`)
  await changeDataShards(coordinator, name, (map) => {
    if (!map.founded) throw shardsUnknown(name)
    mustStay(map, name)
    for (const { buckets } of moves)
      if (
        buckets.length === 0 ||
        buckets.some((bucket) => !Number.isInteger(bucket) || bucket < 0 || bucket >= map.buckets)
      )
        throw new BanyanError(
          'BANYAN_INVALID_OPTIONS',
          `startMoves: buckets must be whole numbers from 0 to ${map.buckets - 1}, one at least; got ${JSON.stringify(buckets)}`,
        )
    // The answer to an earlier try may have been lost.
    return begun(
      map,
      moves.filter(({ id }) => !map.moves.some((move) => move.id === id)),
    )
  })
  return moves.map(({ id }) => id)
}

/**
 * What is on its way, oldest first.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`
 */
export async function readMoves(coordinator: Coordinator, name: string): Promise<readonly DataMove[]> {
  const map = await readDataShards(coordinator, name)
  if (!map) throw shardsUnknown(name)
  return map.moves
}

/** Leaves a move as it is, until {@link resumeMove}; a switch under way is made nevertheless. Throws as {@link abortMove}. */
export async function pauseMove(coordinator: Coordinator, name: string, id: string): Promise<void> {
  await change(coordinator, name, id, (move) => (move.paused ? move : { ...move, paused: true }))
}

/** Goes on with a move that was paused. Throws as {@link abortMove}. */
export async function resumeMove(coordinator: Coordinator, name: string, id: string): Promise<void> {
  await change(coordinator, name, id, (move) => (move.paused ? { ...move, paused: false } : move))
}

/**
 * Calls a move off, before it is switched: the buckets stay where they are, and the copy is removed. If the target has adopted them
 * by then, they go back. One that goes back is called off likewise: it stays switched.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_MOVE_UNKNOWN`; `BANYAN_MOVE_STEP` if it is switched: reverse it
 */
export async function abortMove(coordinator: Coordinator, name: string, id: string): Promise<void> {
  await change(coordinator, name, id, (move) => {
    if (move.step === 'switched') throw atStep(move, 'aborted', 'reverse it, or finish it')
    if (move.step === 'drop') throw atStep(move, 'aborted', OVER)
    return move.aborted ? move : { ...move, aborted: true, paused: false }
  })
}

/**
 * Takes a switched move back: what has changed since goes with it.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_MOVE_UNKNOWN`; `BANYAN_MOVE_STEP` if it is not switched, or finished
 */
export async function reverseMove(coordinator: Coordinator, name: string, id: string): Promise<void> {
  await change(coordinator, name, id, (move) => {
    if (move.step !== 'switched') throw atStep(move, 'reversed', move.step === 'drop' ? OVER : 'abort it')
    return backward(move)
  })
}

/**
 * Ends a switched move: what the source has kept of it is removed. From then on there is no way back, but another move.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_MOVE_UNKNOWN`; `BANYAN_MOVE_STEP` if it is not switched
 */
export async function finishMove(coordinator: Coordinator, name: string, id: string): Promise<void> {
  await change(coordinator, name, id, (move) => {
    if (move.step === 'drop') return move
    if (move.step !== 'switched') throw atStep(move, 'finished', 'wait until it is switched, or abort it')
    return withProblem({ ...move, step: 'drop', paused: false }, undefined)
  })
}

async function change(
  coordinator: Coordinator,
  name: string,
  id: string,
  step: (move: DataMove) => DataMove,
): Promise<void> {
  await changeDataShards(coordinator, name, (map) => {
    if (!map.moves.some((move) => move.id === id))
      throw coordinationError(
        'BANYAN_MOVE_UNKNOWN',
        `there is no move ${JSON.stringify(id)} of the data shards ${JSON.stringify(name)}`,
      )
    return replaced(map, id, step)
  })
}

/** What there is to say of a move that is being finished. */
const OVER =
  'what it has left at its source is being removed; to have the buckets back there, move them again when it is over'

function atStep({ id, step }: DataMove, done: string, advice: string): Error {
  return coordinationError(
    'BANYAN_MOVE_STEP',
    `the move ${JSON.stringify(id)} is at ${step} and cannot be ${done}: ${advice}`,
  )
}
