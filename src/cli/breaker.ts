import type { BreakerSnapshot } from '../traffic/policies/circuit-breaker.js'
import { askAdmin } from './admin-client.js'

type Action = 'open' | 'close' | 'release'

/** `banyan breaker`. */
export async function breaker(
  action: Action,
  name: string,
  options: { for?: string; reason?: string; admin: string },
): Promise<void> {
  const path = `/api/breakers/${encodeURIComponent(name)}/override`
  const init = requestOf(action, options)
  const after = (await askAdmin(options.admin, path, init)) as BreakerSnapshot
  console.log(
    `${after.name} is ${after.state}${after.until === undefined ? '' : ` until ${new Date(after.until).toLocaleTimeString()}`}`,
  )
}

function requestOf(action: Action, options: { for?: string; reason?: string }): RequestInit {
  if (action === 'release') return { method: 'DELETE' }
  const state = action === 'open' ? 'open' : 'closed'
  return {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ state, for: options.for, reason: options.reason }),
  }
}
