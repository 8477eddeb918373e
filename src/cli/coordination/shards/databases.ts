import { formatDuration } from '../../../core/duration.js'
import type { DataMove } from '../../../coordination/sharding/data/map.js'
import type { PastDataMove } from '../../../coordination/sharding/data/history.js'
import { bucketRanges } from '../../../coordination/sharding/data/ranges.js'
import type { DataShardsStatus } from '../../../node/coordination/shard-views.js'
import { countOf, countText } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { paint, table, type Column } from '../../paint.js'
import type { Look } from '../look.js'
import { agoText, nameText, namesText, page, spanText } from '../text.js'

/** How applications are shown that are spread over databases. */
export const databases: Look<'data-shards'> = {
  view: 'data-shards',
  nothing: 'no applications spread over databases',
  table: (all, _now, width) => table(COLUMNS, all.map(row), width),
  page(application, now, width) {
    const { name, buckets, founded, databases: all, moves, mover, history } = application
    const rows: [string, string][] = [['buckets', countText(buckets)]]
    if (!founded) rows.push(['founded', paint('yellow', 'not yet: not all databases know what they own')])
    rows.push([
      'moves',
      mover
        ? `made by ${printable(mover.holder)}, for ${spanText(mover.since, now)}`
        : paint(moves.length > 0 ? 'red' : 'gray', NOBODY),
    ])
    const shares = table(
      ['DATABASE', { heading: 'WEIGHT', right: true }, { heading: 'BUCKETS', right: true }],
      all.map(({ shard, weight, buckets: has }) => [printable(shard), String(weight), countText(has)]),
      width,
    )
    const title = `${nameText(name)}  in ${countOf(all.length, 'database')}`
    return page(title, rows, [
      shares,
      ...(moves.length > 0 ? [movesTable(moves, now, width)] : []),
      ...(history.length > 0 ? [historyTable(history.slice(-LAST), now, width)] : []),
    ])
  },
}

/** Moves of the past that are shown; `banyan shards history` has all. */
const LAST = 10

const NOBODY = 'nobody makes them'

/** What to do if nobody makes moves that were asked for; undefined if somebody does, or nothing moves. */
export function stillText({
  name,
  moves,
  mover,
}: Pick<DataShardsStatus, 'name' | 'moves' | 'mover'>): string | undefined {
  if (moves.length === 0 || mover) return undefined
  return (
    `nobody makes the moves of ${printable(name)}, so they stand still: run a node with \`shards.${printable(name)}\` in its configuration ` +
    '(`banyan up`; if one runs, `banyan status` tells what is in its way), or `runMoves` in the application'
  )
}

const COLUMNS: Column[] = [
  { heading: 'APPLICATION' },
  { heading: 'BUCKETS', right: true },
  { heading: 'DATABASES' },
  { heading: 'MOVES' },
]

function row({ name, buckets, databases: all, moves, mover }: DataShardsStatus): string[] {
  return [
    nameText(name),
    countText(buckets),
    namesText(all.map(({ shard, buckets: has }) => `${shard}: ${has}`)),
    moves.length === 0
      ? '-'
      : `${moves.length}: ${namesText(
          moves.map(({ step, problem }) => (problem === undefined ? step : `${step}, ${problem}`)),
          1,
        )}${mover ? '' : paint('red', `, ${NOBODY}`)}`,
  ]
}

/**
 * How far moves are.
 *
 * @param rateOf - how many rows of one are copied in a second, if that is known
 */
export function movesTable(
  moves: readonly DataMove[],
  now: number,
  width: number,
  rateOf: (move: DataMove) => number | undefined = () => undefined,
): string {
  return table(
    MOVES,
    moves.map((move) => [
      printable(move.id),
      bucketsText(move.buckets),
      printable(move.from),
      printable(move.to),
      stepText(move),
      progressText(move, rateOf(move)),
      formatDuration(Math.max(0, now - move.since)),
      printable(move.problem ?? ''),
    ]),
    width,
  )
}

const MOVES: Column[] = [
  { heading: 'MOVE' },
  { heading: 'BUCKETS' },
  { heading: 'FROM' },
  { heading: 'TO' },
  { heading: 'STEP' },
  { heading: 'COPIED', right: true },
  { heading: 'FOR', right: true, dispensable: 1 },
  { heading: 'PROBLEM' },
]

/** Moves that are over, the last one first. */
export function historyTable(history: readonly PastDataMove[], now: number, width: number): string {
  return table(
    HISTORY,
    history
      .toReversed()
      .map(({ id, buckets, ranges, from, to, rows, since, ended, outcome, problem }) => [
        printable(id),
        rangesText(ranges, buckets),
        printable(from),
        printable(to),
        countText(rows),
        outcome === 'aborted' ? paint('yellow', outcome) : outcome,
        agoText(ended, now),
        formatDuration(Math.max(0, ended - since)),
        printable(problem ?? ''),
      ]),
    width,
  )
}

const HISTORY: Column[] = [
  { heading: 'PAST MOVE' },
  { heading: 'BUCKETS' },
  { heading: 'FROM' },
  { heading: 'TO' },
  { heading: 'COPIED', right: true },
  { heading: 'OUTCOME' },
  { heading: 'ENDED' },
  { heading: 'AFTER', right: true, dispensable: 1 },
  { heading: 'PROBLEM' },
]

/** As few ranges as can be; of many the first. */
export function bucketsText(buckets: readonly number[]): string {
  return rangesText(bucketRanges(buckets), buckets.length)
}

/** @param count - of all buckets */
function rangesText(ranges: readonly (readonly [from: number, to: number])[], count: number): string {
  const few = ranges.slice(0, RANGES)
  const shown = few.map(([from, to]) => (to - from === 1 ? String(from) : `${from}-${to - 1}`))
  const isAll = few.reduce((sum, [from, to]) => sum + to - from, 0) === count
  return `${shown.join(',')}${isAll ? '' : ',…'}`
}

const RANGES = 3

function stepText({ step, paused, aborted, reversed }: DataMove): string {
  const how = aborted ? ', called off' : reversed ? ', back' : ''
  if (paused) return paint('yellow', `${step}${how}, paused`)
  return paint(step === 'diverged' ? 'red' : step === 'switched' ? 'green' : 'cyan', `${step}${how}`)
}

function progressText({ rows, estimate, compared }: DataMove, rate: number | undefined): string {
  const of = estimate === 0 ? '' : ` of ${countText(Math.max(rows, estimate))}`
  const speed = rate === undefined ? '' : `, ${countText(Math.round(rate))}/s`
  return `${countText(rows)}${of}${speed}${compared ? `, ${countText(compared.rows)} compared` : ''}`
}
