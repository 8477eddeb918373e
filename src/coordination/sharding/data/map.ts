import type { Coordinator, Entry } from '../../coordinator.js'
import { coordinationError, hasCode } from '../../errors.js'
import { KEYSPACE, segment } from '../../keyspace.js'
import type { BucketRange } from './store.js'
import { endedMoves, rememberMoves, type PastDataMove } from './history.js'

/**
 * Which shard has which bucket, and what is on its way: one value in the coordinator, changed by compare and set only. Routers
 * follow it; what decides is in the databases themselves.
 */
export interface DataShardMap {
  /** How many buckets there are, for ever. */
  readonly buckets: number
  /** Drawn when it was made: databases that were founded for another one are refused. */
  readonly owner: string
  /** Owners of beginnings that came to nothing: databases that were founded for one of them take another. */
  readonly earlier?: readonly string[]
  /** Whether every database of the beginning has been told what it owns. Until then it may be opened with other databases, weights, buckets. */
  readonly founded: boolean
  /** Whether sharding is being taken off its databases: nobody opens it, and nothing moves. */
  readonly leaving?: boolean
  /** Rises with every change. */
  readonly version: number
  /** Of the executor that changed it last: the highest fencing token. */
  readonly token: number
  readonly shards: Readonly<Record<string, DataShard>>
  /** From, up to without, and whose: all buckets in order. */
  readonly owners: readonly (readonly [from: number, to: number, shard: string])[]
  readonly moves: readonly DataMove[]
}

/** A database that has rows. */
export interface DataShard {
  /** How much it should have beside others. */
  readonly weight: number
}

/**
 * What a move does at the moment:
 *
 * | step | what is done | back |
 * |---|---|---|
 * | `copy` | changes at the source are noted, and its rows staged in the target | abort |
 * | `catch-up` | what has changed since is staged | abort |
 * | `verify` | every row is compared | abort |
 * | `diverged` | nothing: the copy is not what it should be, see `problem` | abort |
 * | `switch` | the buckets are blocked, compared a last time, adopted by the target and retired at the source | abort, or reverse if the target has adopted them |
 * | `switched` | the source is kept up to date, so that the move can be reversed | reverse |
 * | `drop` | what the source has kept is removed | none |
 */
export type MoveStepName = 'copy' | 'catch-up' | 'verify' | 'diverged' | 'switch' | 'switched' | 'drop'

/** Buckets on their way from a shard to another one. */
export interface DataMove {
  readonly id: string
  readonly buckets: readonly number[]
  readonly from: string
  readonly to: string
  readonly step: MoveStepName
  /** Whether it goes back: to where it came from, after it had been switched. */
  readonly reversed: boolean
  /** Whether an operator has called it off. */
  readonly aborted: boolean
  readonly paused: boolean
  /** When it was asked for, in ms since the epoch. */
  readonly since: number
  /** When it was switched for the first time, likewise. */
  readonly switched?: number
  /** Rows that were staged by the copy, and how many there were about when it began. */
  readonly rows: number
  readonly estimate: number
  /** How far the comparison has come, at `verify`. */
  readonly compared?: Compared
  /** What it waits for, or why it has diverged. */
  readonly problem?: string
}

/** Rows that are as they should be: those of tables and buckets before, and of this bucket up to a primary key. */
export interface Compared {
  readonly rows: number
  readonly table: string
  readonly bucket: number
  /** The primary key of the last one; undefined if there was none yet. */
  readonly after?: string
}

/** Where the map of a sharded application stands. */
export function dataShardsKey(name: string): string {
  return KEYSPACE.dataShards + segment(name)
}

/** Reads the map; undefined if there is none of that name. */
export async function readDataShards(
  coordinator: Coordinator,
  name: string,
): Promise<DataShardMap | undefined> {
  const entry = await coordinator.get(dataShardsKey(name))
  return entry && decodeDataShards(entry)
}

/** @throws `BANYAN_COORDINATOR_CORRUPT` for what is no map */
export function decodeDataShards({ key, value }: Pick<Entry, 'key' | 'value'>): DataShardMap {
  try {
    const map = JSON.parse(value) as DataShardMap
    if (Number.isSafeInteger(map.buckets) && Array.isArray(map.owners) && Array.isArray(map.moves)) return map
  } catch {
    // The same as what is JSON, and no map.
  }
  throw coordinationError('BANYAN_COORDINATOR_CORRUPT', `the value of ${key} is no map of data shards`)
}

/** Whose a bucket is, as far as the map knows. */
export function ownerIn({ owners }: DataShardMap, bucket: number): string {
  let [low, high] = [0, owners.length - 1]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (owners[middle]![1] <= bucket) low = middle + 1
    else high = middle
  }
  return owners[low]![2]
}

/**
 * Changes the map in one step, whatever others do at the same time. Moves that end with it come into the history.
 *
 * @param step - says what is to stand there, or the same if nothing is to be done; asked again if something else came between
 * @returns what stands there then
 * @throws `BANYAN_SHARDS_UNKNOWN` if there is none; what the step throws; what the engine throws, if it is away for long
 */
export async function changeDataShards(
  coordinator: Coordinator,
  name: string,
  step: (map: DataShardMap) => DataShardMap,
): Promise<DataShardMap> {
  const key = dataShardsKey(name)
  /** Of changes of which it is not known whether they were made. */
  let unsure: readonly PastDataMove[] = []
  for (;;) {
    const entry = await coordinator.get(key)
    if (!entry) throw shardsUnknown(name)
    const before = decodeDataShards(entry)
    unsure = unsure.filter(({ id }) => !before.moves.some((move) => move.id === id))
    const next = step(before)
    if (next === before) {
      await rememberMoves(coordinator, name, unsure)
      return before
    }
    const now = coordinator.runtime.clock.wall()
    const moves = next.moves.map((move) => switchedAt(move, now))
    const map = { ...next, moves, version: before.version + 1 }
    const ended = [...unsure, ...endedMoves(before.moves, moves, now)]
    try {
      const result = await coordinator.put(key, JSON.stringify(map), { expected: entry.revision })
      if (!result.ok) continue
    } catch (error) {
      // It may have been done: the step is asked with what is there now.
      if (!hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')) throw error
      unsure = ended
      continue
    }
    await rememberMoves(coordinator, name, ended)
    return map
  }
}

function switchedAt(move: DataMove, now: number): DataMove {
  return move.step === 'switched' && move.switched === undefined ? { ...move, switched: now } : move
}

/** There is no sharded application of that name. */
export function shardsUnknown(name: string): Error {
  return coordinationError(
    'BANYAN_SHARDS_UNKNOWN',
    `there are no data shards ${JSON.stringify(name)}: open them first`,
  )
}

/** Which buckets a shard has. */
export function rangesIn({ owners }: Pick<DataShardMap, 'owners'>, shard: string): BucketRange[] {
  return owners.filter(([, , owner]) => owner === shard).map(([from, to]): BucketRange => [from, to])
}

/** Whether a database has a part in it: buckets, some on their way, or such that are planned. */
export function hasPart(map: DataShardMap, shard: string): boolean {
  return (
    map.owners.some(([, , owner]) => owner === shard) ||
    map.moves.some(({ from, to }) => from === shard || to === shard) ||
    (map.shards[shard]?.weight ?? 0) > 0
  )
}

/** Sharding is being taken off, and that must come to an end first. */
export function mustStay(map: DataShardMap, name: string): void {
  if (map.leaving)
    throw coordinationError(
      'BANYAN_SHARD_FOREIGN',
      `sharding is being taken off the databases of ${JSON.stringify(name)}, which came to no end: do that again, with unprepareShards or \`banyan shards unprepare\``,
    )
}

/** The same owners with some buckets at another shard, as few ranges as can be. */
export function reowned(
  owners: DataShardMap['owners'],
  buckets: readonly number[],
  shard: string,
): DataShardMap['owners'] {
  const moved = new Set(buckets)
  const ranges: [number, number, string][] = []
  for (const [from, to, owner] of owners)
    for (let bucket = from; bucket < to; bucket++) {
      const whose = moved.has(bucket) ? shard : owner
      const last = ranges.at(-1)
      if (last?.[2] === whose) last[1] = bucket + 1
      else ranges.push([bucket, bucket + 1, whose])
    }
  return ranges
}
