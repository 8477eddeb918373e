import type { AuditEntry, AuditSelection } from '../../events/index.js'
import { auditEntries, auditRecord } from '../../events/event-sourcing/audit.js'
import { positionOf } from '../events/moment.js'
import type { PlaceOptions } from '../events/place.js'
import { onLog } from '../events/session.js'
import { printable } from '../events/show/printable.js'
import { note } from '../output.js'
import { paint } from '../paint.js'
import { withTimes } from '../times.js'
import { UsageError } from '../usage-error.js'
import { statesOf } from './decider.js'
import { mustExist } from './moments.js'
import { changeLine, jsonText, valueText } from './show.js'

/** Options of `banyan streams audit`. */
export interface AuditCommandOptions extends PlaceOptions {
  category?: string
  actor?: string
  correlation?: string
  from?: string
  to?: string
  decider?: string
  json?: true
}

/** `banyan streams audit`: who did what, when and why. */
export async function audit(stream: string | undefined, options: AuditCommandOptions): Promise<void> {
  const { category, actor, correlation, from, to, decider, json } = options
  if (stream !== undefined && category !== undefined)
    throw new UsageError(`the stream ${stream} and --category contradict each other; give one of them`)
  if (decider !== undefined && stream === undefined && category === undefined)
    throw new UsageError('--decider knows one kind of things: say which, by a stream or with --category')
  await onLog(options, async ({ log, place, output, signal }) => {
    const selection: AuditSelection = {
      ...(stream !== undefined && { stream }),
      ...(category !== undefined && { category }),
      ...(actor !== undefined && { actor }),
      ...(correlation !== undefined && { correlationId: correlation }),
      ...(from !== undefined && { from: await positionOf(log, from, '--from') }),
      ...(to !== undefined && { to: await positionOf(log, to, '--to') }),
      signal,
    }
    if (stream !== undefined) await mustExist(log, stream, place.name)
    const states = decider === undefined ? undefined : await statesOf(log, decider)
    let count = 0
    for await (const entry of auditEntries(log, selection, states)) {
      count++
      await output.line(json ? jsonText(withTimes(auditRecord(entry))) : entryText(entry))
    }
    if (count === 0) note(`nothing of that is in ${place.name}`)
  })
}

function entryText(entry: AuditEntry): string {
  const { time, stream, revision, type, actor, causationId, correlationId, undoes, redoes } = entry
  const command = entry.commandType === undefined ? entry.command : `${entry.commandType} ${entry.command}`
  const why = [
    `command ${command}`,
    ...(undoes === undefined ? [] : [`undoes ${undoes}`]),
    ...(redoes === undefined ? [] : [`redoes ${redoes}`]),
    ...(causationId === undefined ? [] : [`caused by ${causationId}`]),
    ...(correlationId === undefined ? [] : [`part of ${correlationId}`]),
  ]
  const lines = [
    [
      paint('gray', new Date(time).toISOString()),
      paint('cyan', `${printable(stream)}@${revision}`),
      paint('bold', printable(type)),
      `by ${actor === undefined ? '-' : printable(actor)}`,
      paint('gray', printable(why.join(', '))),
    ].join('  '),
  ]
  if (entry.changes) lines.push(...entry.changes.map((change) => `    ${changeLine(change)}`))
  else if (entry.data !== undefined) lines.push(`    ${valueText(entry.data)}`)
  return lines.join('\n')
}
