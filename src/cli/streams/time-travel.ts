import type { EventLog, Moment, RecordedEvent } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { onLog, type Session } from '../events/session.js'
import { printable } from '../events/show/printable.js'
import { printer } from '../events/show/printer.js'
import { note } from '../output.js'
import { paint } from '../paint.js'
import { statesOf } from './decider.js'
import { momentOf, mustExist, mustHave, revisionAt } from './moments.js'
import { jsonText, valueText } from './show.js'

/** Options of `banyan streams time-travel`. */
export interface TimeTravelOptions extends PlaceOptions {
  at?: string
  atRevision?: string
  atPosition?: string
  decider?: string
  json?: true
}

/** `banyan streams time-travel`: the state at a moment, or the events up to it. */
export async function timeTravel(stream: string, options: TimeTravelOptions): Promise<void> {
  const { at, atRevision, atPosition, decider, json } = options
  await onLog(options, async (session) => {
    const { log, place } = session
    const given = { '--at': at, '--at-revision': atRevision, '--at-position': atPosition }
    const moment = await momentOf(log, given, 'end')
    await mustExist(log, stream, place.name)
    await mustHave(log, stream, moment)
    if (decider === undefined) await showEvents(session, stream, moment, json)
    else await showState(session, stream, moment, decider, json)
  })
}

async function showState(
  { log, output }: Session,
  stream: string,
  moment: Moment,
  decider: string,
  json: true | undefined,
): Promise<void> {
  const { state, revision } = await (await statesOf(log, decider)).load(stream, moment)
  const last = revision === 'none' ? undefined : await eventAt(log, stream, revision)
  if (json) {
    const { time, type, position } = last ?? {}
    output.add(
      jsonText(
        {
          stream,
          revision,
          ...(time !== undefined && { time: new Date(time).toISOString(), type, position }),
          state,
        },
        2,
      ),
    )
    return
  }
  const place =
    revision === 'none' ? `${printable(stream)}, before its first event` : `${printable(stream)}@${revision}`
  const what = last ? `  ${new Date(last.time).toISOString()}  ${paint('bold', printable(last.type))}` : ''
  output.add(`${paint('cyan', place)}${what}`)
  output.add(valueText(state, 2))
}

/** The event of a revision, unless it was truncated. */
async function eventAt(log: EventLog, stream: string, revision: number): Promise<RecordedEvent | undefined> {
  for await (const event of log.read({ stream }, { fromRevision: revision, toRevision: revision }))
    return event
  return undefined
}

async function showEvents(
  { log, output, signal }: Session,
  stream: string,
  moment: Moment,
  json: true | undefined,
): Promise<void> {
  const print = printer(output, json ? { json } : {})
  const toRevision = await revisionAt(log, stream, moment)
  if (toRevision < 0) {
    note('nothing of it was there yet')
    return
  }
  for await (const event of log.read({ stream }, { toRevision, signal })) await print([event])
}
