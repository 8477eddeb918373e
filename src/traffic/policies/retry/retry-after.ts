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
  const headers = (value as { headers?: { get?: unknown } } | null | undefined)?.headers
  if (typeof headers?.get !== 'function') return undefined
  const text: unknown = headers.get('retry-after')
  if (typeof text !== 'string') return undefined
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - clock.wall())
}
