import { systemClock } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import { hasCode } from '../../../coordination/errors.js'
import type { Views } from '../../../node/coordination/views.js'
import { lineWidth, note } from '../../output.js'
import type { Seen } from '../desk.js'
import { lines, look, redrawn, type LookOptions } from '../look.js'
import { onCoordinator, type Session } from '../session.js'
import { record } from '../text.js'
import { databases } from './databases.js'
import { kindOf, type KindOptions } from './kind.js'
import { maps, mapsInFull } from './maps.js'

type Options = LookOptions & KindOptions & { buckets?: true }

/** Of workers, and of databases. */
type Both = readonly [
  maps: readonly Views['shards']['status'][],
  data: readonly Views['data-shards']['status'][],
]

/** `banyan shards`: all of them, or one. */
export async function show(
  name: string | undefined,
  options: Options,
  nearCommand: (word: string) => string | undefined,
): Promise<void> {
  const { workers, databases: data, buckets, ...where } = options
  const kinds = { ...(workers && { workers }), ...(data && { databases: data }) }
  if (name === undefined && !workers && !data) return showAll(where)
  let isMap = workers === true
  if (name !== undefined)
    await onCoordinator(where, async ({ desk }) => {
      isMap =
        (await kindOf(desk, name, kinds).catch((error: unknown) =>
          notEvenACommand(error, nearCommand(name)),
        )) === 'shards'
    })
  return isMap ? look(buckets ? mapsInFull : maps, name, where) : look(databases, name, where)
}

/** The same error, for who has meant a command. */
function notEvenACommand(error: unknown, hint: string | undefined): never {
  if (hint === undefined || !hasCode(error, 'BANYAN_SHARD_MAP_UNKNOWN')) throw error
  throw new BanyanError('BANYAN_SHARD_MAP_UNKNOWN', `${(error as Error).message}${hint}`, { cause: error })
}

async function showAll({ json, watch, ...where }: LookOptions): Promise<void> {
  const shown = ([all, data]: Both): unknown => record({ shards: all, dataShards: data })
  const text = ([all, data]: Both): string => {
    const [now, width] = [systemClock.wall(), lineWidth()]
    const tables = [
      ...(all.length === 0 ? [] : [maps.table(all, now, width)]),
      ...(data.length === 0 ? [] : [databases.table(data, now, width)]),
    ]
    return tables.length === 0 ? NOTHING : tables.join('\n\n')
  }
  const once = async ({ desk, place, output }: Session): Promise<void> => {
    const both = await Promise.all([desk.list('shards'), desk.list('data-shards')])
    if (json) output.json(shown(both))
    else if (both.every((each) => each.length === 0)) note(`${NOTHING} on ${place.name}`)
    else output.add(text(both))
  }
  const live = async ({ desk, output, signal }: Session): Promise<void> => {
    const seen = together(
      desk.follow('shards', undefined, signal),
      desk.follow('data-shards', undefined, signal),
    )
    if (json) await lines(seen, ([both]) => JSON.stringify(shown(both!)), output)
    else if (process.stdout.isTTY) await redrawn(seen, ([both]) => text(both!), signal)
    else await lines(seen, ([both]) => text(both!), output)
  }
  await onCoordinator(where, watch ? live : once, { endless: watch === true })
}

const NOTHING = 'no shards'

/** What there is of both, as soon as both are known, and whenever one has changed. */
async function* together(
  ...both: [AsyncIterable<Seen<Both[0][number]>>, AsyncIterable<Seen<Both[1][number]>>]
): AsyncGenerator<Seen<Both>> {
  const iterators = both.map((each) => (each as AsyncIterable<Seen<unknown>>)[Symbol.asyncIterator]())
  const last: (Seen<unknown> | undefined)[] = [undefined, undefined]
  const next = (index: number) => iterators[index]!.next().then((result) => ({ index, result }))
  const waiting = iterators.map((_, index) => next(index))
  try {
    for (;;) {
      const { index, result } = await Promise.race(waiting)
      if (result.done) return
      last[index] = result.value
      waiting[index] = next(index)
      const [first, second] = last
      if (!first || !second) continue
      const problem = first.problem ?? second.problem
      yield {
        statuses: [[first.statuses, second.statuses] as unknown as Both],
        ...(problem !== undefined && { problem }),
      }
    }
  } finally {
    // Those that still wait are ended by the signal.
    for (const each of waiting) each.catch(() => undefined)
  }
}
