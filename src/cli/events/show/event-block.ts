import { formatDuration } from '../../../core/duration.js'
import type { RecordedEvent } from '../../../events/log.js'
import { paint } from '../../paint.js'
import { shortPosition } from '../moment.js'
import { printable } from './printable.js'

/** Everything of an event, on as many lines as it takes. */
export function eventBlock(event: RecordedEvent): string {
  const { stream, revision, type, position, id, commit, tags, schemaVersion, metadata } = event
  const rows: [string, string][] = [
    ['time', timeText(event)],
    ['id', printable(id)],
    ['commit', printable(commit)],
    ...(schemaVersion === 1 ? [] : [['schema', String(schemaVersion)] as [string, string]]),
    ...(tags.length === 0 ? [] : [['tags', tags.map(printable).join(', ')] as [string, string]]),
    ...(Object.keys(metadata).length === 0 ? [] : [['metadata', metadataText(metadata)] as [string, string]]),
    ...(event.data === undefined ? [] : [['data', dataText(event.data)] as [string, string]]),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const head = [
    `${paint('cyan', printable(stream))}${paint('gray', `@${revision}`)}`,
    paint('bold', printable(type)),
    paint('gray', `position ${shortPosition(position)}`),
  ].join('  ')
  const indent = `\n${' '.repeat(width + 4)}`
  return [
    head,
    ...rows.map(
      ([name, value]) => `  ${paint('gray', name.padEnd(width))}  ${value.replaceAll('\n', indent)}`,
    ),
    '',
  ].join('\n')
}

/** When it happened, and how much later it was appended. */
function timeText({ time, recorded }: RecordedEvent): string {
  const text = new Date(time).toISOString()
  if (recorded === time) return text
  const apart = formatDuration(Math.abs(recorded - time))
  return `${text}, recorded ${apart} ${recorded > time ? 'later' : 'before'}`
}

function metadataText(metadata: RecordedEvent['metadata']): string {
  const lines = Object.entries(metadata).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${printable(name)}: ${printable(text)}`
  })
  return lines.join('\n')
}

function dataText(data: unknown): string {
  if (data instanceof Uint8Array)
    return `${data.length} bytes, base64 ${Buffer.from(data).toString('base64')}`
  return JSON.stringify(data, undefined, 2).split('\n').map(printable).join('\n')
}
