import { hash } from 'node:crypto'
import type { Fields } from '../http/fields.js'
import { claimAt } from './filters/access/claims.js'
import type { Identity } from './forwarding.js'

/** What a key is made from. */
export interface Asker {
  readonly identity: Identity | undefined
  readonly clientAddress: string
  readonly exchange: { readonly request: { readonly fields: Fields } }
}

/**
 * Whose requests are counted together, as `by` of rate limits and quotas says it: `client` (the address), `identity`
 * (whoever was authenticated), `identity:<claim>` (everybody with that claim, such as a tenant), `key` (each API key
 * on its own, also of one subject), or `header:<name>`.
 */
export const CLIENT_KEY = /^(client|all|identity|identity:[\w.:/-]+|key|header:[\w-]+)$/

/** Whether it can be told only after `access` has found out who asks. */
export function needsIdentity(by: string): boolean {
  return by === 'key' || by === 'identity' || by.startsWith('identity:')
}

/** A longer key is held as its hash, in characters. */
const MOST_LENGTH = 128

/**
 * The key of a request. Keys of different kinds are never the same, whatever clients call themselves; whoever is not
 * known counts by address.
 */
export function clientKey(by: string, asker: Asker): string {
  const key = keyOf(by, asker)
  return key.length > MOST_LENGTH ? `# ${hash('sha256', key, 'base64url')}` : key
}

function keyOf(by: string, { identity, clientAddress, exchange }: Asker): string {
  if (by === 'all') return ''
  if (by.startsWith('header:'))
    return `header ${exchange.request.fields.get(by.slice(7).toLowerCase()) ?? ''}`
  if (by === 'client' || !identity) return `client ${clientAddress}`
  const whole = `identity ${identity.by} ${identity.subject}`
  if (by === 'identity') return whole
  const claim = by === 'key' ? 'key' : by.slice('identity:'.length)
  const value = claimAt(identity.claims, claim)
  // Who does not have the claim is counted on their own, not together with all the others who have none.
  return value === undefined || value === null ? whole : `${claim} ${identity.by} ${JSON.stringify(value)}`
}
