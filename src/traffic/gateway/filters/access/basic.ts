import { createHmac, randomBytes } from 'node:crypto'
import { duration } from '../../../../core/duration.js'
import { BanyanError } from '../../../../core/errors.js'
import type { Identity } from '../../forwarding.js'
import {
  invalid,
  known,
  NONE,
  unavailable,
  type Authenticator,
  type AuthenticatorContext,
  type Outcome,
} from './authenticator.js'
import { schemeReader } from './credentials.js'
import { isPassword, parsePasswordHash, type PasswordHash } from './password.js'
import type { BasicSpec, UserSpec } from './spec.js'
import { Verdicts } from './verdicts.js'

/** When to come back when too many passwords wait, in ms. */
const COME_BACK_MS = 1_000

/** Passwords remembered as right. */
const MOST_REMEMBERED = 1_000

/**
 * Knows people by name and password. Verifying is slow on purpose, so it is bounded: few at a time, few waiting, and what
 * was right is remembered for a while, as a keyed hash. A name that does not exist costs the same as a wrong password.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if a hash cannot be read
 */
export function basic(spec: BasicSpec, context: AuthenticatorContext): Authenticator {
  const { name, runtime } = context
  const { clock } = runtime
  const users = new Map(Object.entries(spec.users).map(([user, each]) => [user, userOf(name, user, each)]))
  const cacheFor = duration(spec.cacheFor ?? '5m', 'cacheFor')
  const { concurrency = 2, queue = 32 } = spec
  const reader = schemeReader('basic', /^[\w+/-]+={0,2}$/)
  const right = new Verdicts<Outcome>(MOST_REMEMBERED, clock)
  const secret = randomBytes(32)
  // Of whoever does not exist; costs what the others cost.
  const [first] = users.values()
  if (!first) throw new BanyanError('BANYAN_INVALID_OPTIONS', `authenticators.${name}.basic.users: is empty`)
  const nobody: PasswordHash = { ...first.hash, salt: randomBytes(16), hash: randomBytes(32) }
  const verifying = new Map<string, Promise<Outcome>>()
  const waiting: (() => void)[] = []
  let running = 0

  const verify = async (user: string, password: string, digest: string): Promise<Outcome> => {
    if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      const found = users.get(user)
      const same = await isPassword(password, found?.hash ?? nobody)
      if (!found || !same) return invalid(found ? `a wrong password of ${user}` : 'no such user')
      const outcome = known(found.identity)
      right.set(digest, outcome, clock.wall() + cacheFor)
      return outcome
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }

  return {
    name,
    scheme: 'Basic',
    authenticate({ exchange }) {
      const credentials = reader.read(exchange.request.fields)
      if (credentials === undefined) return NONE
      if (typeof credentials !== 'string') return credentials
      const digest = createHmac('sha256', secret).update(credentials).digest('base64')
      const before = right.get(digest) ?? verifying.get(digest)
      if (before) return before
      const text = Buffer.from(credentials, 'base64').toString()
      const colon = text.indexOf(':')
      if (colon < 0) return invalid('no colon between name and password', 'invalid_request')
      if (running >= concurrency && waiting.length >= queue)
        return unavailable('too many passwords are being verified', COME_BACK_MS)
      const verified = verify(text.slice(0, colon), text.slice(colon + 1), digest).finally(() =>
        verifying.delete(digest),
      )
      verifying.set(digest, verified)
      return verified
    },
    isAmbient: () => true,
    hide: (forwarding) => reader.hide(forwarding),
  }
}

function userOf(by: string, user: string, spec: UserSpec): { hash: PasswordHash; identity: Identity } {
  const hash = parsePasswordHash(spec.hash)
  if (!hash) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `authenticators.${by}.basic.users.${user}.hash: is no scrypt hash as \`banyan password\` prints it`,
    )
  }
  return {
    hash,
    identity: { by, subject: user, scopes: spec.scopes ?? [], claims: { ...spec.claims, sub: user } },
  }
}
