import type { Capabilities, LogStats } from '../../events/index.js'
import { paint } from '../paint.js'
import { shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { onLog } from './session.js'
import { bytesText, countText } from './show/numbers.js'
import { printable } from './show/printable.js'

/** `banyan events stats`. */
export async function stats(options: PlaceOptions & { json?: true }): Promise<void> {
  await onLog(options, async ({ log, place, output }) => {
    const found = await log.stats()
    const { capabilities } = log
    if (options.json) output.json({ log: place.name, ...found, capabilities })
    else output.add(render(place.name, found, capabilities))
  })
}

/** Of fewer events, most of the size is not theirs. */
const FEW = 1000

function render(name: string, stats: LogStats, capabilities: Capabilities): string {
  const { events, streams, commits, bytes, head, first, format, holds } = stats
  const perEvent = events >= FEW ? `, ${bytesText(bytes / events)} an event` : ''
  const rows: [string, string][] = [
    ['events', `${countText(events)}, positions ${shortPosition(first)} to ${shortPosition(head)}`],
    ['streams', countText(streams)],
    ['commits', countText(commits)],
    ['size', `${bytesText(bytes)}${perEvent}`],
    ['format', String(format)],
    ['promises', promisesText(capabilities)],
    ...holds.map(({ name, position }, index): [string, string] => [
      index === 0 ? 'holds' : '',
      `${paint('bold', printable(name))} keeps everything after position ${shortPosition(position)}`,
    ]),
  ]
  const width = Math.max(...rows.map(([title]) => title.length))
  return [
    paint('bold', name),
    ...rows.map(([title, text]) => `${paint('gray', title.padEnd(width))}  ${text}`),
  ].join('\n')
}

function promisesText({ order, atomic, dedupe, durable, shared, transactions }: Capabilities): string {
  return [
    `order: ${order}`,
    `atomic: ${atomic}`,
    `durable: ${durable}`,
    `commit ids: ${dedupe}`,
    `shared by: ${shared}`,
    ...(transactions ? ['joins your transactions'] : []),
  ].join(', ')
}
