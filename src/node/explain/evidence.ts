import type { RequestReport } from '../../traffic/gateway/index.js'
import type { Evidence } from './explanation.js'

/** What the policies on the way of a request know now, as far as it has to do with the error. */
export function evidenceFor(
  code: string | undefined,
  report: RequestReport,
  at: number,
): Evidence | undefined {
  const { route, service, call } = report
  switch (code) {
    case 'BANYAN_BREAKER_OPEN': {
      const state = service?.state()
      const breakers = [
        route?.policies.breaker?.snapshot(),
        state?.breaker,
        ...(state?.endpoints.map(({ breaker }) => breaker) ?? []),
      ]
      return {
        at,
        breakers: breakers.flatMap((breaker) => (breaker && breaker.state !== 'closed' ? [breaker] : [])),
      }
    }
    case 'BANYAN_BULKHEAD_FULL': {
      const bulkhead = [route?.policies.bulkhead, service?.policies.bulkhead].find(
        (each) => each && each.inFlight >= each.limit,
      )
      if (!bulkhead) return undefined
      const { limit, inFlight, queued, refused } = bulkhead.snapshot()
      return { at, bulkhead: { limit, inFlight, queued, refused } }
    }
    case 'BANYAN_RATE_LIMITED': {
      const limiter = route?.policies.rateLimit ?? service?.policies.rateLimit
      if (!limiter) return undefined
      const { limit, window, remaining, retryAfter } = limiter.peek(call?.key)
      return { at, rateLimit: { limit, window, remaining, retryAfter } }
    }
    default:
      return code?.startsWith('BANYAN_UPSTREAM') || code === 'BANYAN_NO_ENDPOINT' || code === 'BANYAN_TIMEOUT'
        ? endpointsOf(report, at)
        : undefined
  }
}

function endpointsOf({ service }: RequestReport, at: number): Evidence | undefined {
  if (!service) return undefined
  const endpoints = service.state().endpoints.map(({ url, ready, active, lastProblem }) => ({
    url,
    ready,
    active,
    lastProblem: lastProblem?.message ?? lastProblem?.reason,
  }))
  return { at, endpoints }
}
