import { formatDuration } from '../../../core/duration.js'
import type { DataMove } from '../../../coordination/sharding/data/map.js'
import type { DataShardsStatus } from '../../../node/coordination/shard-views.js'
import { countOf, countText } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { paint, table, type Column } from '../../paint.js'
import type { Look } from '../look.js'
import { nameText, namesText, page } from '../text.js'

/** How applications are shown that are spread over databases. */
export const databases: Look<'data-shards'> = {
  view: 'data-shards',
  nothing: 'no applications spread over databases',
  table: (all, _now, width) => table(COLUMNS, all.map(row), width),
  page(application, now, width) {
    const { name, buckets, founded, databases: all, moves } = application
    const rows: [string, string][] = [['buckets', countText(buckets)]]
    if (!founded) rows.push(['founded', paint('yellow', 'not yet: not all databases know what they own')])
    const shares = table(
      ['DATABASE', { heading: 'WEIGHT', right: true }, { heading: 'BUCKETS', right: true }],
      all.map(({ shard, weight, buckets: has }) => [printable(shard), String(weight), countText(has)]),
      width,
    )
    const title = `${nameText(name)}  in ${countOf(all.length, 'database')}`
    return page(title, rows, moves.length === 0 ? [shares] : [shares, movesTable(moves, now, width)])
  },
}

const COLUMNS: Column[] = [
  { heading: 'APPLICATION' },
  { heading: 'BUCKETS', right: true },
  { heading: 'DATABASES' },
  { heading: 'MOVES' },
]

function row({ name, buckets, databases: all, moves }: DataShardsStatus): string[] {
  return [
    nameText(name),
    countText(buckets),
    namesText(all.map(({ shard, buckets: has }) => `${shard}: ${has}`)),
    moves.length === 0
      ? '-'
      : `${moves.length}: ${namesText(
          moves.map(({ step, problem }) => (problem === undefined ? step : `${step}, ${problem}`)),
          1,
        )}`,
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

/** As few ranges as can be; of many the first. */
export function bucketsText(buckets: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const bucket of [...buckets].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.[1] === bucket - 1) last[1] = bucket
    else ranges.push([bucket, bucket])
  }
  const shown = ranges.slice(0, RANGES).map(([from, to]) => (from === to ? String(from) : `${from}-${to}`))
  return `${shown.join(',')}${ranges.length > RANGES ? ',…' : ''}`
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
