import type { ShardForecast, WorkerShare } from '../../../coordination/sharding/map/plan-shards.js'
import type { DataForecast } from '../../../node/coordination/data-operations.js'
import { countOf, countText } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { note, lineWidth } from '../../output.js'
import { table } from '../../paint.js'
import { UsageError } from '../../usage-error.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator } from '../session.js'
import { nameText } from '../text.js'
import { bucketsText } from './databases.js'
import { kindOf, type KindOptions } from './kind.js'
import { loadText } from './maps.js'

/** Moves that are shown; JSON has all. */
const SHOWN = 20

/** What if: `--with` and `--without`. */
export interface WhatIf {
  with?: readonly string[]
  without?: readonly string[]
}

/** `banyan shards plan`. */
export async function plan(
  name: string,
  options: PlaceOptions & KindOptions & WhatIf & { json?: true },
): Promise<void> {
  const { json, with: coming = [], without = [], workers, databases, ...where } = options
  const changes = {
    ...(coming.length > 0 && { add: Object.fromEntries(coming.map(weighted)) }),
    ...(without.length > 0 && { remove: without }),
  }
  await onCoordinator(where, async ({ desk, output }) => {
    const kind = await kindOf(desk, name, { ...(workers && { workers }), ...(databases && { databases }) })
    if (kind === 'data-shards') {
      const forecast = await desk.planDataShards(name, changes)
      if (json) output.json({ name, ...forecast })
      else output.add(dataPlanText(name, forecast))
      return
    }
    const forecast = await desk.planShards(name, changes)
    if (json) {
      output.json({ name, ...forecast })
      return
    }
    if (forecast.paused) note(`${name} is paused: this is what would move if it were not`)
    output.add(planText(name, forecast))
  })
}

function dataPlanText(name: string, { moves, before, after }: DataForecast): string {
  const count = moves.reduce((sum, { buckets }) => sum + buckets.length, 0)
  const parts = [
    moves.length === 0
      ? `${nameText(name)}  nothing would move`
      : `${nameText(name)}  ${countOf(count, 'bucket')} in ${countOf(moves.length, 'move')}`,
    ...(moves.length === 0
      ? []
      : [
          table(
            ['BUCKETS', 'FROM', 'TO'],
            moves
              .slice(0, SHOWN)
              .map(({ buckets, from, to }) => [bucketsText(buckets), printable(from), printable(to)]),
            lineWidth(),
          ),
        ]),
    ...(moves.length > SHOWN ? [`and ${countText(moves.length - SHOWN)} more; --json has all`] : []),
    table(
      ['DATABASE', ...['WEIGHT', 'BUCKETS', 'THEN'].map((heading) => ({ heading, right: true }))],
      after.map(({ shard, weight, buckets }) => {
        const was = before.find((each) => each.shard === shard)
        return [printable(shard), String(weight), was ? countText(was.buckets) : '-', countText(buckets)]
      }),
      lineWidth(),
    ),
  ]
  return parts.join('\n\n')
}

function planText(name: string, { moves, before, after }: ShardForecast): string {
  const rows = moves
    .slice(0, SHOWN)
    .map(({ bucket, from, to, why }) => [bucket, printable(from ?? '-'), printable(to), why])
  const parts = [
    moves.length === 0
      ? `${nameText(name)}  nothing would move`
      : `${nameText(name)}  ${countOf(moves.length, 'move')}`,
    ...(moves.length === 0 ? [] : [table(['BUCKET', 'FROM', 'TO', 'WHY'], rows, lineWidth())]),
    ...(moves.length > SHOWN ? [`and ${countText(moves.length - SHOWN)} more; --json has all`] : []),
    sharesTable(before, after),
  ]
  return parts.join('\n\n')
}

/** What workers have and would have. */
function sharesTable(before: readonly WorkerShare[], after: readonly WorkerShare[]): string {
  const names = [...new Set([...before, ...after].map(({ worker }) => worker))].sort()
  const of = (shares: readonly WorkerShare[], name: string): WorkerShare | undefined =>
    shares.find(({ worker }) => worker === name)
  return table(
    ['WORKER', ...['WEIGHT', 'BUCKETS', 'THEN', 'LOAD', 'THEN'].map((heading) => ({ heading, right: true }))],
    names.map((name) => {
      const [was, is] = [of(before, name), of(after, name)]
      return [
        printable(name),
        String((is ?? was)!.weight),
        was ? countText(was.buckets) : '-',
        is ? countText(is.buckets) : '-',
        was ? loadText(was.load) : '-',
        is ? loadText(is.load) : '-',
      ]
    }),
    lineWidth(),
  )
}

/** `ID` or `ID=WEIGHT`: ids may have a colon in them. */
function weighted(text: string): [id: string, weight: number] {
  const [, id = '', weight] = /^(.+?)(?:=([^=]*))?$/.exec(text) ?? []
  const number = weight === undefined ? 1 : Number(weight)
  if (id === '' || !(number > 0 && number < Infinity) || weight === '')
    throw new UsageError(`--with is ID or ID=WEIGHT with a weight above 0, not ${text}`)
  return [id, number]
}
