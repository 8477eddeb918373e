import type { Change } from '../../events/index.js'
import { printable } from '../events/show/printable.js'
import { paint } from '../paint.js'

/** A difference on one line: `~ /total  30 -> 25`. */
export function changeLine(change: Change): string {
  const path = printable(change.path === '' ? '(all)' : change.path)
  switch (change.kind) {
    case 'added':
      return `${paint('green', `+ ${path}`)}  ${valueText(change.after)}`
    case 'removed':
      return `${paint('red', `- ${path}`)}  ${valueText(change.before)}`
    case 'changed':
      return `${paint('yellow', `~ ${path}`)}  ${valueText(change.before)} -> ${valueText(change.after)}`
  }
}

/** A value as JSON; `space` for one on several lines. */
export function valueText(value: unknown, space?: number): string {
  return jsonText(value, space).split('\n').map(printable).join('\n')
}

/** JSON of anything that a state may be made of. */
export function jsonText(value: unknown, space?: number): string {
  return value === undefined ? 'nothing' : JSON.stringify(value, plain, space)
}

/** What JSON has no form for, in the nearest one. */
function plain(_: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>)
  if (value instanceof Set) return [...(value as Set<unknown>)]
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return typeof value === 'bigint' ? String(value) : value
}
