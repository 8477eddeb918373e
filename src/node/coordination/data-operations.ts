import { BanyanError } from '../../core/errors.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { coordinationError } from '../../coordination/errors.js'
import { removeDatabase } from '../../coordination/sharding/data/leave.js'
import type { DataMove } from '../../coordination/sharding/data/map.js'
import {
  abortMove,
  finishMove,
  pauseMove,
  planDataMoves,
  resumeMove,
  reverseMove,
  startMoves,
  type PlannedDataMove,
} from '../../coordination/sharding/data/moves/operate.js'
import type { DatabaseStatus, DataShardsDetail } from './shard-views.js'
import { detailOf, hintOf } from './views.js'

/** How an even spread is planned. */
export interface EvenSpread {
  /** Databases that would come, with their weights: for dry runs. */
  readonly add?: Readonly<Record<string, number>>
  /** Databases that are to have nothing. */
  readonly remove?: readonly string[]
  /** How many buckets move together at most. */
  readonly group?: number
}

/** What would move for an even spread. */
export interface DataForecast {
  readonly moves: readonly PlannedDataMove[]
  readonly before: readonly DatabaseStatus[]
  readonly after: readonly DatabaseStatus[]
}

/** Which buckets are to move. */
export type DataMovesWish =
  | { readonly buckets: readonly number[]; readonly to: string; readonly group?: number }
  | (Omit<EvenSpread, 'add'> & { readonly even: true })

/** A move that was asked for. */
export type StartedMove = PlannedDataMove & { readonly id: string }

/** What can be done with a move. */
export type DataMoveAction = 'pause' | 'resume' | 'abort' | 'reverse' | 'drop'

/** What operators do with applications in several databases. */
export interface DataActions {
  /** What would move so that every database has its part; nothing of it is done. */
  planDataShards(name: string, spread: EvenSpread): Promise<DataForecast>
  /** Asks for moves; a node that has the application in its configuration makes them. */
  startDataMoves(name: string, wish: DataMovesWish): Promise<readonly StartedMove[]>
  /**
   * Does something with moves.
   *
   * @param ids - or all with which it can be done
   * @returns with which it was done
   */
  steerDataMoves(
    name: string,
    ids: readonly string[] | 'all',
    action: DataMoveAction,
  ): Promise<readonly string[]>
  /** Takes a database without buckets out of the map. */
  removeDatabase(name: string, shard: string): Promise<void>
}

/** Buckets that move together, unless somebody says otherwise: they are blocked together for the moment of the switch. */
const GROUP = 8

/** How each is done, and with which moves it can be done. */
const ACTIONS: Readonly<
  Record<
    DataMoveAction,
    {
      readonly act: (coordinator: Coordinator, name: string, id: string) => Promise<void>
      readonly fits: (move: DataMove) => boolean
    }
  >
> = {
  pause: { act: pauseMove, fits: (move) => !move.paused && isUnderWay(move) },
  resume: { act: resumeMove, fits: ({ paused }) => paused },
  abort: { act: abortMove, fits: (move) => !move.aborted && isUnderWay(move) },
  reverse: { act: reverseMove, fits: ({ step }) => step === 'switched' },
  drop: { act: finishMove, fits: ({ step }) => step === 'switched' },
}

/** What operators do with applications in several databases, on a coordinator. */
export function dataActionsOn(coordinator: Coordinator): DataActions {
  return {
    async planDataShards(name, spread) {
      const { databases } = await detailOf('data-shards', name, coordinator)
      const moves = await planDataMoves(coordinator, name, optionsOf(spread))
      return { moves, before: databases, after: afterAll(databases, spread, moves) }
    },
    async startDataMoves(name, wish) {
      const detail = await detailOf('data-shards', name, coordinator)
      const planned =
        'even' in wish
          ? await planDataMoves(coordinator, name, optionsOf(wish))
          : plannedOf(detail, wish.buckets, wish.to, wish.group ?? GROUP)
      if (planned.length === 0) return []
      const ids = await startMoves(coordinator, name, planned)
      return planned.map((move, index) => ({ id: ids[index]!, ...move }))
    },
    async steerDataMoves(name, ids, action) {
      const { moves } = await detailOf('data-shards', name, coordinator)
      const { act, fits } = ACTIONS[action]
      const known = moves.map(({ id }) => id)
      const unknown = ids === 'all' ? undefined : ids.find((id) => !known.includes(id))
      if (unknown !== undefined)
        throw coordinationError(
          'BANYAN_MOVE_UNKNOWN',
          `there is no move ${JSON.stringify(unknown)} of ${JSON.stringify(name)}${hintOf(unknown, known, 'nothing moves')}`,
        )
      const meant = ids === 'all' ? moves.filter(fits).map(({ id }) => id) : ids
      for (const id of meant) await act(coordinator, name, id)
      return meant
    },
    async removeDatabase(name, shard) {
      await detailOf('data-shards', name, coordinator)
      await removeDatabase(coordinator, name, shard)
    },
  }
}

function isUnderWay({ step }: DataMove): boolean {
  return step !== 'switched' && step !== 'drop'
}

function optionsOf({ add, remove, group = GROUP }: EvenSpread): Parameters<typeof planDataMoves>[2] {
  return { group, ...(add && { add }), ...(remove && { drain: [...remove] }) }
}

/** The buckets as moves from wherever they are; those that are there already stay out of it. */
function plannedOf(
  { owners, buckets: count }: DataShardsDetail,
  buckets: readonly number[],
  to: string,
  group: number,
): PlannedDataMove[] {
  if (!(Number.isInteger(group) && group > 0))
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `group must be a whole number above 0, got ${group}`)
  const wrong = buckets.find((bucket) => !Number.isInteger(bucket) || bucket < 0 || bucket >= count)
  if (wrong !== undefined)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `there is no bucket ${wrong}: they are 0 to ${count - 1}`)
  const byOwner = new Map<string, number[]>()
  for (const bucket of new Set(buckets)) {
    const [, , from] = owners.find(([, end]) => bucket < end)!
    if (from !== to) byOwner.set(from, [...(byOwner.get(from) ?? []), bucket])
  }
  return Array.from(byOwner, ([from, all]) => {
    all.sort((a, b) => a - b)
    const groups = Array.from({ length: Math.ceil(all.length / group) }, (_, index) =>
      all.slice(index * group, (index + 1) * group),
    )
    return groups.map((each) => ({ buckets: each, from, to }))
  }).flat()
}

function afterAll(
  databases: readonly DatabaseStatus[],
  { add = {} }: EvenSpread,
  moves: readonly PlannedDataMove[],
): DatabaseStatus[] {
  const coming = Object.entries(add).map(([shard, weight]) => ({ shard, weight, buckets: 0 }))
  const change = (shard: string): number =>
    moves.reduce(
      (sum, { buckets, from, to }) =>
        sum + (to === shard ? buckets.length : 0) - (from === shard ? buckets.length : 0),
      0,
    )
  return [...databases, ...coming].map((each) => ({ ...each, buckets: each.buckets + change(each.shard) }))
}
