import { parse } from 'yaml'
import type { Runtime } from '../../../../core/runtime.js'
import { BanyanError } from '../../../../core/errors.js'
import type { Forwarding, Identity } from '../../forwarding.js'
import {
  invalid,
  known,
  NONE,
  type Authenticator,
  type AuthenticatorContext,
  type Outcome,
} from './authenticator.js'
import { isAmbientFirst, readFirst, tokenReader } from './credentials.js'
import { keyProblem } from './key-entry.js'
import { hashKey, sameHash } from './key-hash.js'
import type { ApiKeySpec, KeySpec } from './spec.js'
import { WatchedFile } from './watched-file.js'

interface KnownKey {
  hash: string
  identity: Identity
  revoked: boolean
  /** ms since the Unix epoch; `Infinity` for never. */
  expires: number
}

type KeyRing = ReadonlyMap<string, KnownKey>

/**
 * Knows programs by the key they were given. Keys are looked up by their hash: what is compared says nothing of the key,
 * and a configuration that leaks gives none away.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if an entry is wrong or the file cannot be read
 */
export function apiKey(spec: ApiKeySpec, context: AuthenticatorContext): Authenticator {
  const { name, runtime } = context
  const readers = (spec.from ?? ['header:X-Api-Key']).map(tokenReader)
  const owner = `authenticators.${name}.apiKey`
  const rings = keyRings(spec, name, owner, runtime)

  const judge = (key: string, ring: KeyRing): Outcome => {
    const hash = hashKey(key)
    const found = ring.get(hash)
    if (!found || !sameHash(found.hash, hash)) return invalid('no such key')
    const { subject } = found.identity
    if (found.revoked) return invalid(`a key of ${subject} that was taken back`)
    if (found.expires <= runtime.clock.wall()) return invalid(`a key of ${subject} that has expired`)
    return known(found.identity)
  }

  return {
    name,
    scheme: 'ApiKey',
    authenticate({ exchange }) {
      const key = readFirst(readers, exchange.request.fields)
      if (key === undefined) return NONE
      if (typeof key !== 'string') return key
      const ring = rings()
      return ring instanceof Promise ? ring.then((each) => judge(key, each)) : judge(key, ring)
    },
    isAmbient: ({ exchange }) => isAmbientFirst(readers, exchange.request.fields),
    hide(forwarding: Forwarding) {
      for (const reader of readers) reader.hide(forwarding)
    },
  }
}

/** The keys of the configuration and those of the file. */
function keyRings(
  { keys = {}, file }: ApiKeySpec,
  name: string,
  owner: string,
  runtime: Runtime,
): () => KeyRing | Promise<KeyRing> {
  try {
    const fixed = ringOf(keys, name)
    if (file === undefined) return () => fixed
    const watched = new WatchedFile(
      file,
      (text) => ringOf({ ...keys, ...keysIn(text, keys) }, name),
      `${owner}.file`,
      runtime,
    )
    return () => watched.current()
  } catch (error) {
    if (error instanceof BanyanError) throw error
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${(error as Error).message}`, { cause: error })
  }
}

function keysIn(text: string, besides: Record<string, KeySpec>): Record<string, KeySpec> {
  const value = (parse(text) ?? {}) as unknown
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('must hold keys by name')
  const twice = Object.keys(value!).find((key) => Object.hasOwn(besides, key))
  if (twice !== undefined) throw new Error(`the key \`${twice}\` stands in the configuration too`)
  return value as Record<string, KeySpec>
}

/** @throws `Error` if an entry is wrong; a file has no schema that would have told before */
function ringOf(keys: Record<string, KeySpec>, by: string): KeyRing {
  const ring = new Map<string, KnownKey>()
  for (const [key, entry] of Object.entries(keys)) {
    const problem = keyProblem(entry)
    if (problem !== undefined) throw new Error(`the key \`${key}\` ${problem}`)
    const { hash, subject = key, scopes = [], expires, revoked = false, claims = {} } = entry
    if (ring.has(hash)) throw new Error(`the key \`${key}\` has the hash of another`)
    const identity = { by, subject, scopes, claims: { ...claims, sub: subject, key } }
    const end = expires === undefined ? Infinity : Date.parse(expires)
    ring.set(hash, { hash, identity, revoked, expires: end })
  }
  return ring
}
