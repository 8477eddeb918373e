import { BanyanError } from '../core/errors.js'
import type { BreakerSnapshot } from '../traffic/policies/circuit-breaker.js'
import { askAdmin } from './admin-client.js'

/** `banyan breaker`. */
export async function breaker(
  action: string,
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

function requestOf(action: string, options: { for?: string; reason?: string }): RequestInit {
  if (action === 'release') return { method: 'DELETE' }
  const state = action === 'open' ? 'open' : action === 'close' ? 'closed' : undefined
  if (state === undefined) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `\`${action}\` is not an action: choose open, close or release`,
    )
  }
  return {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ state, for: options.for, reason: options.reason }),
  }
}
