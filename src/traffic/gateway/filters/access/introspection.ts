import { duration } from '../../../../core/duration.js'
import type { Counter } from '../../../../core/telemetry.js'
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
import { identityOf, type Claims } from './claims.js'
import { isAmbientFirst, readFirst, tokenReader } from './credentials.js'
import { fetchJson, type FetchLimits } from './fetch-json.js'
import { readSecret } from './secret.js'
import type { IntrospectionSpec } from './spec.js'
import { digestOf, Verdicts } from './verdicts.js'

/** An answer of the issuer is small; bytes. */
const MOST_BYTES = 64 * 1024

/** When to come back after the issuer did not answer, in ms. */
const COME_BACK_MS = 1_000

/** What the issuer has said of a token. */
interface Verdict {
  outcome: Outcome
  /** When to ask again, in ms since the Unix epoch; until `Verdicts` forgets it, it is stale. */
  fresh: number
}

/**
 * Knows people by asking the issuer of their token. Questions about one token at the same time are one question; what
 * was answered holds for a while. An issuer that does not answer makes routes answer 503, never 401.
 */
export function introspection(spec: IntrospectionSpec, context: AuthenticatorContext): Authenticator {
  return new IntrospectionAuthenticator(spec, context)
}

class IntrospectionAuthenticator implements Authenticator {
  readonly name: string
  readonly scheme = 'Bearer'
  readonly #spec: IntrospectionSpec
  readonly #context: AuthenticatorContext
  readonly #readers
  readonly #authorization: string
  readonly #limits: FetchLimits
  readonly #cacheFor: number
  readonly #cacheInactiveFor: number
  readonly #useStaleFor: number
  readonly #concurrency: number
  readonly #verdicts: Verdicts<Verdict>
  readonly #asking = new Map<string, Promise<Outcome>>()
  readonly #questions: Counter

  constructor(spec: IntrospectionSpec, context: AuthenticatorContext) {
    const { name, runtime } = context
    this.name = name
    this.#spec = spec
    this.#context = context
    this.#readers = (spec.from ?? ['bearer']).map(tokenReader)
    const secret = readSecret(spec.clientSecret, `authenticators.${name}.introspection.clientSecret`)
    // RFC 6749 2.3.1: form-encoded before they are joined, as an id may hold a colon.
    const pair = `${formEncoded(spec.clientId)}:${formEncoded(secret)}`
    this.#authorization = `Basic ${Buffer.from(pair).toString('base64')}`
    this.#limits = { timeout: duration(spec.timeout ?? '2s', 'timeout'), most: MOST_BYTES }
    this.#cacheFor = duration(spec.cacheFor ?? '1m', 'cacheFor')
    this.#cacheInactiveFor = duration(spec.cacheInactiveFor ?? '10s', 'cacheInactiveFor')
    this.#useStaleFor = duration(spec.useStaleFor ?? 0, 'useStaleFor')
    this.#concurrency = spec.concurrency ?? 64
    this.#verdicts = new Verdicts(spec.remember ?? 10_000, runtime.clock)
    this.#questions = runtime.telemetry.counter('banyan.access.introspections', {
      description: 'Questions about tokens to their issuer.',
      unit: '{request}',
      attributes: { 'banyan.authenticator': name },
    })
  }

  authenticate({ exchange }: Forwarding): Outcome | Promise<Outcome> {
    const token = readFirst(this.#readers, exchange.request.fields)
    if (token === undefined) return NONE
    if (typeof token !== 'string') return token
    const digest = digestOf(token)
    const verdict = this.#verdicts.get(digest)
    if (verdict && this.#context.runtime.clock.wall() < verdict.fresh) return verdict.outcome
    const asking = this.#asking.get(digest)
    if (asking) return asking
    if (this.#asking.size >= this.#concurrency) {
      return verdict?.outcome ?? unavailable('too many tokens are being asked about', COME_BACK_MS)
    }
    const question = this.#ask(token, digest, verdict).finally(() => this.#asking.delete(digest))
    this.#asking.set(digest, question)
    return question
  }

  isAmbient({ exchange }: Forwarding): boolean {
    return isAmbientFirst(this.#readers, exchange.request.fields)
  }

  hide(forwarding: Forwarding): void {
    for (const reader of this.#readers) reader.hide(forwarding)
  }

  async #ask(token: string, digest: string, before: Verdict | undefined): Promise<Outcome> {
    const { fetch, runtime, name } = this.#context
    try {
      const answer = await fetchJson(
        fetch,
        this.#spec.url,
        {
          method: 'POST',
          headers: {
            authorization: this.#authorization,
            accept: 'application/json',
            'content-type': 'application/x-www-form-urlencoded',
          },
          body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
        },
        this.#limits,
        runtime.clock,
      )
      if (!isAnswer(answer)) throw new Error('the answer does not say whether the token is active')
      this.#questions.add(1, { 'banyan.outcome': answer.active ? 'active' : 'inactive' })
      return this.#keep(digest, answer)
    } catch (error) {
      this.#questions.add(1, { 'banyan.outcome': 'failed' })
      const { message, cause } = error as Error
      runtime.telemetry.log('warn', `authenticator ${name}: the issuer does not answer`, {
        'url.full': this.#spec.url,
        'exception.message': cause instanceof Error ? `${message}: ${cause.message}` : message,
      })
      return before?.outcome ?? unavailable('the issuer does not answer', COME_BACK_MS)
    }
  }

  #keep(digest: string, answer: IntrospectionAnswer): Outcome {
    const now = this.#context.runtime.clock.wall()
    const outcome = this.#judge(answer, now)
    if (outcome.kind !== 'known') {
      const fresh = now + this.#cacheInactiveFor
      this.#verdicts.set(digest, { outcome, fresh }, fresh)
      return outcome
    }
    const expires = typeof answer['exp'] === 'number' ? answer['exp'] * 1000 : Infinity
    const fresh = Math.min(now + this.#cacheFor, expires)
    this.#verdicts.set(digest, { outcome, fresh }, Math.min(fresh + this.#useStaleFor, expires))
    return outcome
  }

  #judge(answer: IntrospectionAnswer, now: number): Outcome {
    if (!answer.active) return invalid('the issuer says that the token is not active')
    const { exp, nbf, iss, aud } = answer
    if (typeof exp === 'number' && exp * 1000 <= now) return invalid('the token has expired')
    if (typeof nbf === 'number' && nbf * 1000 > now) return invalid('the token is not valid yet')
    const { issuer, audience } = this.#spec
    if (issuer !== undefined && ![issuer].flat().includes(iss as string))
      return invalid('the token is of another issuer')
    if (audience !== undefined && ![aud].flat().some((each) => [audience].flat().includes(each as string)))
      return invalid('the token is for another audience')
    const identity = this.#identity(answer)
    return identity ? known(identity) : invalid('the answer does not say whose the token is')
  }

  #identity(claims: Claims): Identity | undefined {
    const { claims: names = {} } = this.#spec
    if (names.subject !== undefined) return identityOf(this.name, claims, names)
    for (const subject of ['sub', 'username', 'client_id']) {
      const identity = identityOf(this.name, claims, { ...names, subject })
      if (identity) return identity
    }
    return undefined
  }
}

type IntrospectionAnswer = Claims & { readonly active: boolean }

function isAnswer(value: unknown): value is IntrospectionAnswer {
  return typeof (value as { active?: unknown } | null)?.active === 'boolean'
}

/** `application/x-www-form-urlencoded` of one value. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
