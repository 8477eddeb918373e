import type { Coordinator } from '../../coordinator.js'
import { happeningsIn, rewriteHistory } from '../../history.js'
import { KEYSPACE, segment } from '../../keyspace.js'
import { bucketRanges } from './ranges.js'

/** A move of data that has come to its end. */
export interface PastDataMove {
  readonly id: string
  /** How many buckets. */
  readonly buckets: number
  /** From, and up to without: of many the first. */
  readonly ranges: readonly (readonly [from: number, to: number])[]
  /** As it was asked for. */
  readonly from: string
  readonly to: string
  /** That were copied. */
  readonly rows: number
  /** When it was asked for, switched for the first time, and over, in ms since the epoch. */
  readonly since: number
  readonly switched?: number
  readonly ended: number
  /** `moved`, and what was left at the source is dropped; `reversed` likewise, and back where it was; `aborted` before it was switched. */
  readonly outcome: 'moved' | 'reversed' | 'aborted'
  /** What stood in its way at the end, such as why it had diverged. */
  readonly problem?: string
}

/** What a history takes from a move. */
interface Move {
  readonly id: string
  readonly buckets: readonly number[]
  readonly from: string
  readonly to: string
  readonly step: string
  readonly reversed: boolean
  readonly since: number
  readonly switched?: number
  readonly rows: number
  readonly problem?: string
}

const KEPT = 100
const RANGES = 16

/**
 * Moves of data that are over, oldest first: the last 100. What could not be written when it happened is missing.
 *
 * @param name - of the sharded application
 */
export async function readMoveHistory(
  coordinator: Coordinator,
  name: string,
): Promise<readonly PastDataMove[]> {
  return happeningsIn((await coordinator.get(moveHistoryKey(name)))?.value) as PastDataMove[]
}

/** Where it stands. */
export function moveHistoryKey(name: string): string {
  return KEYSPACE.history + pathOf(name)
}

/** Adds moves to the history, each once. Best effort: it never fails. */
export async function rememberMoves(
  coordinator: Coordinator,
  name: string,
  moves: readonly PastDataMove[],
): Promise<void> {
  if (moves.length === 0) return
  await rewriteHistory(
    coordinator,
    pathOf(name),
    (known) => {
      const ids = new Set((known as readonly PastDataMove[]).map(({ id }) => id))
      return [...known, ...moves.filter(({ id }) => !ids.has(id))]
    },
    KEPT,
  )
}

/** Moves that were there before, and are not any more. */
export function endedMoves(
  before: readonly Move[],
  after: readonly { readonly id: string }[],
  now: number,
): PastDataMove[] {
  const left = new Set(after.map(({ id }) => id))
  return before.filter(({ id }) => !left.has(id)).map((move) => pastOf(move, now))
}

function pastOf(move: Move, ended: number): PastDataMove {
  const { id, buckets, from, to, rows, since, switched, reversed, step, problem } = move
  return {
    ...{ id, buckets: buckets.length, ranges: bucketRanges(buckets).slice(0, RANGES) },
    ...(reversed ? { from: to, to: from } : { from, to }),
    ...{ rows, since, ended },
    ...(switched !== undefined && { switched }),
    outcome: step !== 'drop' ? 'aborted' : reversed ? 'reversed' : 'moved',
    ...(problem !== undefined && { problem }),
  }
}

function pathOf(name: string): string {
  return `data-shards/${segment(name)}`
}
