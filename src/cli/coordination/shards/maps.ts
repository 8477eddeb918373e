import type { BucketPicture } from '../../../coordination/sharding/map/read-shards.js'
import type { ShardHappening } from '../../../coordination/sharding/map/history.js'
import type { ShardMapStatus } from '../../../node/coordination/shard-views.js'
import type { Views } from '../../../node/coordination/views.js'
import { countText } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { paint, table, type Column } from '../../paint.js'
import type { Look } from '../look.js'
import { agoText, momentText, nameText, page, spanText } from '../text.js'

type Detail = Views['shards']['detail']

/** How shard maps of workers are shown. */
export const maps: Look<'shards'> = {
  view: 'shards',
  nothing: 'no shard maps',
  table: (all, now, width) =>
    table(
      COLUMNS,
      all.map((each) => row(each, now)),
      width,
    ),
  page: (map, now, width) => mapPage(map, now, width, map.owners.filter(isTold)),
}

/** The same with every bucket. */
export const mapsInFull: Look<'shards'> = {
  ...maps,
  page: (map, now, width) => mapPage(map, now, width, map.owners),
}

const COLUMNS: Column[] = [
  { heading: 'SHARD MAP' },
  { heading: 'BUCKETS', right: true },
  { heading: 'WORKERS', right: true },
  { heading: 'UNOWNED' },
  { heading: 'MOVING', right: true },
  { heading: 'LOAD', right: true, dispensable: 2 },
  { heading: 'PLANNED BY', dispensable: 1 },
]

function row(map: ShardMapStatus, now: number): string[] {
  const { name, buckets, splits, workers, moves, planner, paused } = map
  const loads = workers.flatMap(({ load }) => load ?? [])
  return [
    nameText(name),
    countText(buckets + splits.length),
    workers.length === 0 ? paint('red', '0') : countText(workers.length),
    unownedText(map.unowned, map.unownedSince, now),
    countText(moves.length),
    loads.length === 0 ? '-' : loadText(sum(loads)),
    paused ? paint('yellow', `paused by ${printable(paused.by)}`) : plannerText(planner),
  ]
}

function mapPage(map: Detail, now: number, width: number, told: readonly BucketPicture[]): string {
  const { name, buckets, splits, workers, owners, unowned, moves, planner, plan, paused, history } = map
  const since = owners.flatMap(({ unownedSince }) => unownedSince ?? [])
  const rows: [string, string][] = [
    [
      'buckets',
      `${countText(owners.length)}${splits.length > 0 ? `, ${countText(buckets)} of them at first` : ''}`,
    ],
    [
      'unowned',
      unownedText(unowned, since.length === 0 ? undefined : since.reduce((a, b) => Math.min(a, b)), now),
    ],
    [
      'planned',
      plan ? `by ${plannerText(planner)}, plan ${plan.version} of ${momentText(plan.at, now)}` : 'not yet',
    ],
  ]
  if (paused) rows.push(['paused', paint('yellow', `by ${printable(paused.by)}, ${agoText(paused.at, now)}`)])
  const tables = [
    some(workers, WORKERS, (worker) => [
      printable(worker.worker),
      String(worker.weight),
      countText(worker.buckets),
      countText(worker.planned),
      worker.load === undefined ? '-' : loadText(worker.load),
      workerText(worker, now),
      agoText(worker.since, now),
    ]),
    some(moves, ['MOVES', 'FROM', 'TO', 'WHY', 'SINCE'], ({ bucket, from, to, why, since: begun }) => [
      bucket,
      printable(from),
      printable(to),
      why,
      agoText(begun, now),
    ]),
    some(told, ['BUCKET', 'WORKER', { heading: 'EPOCH', right: true }, 'STATE', 'SINCE'], (bucket) => [
      bucket.bucket,
      printable(bucket.worker ?? '-'),
      String(bucket.epoch ?? '-'),
      bucketText(bucket),
      sinceText(bucket.since ?? bucket.unownedSince, now),
    ]),
    history.length === 0 ? [] : [happeningsTable(history.slice(-LAST), now, width)],
  ]
  return page(
    `${nameText(name)}  ${workers.length === 0 ? paint('red', 'no workers') : `on ${countText(workers.length)} ${workers.length === 1 ? 'worker' : 'workers'}`}`,
    rows,
    tables.flat(),
  )

  function some<Row>(
    all: readonly Row[],
    columns: readonly (string | Column)[],
    cells: (each: Row) => string[],
  ): string[] {
    return all.length === 0 ? [] : [table(columns, all.map(cells), width)]
  }
}

/** What has happened to a map, the last first. */
export function happeningsTable(history: readonly ShardHappening[], now: number, width: number): string {
  return table(
    [{ heading: 'AGO', right: true }, 'WHAT', 'BY'],
    history.toReversed().map((each) => [spanText(each.at, now), happeningText(each), printable(each.by)]),
    width,
  )
}

const WORKERS: Column[] = [
  { heading: 'WORKER' },
  { heading: 'WEIGHT', right: true },
  { heading: 'BUCKETS', right: true },
  { heading: 'PLANNED', right: true },
  { heading: 'LOAD', right: true },
  { heading: 'STATE' },
  { heading: 'SINCE', dispensable: 1 },
]

/** Happenings that are shown; `banyan shards history` has all. */
const LAST = 10

/** Whether there is something to say of a bucket. */
function isTold({ worker, target, pinned }: BucketPicture): boolean {
  return worker === undefined || pinned !== undefined || worker !== target
}

function workerText({ draining, releasing }: Detail['workers'][number], now: number): string {
  const [late] = Object.entries(releasing).sort(([, a], [, b]) => a - b)
  if (late) return paint('red', `does not end ${printable(late[0])}, for ${spanText(late[1], now)}`)
  return draining ? paint('yellow', 'draining') : paint('green', 'works')
}

function bucketText({ worker, target, pinned }: BucketPicture): string {
  if (pinned) return `pinned to ${printable(pinned.to)} by ${printable(pinned.by)}`
  if (worker === undefined)
    return paint('red', target === undefined ? 'nobody has it' : `waits for ${printable(target)}`)
  return worker === target || target === undefined ? 'owned' : paint('yellow', `goes to ${printable(target)}`)
}

function happeningText({ what, counts, buckets = [], worker }: ShardHappening): string {
  if (worker !== undefined) return `${what}: ${printable(worker)}`
  const names = buckets.map(({ bucket }) => bucket)
  if (!counts) return [what, ...names].join(' ')
  const total = sum(Object.values(counts))
  const why = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`)
  return `${what} ${names.join(', ')}${total > names.length ? ` and ${countText(total - names.length)} more` : ''}: ${why.join(', ')}`
}

function unownedText(count: number, since: number | undefined, now: number): string {
  if (count === 0) return '-'
  return paint('red', `${countText(count)}${since === undefined ? '' : `, for ${spanText(since, now)}`}`)
}

function plannerText(planner: string | undefined): string {
  return planner === undefined ? paint('red', 'nobody') : printable(planner)
}

function sinceText(time: number | undefined, now: number): string {
  return time === undefined ? '-' : agoText(time, now)
}

/** Three digits are what workers tell. */
export function loadText(load: number): string {
  return load >= 1000 ? countText(Math.round(load)) : String(Number(load.toPrecision(3)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}
