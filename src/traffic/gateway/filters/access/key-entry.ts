import { isKeyHash } from './key-hash.js'
import type { KeySpec } from './spec.js'

const FIELDS = new Set(['hash', 'subject', 'scopes', 'expires', 'revoked', 'claims'])

/** What is wrong with an entry; also what a schema says of it in other words. */
export function keyProblem(entry: unknown): string | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return 'must be an object'
  const unknown = Object.keys(entry).find((field) => !FIELDS.has(field))
  if (unknown !== undefined) return `has an unknown field \`${unknown}\``
  const { hash, subject, scopes, expires, revoked, claims } = entry as Record<keyof KeySpec, unknown>
  if (typeof hash !== 'string' || !isKeyHash(hash))
    return 'needs a `hash` such as `sha256:` and 64 hexadecimal digits, as `banyan key create` prints it'
  if (subject !== undefined && (typeof subject !== 'string' || subject === ''))
    return 'has no text as `subject`'
  if (scopes !== undefined && !(Array.isArray(scopes) && scopes.every((each) => typeof each === 'string')))
    return 'has no list of names as `scopes`'
  if (expires !== undefined && (typeof expires !== 'string' || !isTime(expires)))
    return 'has no date or time of ISO 8601 as `expires`'
  if (revoked !== undefined && typeof revoked !== 'boolean') return 'has neither true nor false as `revoked`'
  if (claims !== undefined && (typeof claims !== 'object' || claims === null || Array.isArray(claims)))
    return 'has no object as `claims`'
  return undefined
}

/** A date, or a time with its zone: without one it would be another time on another machine. */
export function isTime(text: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text) &&
    !Number.isNaN(Date.parse(text))
  )
}
