import type { Progress } from './state.js'

/** How much goes into one event at first: positions count one each. At most some hundred kB. */
export const MOST_ITEMS = 4096
/** The least that a log must take: one lane, with the reason why it failed. */
export const LEAST_ITEMS = 16
/** What a lane counts. */
const LANE_ITEMS = 16

/**
 * What has changed, in pieces that a log takes as one event each; all go into one commit. Each is whole in itself, and
 * lanes come before what is settled, should one want to read only some.
 *
 * @param items - how much goes into a piece
 */
export function piecesOf(change: Progress, items: number): Progress[] {
  const { cursor, lanes = [], settled = [], gone = [], started = [], unstarted = [] } = change
  const size = lanes.length * LANE_ITEMS + settled.length + gone.length + started.length + unstarted.length
  if (size <= items) return [change]
  const pieces: Progress[] = []
  for (const part of cut(lanes, Math.max(1, Math.floor(items / LANE_ITEMS))))
    pieces.push({ cursor, lanes: part })
  for (const part of cut(started, items)) pieces.push({ cursor, started: part })
  for (const part of cut(unstarted, items)) pieces.push({ cursor, unstarted: part })
  for (const part of cut(settled, items)) pieces.push({ cursor, settled: part })
  for (const part of cut(gone, items)) pieces.push({ cursor, gone: part })
  return pieces
}

function cut<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = []
  for (let first = 0; first < list.length; first += size) parts.push(list.slice(first, first + size))
  return parts
}
