import type { EventLog, Position, RecordedEvent, Selector } from '../../events/index.js'
import { note } from '../output.js'
import { UsageError } from '../usage-error.js'
import { positionOf, shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { countOf, selectorOf, type SelectionOptions } from './selection.js'
import { onLog, type Session } from './session.js'
import { printer, type ShowOptions } from './show/printer.js'

/** Events that are shown of what is there already. */
const LAST = 20

/** Options of `banyan events tail`. */
export interface TailOptions extends PlaceOptions, SelectionOptions, ShowOptions {
  lines?: string
  from?: string
}

/** `banyan events tail`: the last events, then what comes, until Ctrl-C. */
export async function tail(options: TailOptions): Promise<void> {
  const { lines, from } = options
  if (lines !== undefined && from !== undefined)
    throw new UsageError('--lines and --from each say where to begin; give one of them')
  const count = lines === undefined ? LAST : countOf(lines, '--lines')
  const selector = selectorOf(options)
  const work = async ({ log, place, output, signal }: Session): Promise<void> => {
    const print = printer(output, options)
    let start: Position
    if (from === undefined) {
      start = await log.head()
      await print(await lastOf(log, selector, start, count, signal))
    } else {
      start = await positionOf(log, from, '--from')
    }
    await output.flush()
    note(`following ${place.name}, Ctrl-C ends it`)
    for await (const { events, truncated, position } of log.follow(selector, { from: start, signal })) {
      if (truncated)
        console.error(`events before position ${shortPosition(position)} were truncated and are not shown`)
      await print(events)
      await output.flush()
    }
  }
  await onLog(options, work, { endless: true })
}

/** The last events up to a position, in order. */
async function lastOf(
  log: EventLog,
  selector: Selector,
  to: Position,
  limit: number,
  signal: AbortSignal,
): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  if (limit > 0)
    for await (const event of log.read(selector, { to, limit, backwards: true, signal })) events.push(event)
  return events.reverse()
}
