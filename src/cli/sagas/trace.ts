import type { SagaSummary, Trace, TracedEvent, TraceNode } from '../../events/index.js'
import { positionOf, shortPosition } from '../events/moment.js'
import type { PlaceOptions } from '../events/place.js'
import { countOf as countOption } from '../events/selection.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { lineWidth, note } from '../output.js'
import { clip, paint } from '../paint.js'
import { onSagas } from './session.js'
import { sagaRecord, statusText } from './text.js'

/** Options of `banyan sagas trace`. */
export interface TraceFlags extends PlaceOptions {
  from?: string
  limit?: string
  scan?: string
  json?: true
}

/** `banyan sagas trace`: everything of one correlation, from event to event. */
export async function trace(correlationId: string, options: TraceFlags): Promise<void> {
  const { from, limit, scan, json, ...where } = options
  const most = {
    ...(limit !== undefined && { limit: countOption(limit, '--limit') }),
    ...(scan !== undefined && { scan: countOption(scan, '--scan') }),
  }
  await onSagas(where, async ({ manage, log, place, output, signal }) => {
    const found = await manage.trace(correlationId, {
      ...most,
      signal,
      ...(from !== undefined && { from: await positionOf(log, from, '--from') }),
    })
    if (json) {
      output.json(sagaRecord(found))
      return
    }
    if (found.roots.length > 0) output.add(linesOf(found.roots, '').join('\n'))
    else note(`nothing of the correlation ${printable(correlationId)} is in ${place.name}`)
    if (!found.isComplete) output.add(paint('gray', restText(found)))
  })
}

function restText({ scanned, position }: Trace): string {
  return `${countOf(scanned, 'event')} read, and there are more: --from ${shortPosition(position)} goes on, --limit and --scan go further`
}

function linesOf(nodes: readonly TraceNode[], indent: string): string[] {
  return nodes.flatMap((node) => [
    clip(`${indent}${'event' in node ? eventText(node.event) : sagaText(node.saga)}`, lineWidth()),
    ...linesOf(node.leadsTo, `${indent}  `),
  ])
}

function eventText({ stream, revision, type, time, actor }: TracedEvent): string {
  const by = actor === undefined ? '' : `  by ${printable(actor)}`
  return `${paint('bold', printable(type))}  ${paint('cyan', `${printable(stream)}@${revision}`)}  ${paint('gray', new Date(time).toISOString())}${by}`
}

function sagaText({ id, status, at }: SagaSummary): string {
  return `${printable(id)}  ${statusText(status)}${at === undefined ? '' : `  ${printable(at)}`}`
}
