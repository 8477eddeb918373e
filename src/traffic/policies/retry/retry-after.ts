import type { Clock } from '../../../core/clock.js'

/**
 * How long an outcome asks to wait (RFC 9110 10.2.3).
 *
 * @param error - may have a numeric `retryAfter` in ms, as refusals have
 * @param value - may have `headers.get`, as a `fetch` Response has; seconds or an HTTP date
 * @returns ms, or `undefined` if it does not say
 */
export function retryAfterOf(error: unknown, value: unknown, clock: Clock): number | undefined {
  const asked = (error as { retryAfter?: unknown } | null | undefined)?.retryAfter
  if (typeof asked === 'number') return asked
  const headers = (value as { headers?: { get?: (name: string) => unknown } } | null | undefined)?.headers
  if (typeof headers?.get !== 'function') return undefined
  const text = headers.get('retry-after')
  if (typeof text !== 'string') return undefined
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000
  const date = parseHttpDate(text.trim())
  return date === undefined ? undefined : Math.max(0, date - clock.wall())
}

/**
 * Reads a date in any of the three forms of RFC 9110 5.6.7; all of them are in GMT, and one does not say so.
 * `Date.parse` alone would also take `-5` or `1.5` for dates.
 */
function parseHttpDate(text: string): number | undefined {
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d\d:\d\d:\d\d/.test(text)) return undefined
  const date = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`)
  return Number.isNaN(date) ? undefined : date
}
