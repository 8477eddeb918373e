import {
  createLocalJWKSet,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyOptions,
} from 'jose'
import { duration } from '../../../../core/duration.js'
import { BanyanError } from '../../../../core/errors.js'
import type { Forwarding, Identity } from '../../forwarding.js'
import {
  invalid,
  known,
  NONE,
  unavailable,
  type Authenticator,
  type AuthenticatorContext,
  type Outcome,
} from './authenticator.js'
import { PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from './algorithms.js'
import { claimAt, identityOf } from './claims.js'
import { isAmbientFirst, readFirst, tokenReader } from './credentials.js'
import { publicKeys } from './key-set.js'
import { KeysUnavailable, RemoteKeys, type Keys } from './remote-keys.js'
import { readSecret } from './secret.js'
import type { ClaimNames, JwtSpec } from './spec.js'
import { digestOf, Verdicts } from './verdicts.js'
import { WatchedFile } from './watched-file.js'

/** A secret must be as long as the hash, or it is what breaks first (RFC 7518 3.2); bytes. */
const SECRET_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

/** JWS compact serialisation (RFC 7515 3.1). */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** A token without a key id is tried with this many keys of its kind at most. */
const MOST_TRIES = 8

/** Where keys come from. */
interface KeySource {
  current(): Keys | Promise<Keys>
  another(before: Keys): Promise<boolean>
}

/**
 * Knows people by signed tokens. The signature, the algorithm, issuer, audience and times are verified by the rules of
 * RFC 8725; a verified token is remembered by its hash until it expires or the keys change.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if keys in a file cannot be used, or algorithms contradict them
 */
export function jwt(spec: JwtSpec, context: AuthenticatorContext): Authenticator {
  return new JwtAuthenticator(spec, context)
}

class JwtAuthenticator implements Authenticator {
  readonly name: string
  readonly scheme = 'Bearer'
  readonly #context: AuthenticatorContext
  readonly #readers
  readonly #keys: KeySource
  readonly #options: JWTVerifyOptions
  readonly #names: ClaimNames
  readonly #required: readonly string[]
  readonly #skew: number
  readonly #known: Verdicts<{ identity: Identity; from: number }>
  #version = 0

  constructor(spec: JwtSpec, context: AuthenticatorContext) {
    this.name = context.name
    this.#context = context
    this.#readers = (spec.from ?? ['bearer']).map(tokenReader)
    this.#keys = keySource(spec, context)
    this.#names = spec.claims ?? {}
    this.#required = spec.required ?? []
    this.#skew = duration(spec.clockSkew ?? '30s', 'clockSkew')
    this.#options = {
      algorithms: [...algorithmsOf(spec, context.name)],
      issuer: spec.issuer,
      ...(spec.audience === false ? {} : { audience: spec.audience }),
      ...(spec.type === undefined ? {} : { typ: spec.type }),
      clockTolerance: this.#skew / 1000,
      // A token for ever could never be taken back.
      requiredClaims: ['exp'],
    }
    this.#known = new Verdicts(spec.remember ?? 10_000, context.runtime.clock)
  }

  authenticate({ exchange }: Forwarding): Outcome | Promise<Outcome> {
    const token = readFirst(this.#readers, exchange.request.fields)
    if (token === undefined) return NONE
    if (typeof token !== 'string') return token
    const keys = currentOf(this.#keys)
    return keys instanceof Promise ? keys.then((each) => this.#judge(token, each)) : this.#judge(token, keys)
  }

  isAmbient({ exchange }: Forwarding): boolean {
    return isAmbientFirst(this.#readers, exchange.request.fields)
  }

  hide(forwarding: Forwarding): void {
    for (const reader of this.#readers) reader.hide(forwarding)
  }

  #judge(token: string, keys: Keys | KeysUnavailable): Outcome | Promise<Outcome> {
    if (keys instanceof KeysUnavailable) {
      // What cannot be a token is not worth coming back for.
      return FORM.test(token)
        ? unavailable(keys.message, keys.retryAfter)
        : invalid('not the form of a token')
    }
    // A key may have been taken out because somebody else has it: what it vouched for is judged anew.
    if (keys.version !== this.#version) this.#known.clear()
    this.#version = keys.version
    const digest = digestOf(token)
    const before = this.#known.get(digest)
    if (before && before.from <= this.#context.runtime.clock.wall()) return known(before.identity)
    return this.#verify(token, digest, keys)
  }

  async #verify(token: string, digest: string, keys: Keys): Promise<Outcome> {
    try {
      const payload = await this.#payload(token, keys)
      const missing = this.#required.find((name) => claimAt(payload, name) === undefined)
      if (missing !== undefined) return invalid(`the claim ${missing} is missing`)
      const identity = identityOf(this.name, payload, this.#names)
      if (!identity) return invalid('the claim of the subject is missing')
      // Keys may have changed while this was verified; then it is not remembered.
      if (keys.version === this.#version) {
        const from = (payload.nbf ?? 0) * 1000 - this.#skew
        this.#known.set(digest, { identity, from }, payload.exp! * 1000 + this.#skew)
      }
      return known(identity)
    } catch (error) {
      if (error instanceof errors.JOSEError) return invalid(error.message)
      // What is not its signature but no token at all: bad base64, no JSON, a key of another kind.
      return invalid(error instanceof Error ? `${error.name} in verification` : 'not a token')
    }
  }

  async #payload(token: string, keys: Keys): Promise<JWTPayload> {
    try {
      return await this.#payloadBy(token, keys)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      if (!(await this.#keys.another(keys))) throw error
      const others = await currentOf(this.#keys)
      if (others instanceof KeysUnavailable) throw error
      return await this.#payloadBy(token, others)
    }
  }

  async #payloadBy(token: string, { find }: Keys): Promise<JWTPayload> {
    const options = { ...this.#options, currentDate: new Date(this.#context.runtime.clock.wall()) }
    try {
      return (await jwtVerify(token, find, options)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      let tries = 0
      for await (const key of error) {
        if (++tries > MOST_TRIES) break
        try {
          return (await jwtVerify(token, key, options)).payload
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
        }
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }
}

/** The keys, or why there are none. */
function currentOf(source: KeySource): Keys | KeysUnavailable | Promise<Keys | KeysUnavailable> {
  const keys = source.current()
  if (!(keys instanceof Promise)) return keys
  return keys.catch((error: unknown) => {
    if (error instanceof KeysUnavailable) return error
    throw error
  })
}

function keySource({ keys, ...spec }: JwtSpec, context: AuthenticatorContext): KeySource {
  if ('url' in keys) return new RemoteKeys(keys, context)
  const owner = `authenticators.${context.name}.jwt.keys`
  const another = (): Promise<boolean> => Promise.resolve(false)
  if ('secret' in keys) {
    const secret = Buffer.from(readSecret(keys.secret, `${owner}.secret`))
    const least = Math.max(
      ...algorithmsOf({ keys, ...spec }, context.name).map((each) => SECRET_BYTES[each]!),
    )
    if (secret.length < least)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}.secret: must have ${least} bytes at least`)
    const found = Promise.resolve(secret)
    return { current: () => ({ find: (() => found) as unknown as Keys['find'], version: 1 }), another }
  }
  if ('list' in keys) {
    const fixed = keysOf({ keys: keys.list }, 1, owner)
    return { current: () => fixed, another }
  }
  let version = 0
  const file = new WatchedFile(
    keys.file,
    (text) => keysOf(JSON.parse(text), ++version, owner),
    owner,
    context.runtime,
  )
  return { current: () => file.current(), another }
}

function keysOf(set: unknown, version: number, owner: string): Keys {
  try {
    return { find: createLocalJWKSet(publicKeys(set) satisfies JSONWebKeySet), version }
  } catch (error) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${(error as Error).message}`, { cause: error })
  }
}

function algorithmsOf({ keys, algorithms }: JwtSpec, name: string): readonly string[] {
  const [mine, kind] = 'secret' in keys ? [SECRET_ALGORITHMS, 'a secret'] : [PUBLIC_ALGORITHMS, 'public keys']
  const chosen = algorithms ?? ('secret' in keys ? ['HS256'] : PUBLIC_ALGORITHMS)
  const wrong = chosen.find((each) => !(mine as readonly string[]).includes(each))
  if (wrong === undefined) return chosen
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `authenticators.${name}.jwt.algorithms: ${wrong} does not go with ${kind}; choose of ${mine.join(', ')}`,
  )
}
