import { formatDuration } from '../../core/duration.js'
import type { NodeState } from '../../node/node.js'
import type { BulkheadSnapshot } from '../../traffic/policies/bulkhead.js'
import type { RateLimitState } from '../../traffic/gateway/index.js'
import { paint } from '../paint.js'

interface Limited {
  bulkhead: BulkheadSnapshot | undefined
  rateLimit: RateLimitState | undefined
}

/** How much of their limits services and routes use. */
export function limitRows({ services, routes }: NodeState): string[][] {
  return [
    ...Object.entries(services).flatMap(([name, service]) => rowsOf(name, service)),
    ...Object.entries(routes).flatMap(([name, route]) => rowsOf(name, route)),
  ]
}

function rowsOf(name: string, { bulkhead, rateLimit }: Limited): string[][] {
  const rows: string[][] = []
  if (bulkhead) {
    const { inFlight, limit, queued, queue, refused } = bulkhead
    const full = inFlight >= limit
    rows.push([
      'bulkhead',
      paint('bold', name),
      full ? paint('red', String(inFlight)) : String(inFlight),
      String(limit),
      queue === 0 ? '-' : `${queued}/${queue}`,
      String(refused),
    ])
  }
  if (rateLimit) {
    const { limit, window, keys } = rateLimit
    const callers = keys === 1 ? '1 caller' : `${keys} callers`
    rows.push(['rate', paint('bold', name), callers, `${limit} in ${formatDuration(window)}`, '-', '-'])
  }
  return rows
}
