import { readFile } from 'node:fs/promises'
import { BanyanError } from '../../../core/errors.js'
import { mergeHeat } from '../../../coordination/sharding/heat/merge.js'
import type { HeatSnapshot } from '../../../coordination/sharding/heat/snapshot.js'
import { heatOfDatabases, heatOfMap, type ShardHeat } from '../../../node/coordination/shard-heat.js'
import { printable } from '../../events/show/printable.js'
import { lineWidth, note } from '../../output.js'
import { paint, table } from '../../paint.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator } from '../session.js'
import { nameText } from '../text.js'
import { kindOf, type KindOptions } from './kind.js'
import { loadText } from './maps.js'

/** How long who has measured may take to answer, in ms. */
const PATIENCE_MS = 5000

/** `banyan shards heat`. */
export async function heat(
  name: string,
  {
    json,
    from = [],
    workers,
    databases,
    ...where
  }: PlaceOptions & KindOptions & { json?: true; from?: readonly string[] },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output }) => {
    const kind = await kindOf(desk, name, { ...(workers && { workers }), ...(databases && { databases }) })
    const measured = from.length === 0 ? undefined : mergeHeat(await Promise.all(from.map(snapshotAt)))
    let found: ShardHeat
    if (kind === 'shards') found = heatOfMap(await desk.detail('shards', name), measured)
    else if (measured) found = heatOfDatabases(await desk.detail('data-shards', name), measured)
    else
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `nobody tells what the buckets of ${JSON.stringify(name)} cost; say who has measured it, with --from: what snapshot() of a heatMeter gives, as a URL or a file`,
      )
    if (json) output.json(found)
    else if (found.total === 0)
      note(
        kind === 'shards' && !measured
          ? `no worker of ${name} tells what its buckets cost: that takes \`load\`, or \`report\`; or say who has measured it, with --from`
          : `nothing was measured of ${name}`,
      )
    else output.add(heatText(found))
  })
}

/** What a meter has measured: from a file, or from an application that serves it. */
async function snapshotAt(place: string): Promise<HeatSnapshot> {
  let value: unknown
  try {
    value = /^https?:\/\//.test(place)
      ? await (await fetch(place, { signal: AbortSignal.timeout(PATIENCE_MS) })).json()
      : JSON.parse(await readFile(place, 'utf8'))
  } catch (cause) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${place} cannot be read as JSON: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
  const { buckets, keys, halfLife, at } = (value ?? {}) as Partial<HeatSnapshot>
  if (Array.isArray(buckets) && Array.isArray(keys) && typeof halfLife === 'number' && typeof at === 'number')
    return value as HeatSnapshot
  throw new BanyanError('BANYAN_INVALID_OPTIONS', `${place} is not what snapshot() of a heatMeter gives`)
}

function heatText({ name, total, owners, buckets, keys, findings }: ShardHeat): string {
  const width = lineWidth()
  const share = (load: number): string => `${((100 * load) / total).toFixed(1)}%`
  const parts = [
    `${nameText(name)}  load ${loadText(total)}`,
    table(
      ['OWNER', ...right('WEIGHT', 'LOAD', 'SHARE', 'OF ITS PART')],
      owners.map(({ owner, weight, load, parts: of }) => [
        printable(owner),
        String(weight),
        loadText(load),
        share(load),
        `${of.toFixed(2)} x`,
      ]),
      width,
    ),
    table(
      ['HOTTEST BUCKET', 'OWNER', ...right('LOAD', 'SHARE')],
      buckets
        .slice(0, SHOWN)
        .map(({ bucket, owner, load }) => [bucket, printable(owner ?? '-'), loadText(load), share(load)]),
      width,
    ),
  ]
  if (keys.length > 0)
    parts.push(
      table(
        ['HOTTEST KEY', 'BUCKET', ...right('LOAD', 'SHARE')],
        keys
          .slice(0, SHOWN)
          .map(({ key, bucket, load, error }) => [
            printable(key),
            bucket,
            error > 0 ? `${loadText(load - error)} to ${loadText(load)}` : loadText(load),
            share(load - error),
          ]),
        width,
      ),
    )
  parts.push(
    findings.length === 0
      ? paint('green', 'nothing is too hot')
      : findings.map(({ remedy, text }) => `${paint('yellow', remedy)}: ${printable(text)}`).join('\n'),
  )
  return parts.join('\n\n')
}

/** The table of buckets, and that of keys. */
const SHOWN = 5

function right(...headings: string[]): { heading: string; right: true }[] {
  return headings.map((heading) => ({ heading, right: true }))
}
