import { toCloudEvent } from '../../events/cloudevents/index.js'
import { changesBetween } from '../../events/event-sourcing/changes.js'
import type { Change, Moment, RecordedEvent } from '../../events/index.js'
import { stateDiff } from '../../events/event-sourcing/diff.js'
import { DEFAULT_SOURCE } from '../../events/transfer/export.js'
import type { PlaceOptions } from '../events/place.js'
import { onLog, type Session } from '../events/session.js'
import { printable } from '../events/show/printable.js'
import { printer } from '../events/show/printer.js'
import { note } from '../output.js'
import { paint } from '../paint.js'
import { statesOf } from './decider.js'
import { momentOf, mustExist, mustHave, revisionAt } from './moments.js'
import { changeLine, jsonText } from './show.js'

/** Options of `banyan streams diff`. */
export interface DiffOptions extends PlaceOptions {
  from?: string
  fromRevision?: string
  to?: string
  toRevision?: string
  decider?: string
  json?: true
}

/** `banyan streams diff`: what is different between two moments. */
export async function diff(stream: string, options: DiffOptions): Promise<void> {
  const { decider, json } = options
  await onLog(options, async (session) => {
    const { log, place } = session
    const from = await momentOf(
      log,
      { '--from': options.from, '--from-revision': options.fromRevision },
      'start',
    )
    const to = await momentOf(log, { '--to': options.to, '--to-revision': options.toRevision }, 'end')
    await mustExist(log, stream, place.name)
    for (const moment of [from, to]) await mustHave(log, stream, moment)
    if (decider === undefined) await compareEvents(session, stream, from, to, json)
    else await compareStates(session, stream, from, to, decider, json)
  })
}

async function compareStates(
  { log, output }: Session,
  stream: string,
  from: Moment,
  to: Moment,
  decider: string,
  json: true | undefined,
): Promise<void> {
  const found = await stateDiff(log, await statesOf(log, decider), stream, from, to)
  if (json) {
    const events = []
    for await (const event of found.events) events.push(toCloudEvent(event, { source: DEFAULT_SOURCE }))
    output.add(jsonText({ stream, ...found, events }, 2))
    return
  }
  const name = (revision: number | 'none'): string =>
    paint('cyan', revision === 'none' ? 'start' : `${printable(stream)}@${revision}`)
  output.add(`${name(found.from.revision)} -> ${name(found.to.revision)}`)
  for (const change of found.changes) output.add(changeLine(change))
  if (found.changes.length === 0) output.add('nothing is different')
  const print = printer(output, {})
  let isFirst = true
  for await (const event of found.events) {
    if (isFirst) output.add('')
    isFirst = false
    await print([event])
  }
}

/** What an event says that the last one of its type did not. */
interface Compared {
  readonly event: RecordedEvent
  /** Revision of that one; not there if it is the first. */
  readonly since?: number
  readonly changes: readonly Change[]
}

async function compareEvents(
  session: Session,
  stream: string,
  from: Moment,
  to: Moment,
  json: true | undefined,
): Promise<void> {
  const { log, output } = session
  const ends = [await revisionAt(log, stream, from), await revisionAt(log, stream, to)]
  const [before, last] = [Math.min(...ends), Math.max(...ends)]
  const print = printer(output, {})
  const shown = []
  for await (const { event, since, changes } of compared(session, stream, before, last)) {
    const more = since === undefined ? {} : { since, changes }
    if (json) {
      shown.push({ event: toCloudEvent(event, { source: DEFAULT_SOURCE }), ...more })
      continue
    }
    await print([event])
    for (const change of changes)
      await output.line(`    ${changeLine(change)}  ${paint('gray', `since @${since!}`)}`)
  }
  if (json) output.add(jsonText({ stream, events: shown }, 2))
  else if (last === before) note('nothing has happened in between')
}

/** The events behind one revision up to another. */
async function* compared(
  { log, signal }: Session,
  stream: string,
  before: number,
  last: number,
): AsyncGenerator<Compared> {
  if (last === before) return
  const previous = new Map<string, RecordedEvent>()
  for await (const event of log.read({ stream }, { toRevision: last, signal })) {
    const known = previous.get(event.type)
    previous.set(event.type, event)
    if (event.revision <= before) continue
    yield known
      ? { event, since: known.revision, changes: changesBetween(known.data, event.data) }
      : { event, changes: [] }
  }
}
