import type { Identity } from '../../forwarding.js'
import type { ClaimNames } from './spec.js'

/** What is known of somebody, as JSON. */
export type Claims = Readonly<Record<string, unknown>>

/**
 * A claim by its name, or by the path to it inside of others (`realm_access.roles`). A name with dots in it
 * (`https://example.com/roles`) comes first.
 */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Claims)[part]
  }
  return value
}

/** @returns `undefined` if the claims do not say who it is */
export function identityOf(by: string, claims: Claims, names: ClaimNames): Identity | undefined {
  const subject = claimAt(claims, names.subject ?? 'sub')
  if (typeof subject !== 'string' || subject === '') return undefined
  const scopes =
    names.scopes === undefined ? (claims['scope'] ?? claims['scp']) : claimAt(claims, names.scopes)
  return { by, subject, scopes: scopeList(scopes), claims }
}

function scopeList(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ').filter((scope) => scope !== '')
  return Array.isArray(value) ? value.filter((scope) => typeof scope === 'string') : []
}
