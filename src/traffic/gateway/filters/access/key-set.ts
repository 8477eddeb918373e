import type { JSONWebKeySet, JWK } from 'jose'

/** More keys are a mistake, or an attack by way of their number. */
const MOST_KEYS = 100

/** Families of keys that verify without being able to sign; a JWK of `oct` is a shared secret and never published. */
const PUBLIC_FAMILIES = new Set(['RSA', 'EC', 'OKP', 'AKP'])

/**
 * The keys of a JWK set (RFC 7517) that may verify signatures. What else is in there, is left out: keys for encryption,
 * shared secrets, kinds that nobody knows yet.
 *
 * @throws `Error` if it is no JWK set, or holds no such key
 */
export function publicKeys(value: unknown): JSONWebKeySet {
  const list = (value as { keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(list)) throw new Error('is no JWK set: there must be a list `keys`')
  if (list.length > MOST_KEYS) throw new Error(`has more than ${MOST_KEYS} keys`)
  const keys = list.filter(isPublicKey).map(publicPart)
  if (keys.length === 0) throw new Error('holds no public key for signatures')
  return { keys }
}

function isPublicKey(value: unknown): value is JWK {
  if (typeof value !== 'object' || value === null) return false
  const { kty, use } = value as JWK
  return kty !== undefined && PUBLIC_FAMILIES.has(kty) && (use === undefined || use === 'sig')
}

/** What a public key is made of; somebody who publishes a private key by mistake still means its public part. */
const PUBLIC_MEMBERS = new Set(['kty', 'kid', 'alg', 'use', 'crv', 'n', 'e', 'x', 'y', 'pub'])

function publicPart(key: JWK): JWK {
  return Object.fromEntries(Object.entries(key).filter(([name]) => PUBLIC_MEMBERS.has(name)))
}
