import { formatDuration } from '../../core/duration.js'
import { printable } from '../events/show/printable.js'
import { lineWidth } from '../output.js'
import { clip, paint } from '../paint.js'

/** A name that somebody else has given. */
export function nameText(name: string): string {
  return paint('bold', printable(name))
}

/** For how long; clocks of several machines may be apart. What other programs have put does not say since when: 0. */
export function spanText(since: number, now: number): string {
  return since === 0 ? '?' : formatDuration(Math.max(0, now - since))
}

/** How long ago, likewise. */
export function agoText(time: number, now: number): string {
  return time === 0 ? '?' : `${spanText(time, now)} ago`
}

/** When something will be. */
export function inText(time: number, now: number): string {
  return time > now ? `in ${formatDuration(time - now)}` : 'now'
}

export function timeText(time: number): string {
  return new Date(time).toISOString()
}

export function momentText(time: number, now: number): string {
  if (time === 0) return '?'
  return `${timeText(time)}${paint('gray', time > now ? `, ${inText(time, now)}` : `, ${agoText(time, now)}`)}`
}

/** A few names, and how many more. */
export function namesText(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most).map(printable).join(', ')
  return names.length > most ? `${shown} and ${names.length - most} more` : shown
}

/** A title, what is told of it line by line, and tables below. */
export function page(title: string, rows: readonly [string, string][], tables: readonly string[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  const head = [title, ...rows.map(([name, text]) => `${paint('gray', name.padEnd(width))}  ${text}`)]
  return [head.map((line) => clip(line, lineWidth())).join('\n'), ...tables].join('\n\n')
}

/** Names of times, in ms since the epoch. */
const TIMES = new Set([
  ...['since', 'unownedSince', 'until', 'next', 'started', 'switched'],
  ...['ended', 'scheduledFor', 'at', 'anchor'],
])
/** Times by names of something. */
const TIMES_BY_NAME = new Set(['releasing'])
/** What is of users stays as it is, and so do counts. */
const NO_TIMES = new Set(['value', 'metadata', 'counts'])

/** What is told as `--json` shows it: with its times in ISO 8601, and null for one that nobody knows. */
export function record(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(record)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]: [string, unknown]) => {
      if (NO_TIMES.has(name)) return [name, each]
      if (TIMES_BY_NAME.has(name) && typeof each === 'object' && each !== null)
        return [
          name,
          Object.fromEntries(Object.entries(each).map(([key, at]) => [key, timeText(at as number)])),
        ]
      if (!TIMES.has(name) || typeof each !== 'number') return [name, record(each)]
      return [name, each === 0 ? null : timeText(each)]
    }),
  )
}
