import { formatDuration } from '../../core/duration.js'
import type { EndpointState, ServiceState } from '../../traffic/gateway/index.js'
import type { BreakerSnapshot } from '../../traffic/policies/circuit-breaker.js'
import { paint } from '../paint.js'

/** Whether an endpoint takes requests, why not, and until when; what its breaker stands on. */
export function stateText(endpoint: EndpointState, service: ServiceState, wall: number): string {
  const { ejection, health, share } = endpoint
  const parts: string[] = []
  if (ejection) {
    const name = ejection.dryRun ? 'ejected (dry run)' : 'ejected'
    parts.push(`${paint('red', name)}${leftText(ejection.until, wall)}: ${ejection.reason.message}`)
  }
  if (health && health.state !== 'healthy') {
    const colour = health.state === 'unhealthy' ? 'red' : 'yellow'
    parts.push(`${paint(colour, health.state)}${health.error === undefined ? '' : `: ${health.error}`}`)
  } else if (health?.error !== undefined) {
    parts.push(paint('yellow', `last check: ${health.error}`))
  }
  const unresolved = service.names[endpoint.url]?.error
  if (unresolved !== undefined) parts.push(paint('yellow', `name not resolved: ${unresolved}`))
  const { registry } = service
  if (registry?.problem !== undefined) parts.push(paint('yellow', `as last registered: ${registry.problem}`))
  if (registry && registry.doubted > 0)
    parts.push(paint('yellow', `the registry has lost ${registry.doubted}, kept for a while`))
  if (share < 1) parts.push(paint('yellow', `starting slowly, ${Math.round(share * 100)}%`))
  const breaker = endpoint.breaker ?? service.breaker
  if (breaker) parts.push(breakerText(breaker, wall))
  return parts.length === 0 ? '-' : parts.join('; ')
}

const BREAKER_COLOURS = {
  closed: 'green',
  'half-open': 'yellow',
  open: 'red',
  'forced-open': 'red',
  disabled: 'yellow',
} as const

/** State, what it is based on, and when it ends. */
export function breakerText(breaker: BreakerSnapshot, wall: number): string {
  const { state, window, until, reason, phase, admitting } = breaker
  const name = paint(BREAKER_COLOURS[state], breaker.dryRun ? `${state} (dry run)` : state)
  switch (state) {
    case 'closed':
      return window.calls === 0 ? name : `${name} ${window.failures}/${window.calls} failed`
    case 'half-open':
      return phase === 'ramping'
        ? `${name} letting ${Math.round(admitting * 100)}% through${leftText(until, wall)}`
        : `${name} probing`
    case 'open':
    case 'forced-open':
    case 'disabled':
      return `${name}${leftText(until, wall)}${reason ? `: ${reason.message}` : ''}`
  }
}

function leftText(until: number | undefined, wall: number): string {
  return until === undefined ? '' : `, ${formatDuration(Math.max(0, until - wall))} left`
}
