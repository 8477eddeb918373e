import { BanyanError } from '../../../core/errors.js'
import type { Attributes, Counter } from '../../../core/telemetry.js'
import { isToken } from '../../http/characters.js'
import { Kind, kindOf } from '../../http/fields.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding, Identity } from '../forwarding.js'
import { refusal, type Refusal } from '../refusal.js'
import type { Authenticator, Outcome } from './access/authenticator.js'
import { Authorization, type Denial } from './access/authorization.js'
import { challenge } from './access/challenge.js'
import { tellIdentity } from './access/identity-headers.js'
import { RefusalLog } from './access/refusal-log.js'
import type { AccessSpec, AllowSpec, IdentityHeaders } from './access/spec.js'
import type { CrossOriginCheck } from './csrf.js'

/** When to come back if something failed that nobody foresaw, in ms. */
const COME_BACK_MS = 1_000

/**
 * Lets those pass who may: 401 (RFC 9110 15.5.2) for whoever is not known, 403 for whoever is known and may not, 503
 * while it cannot be told. Clients are told no more than the codes of RFC 6750; logs say why.
 *
 * @param crossOrigin - keeps other sites from using what browsers send by themselves; `undefined` for no such check
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if an authenticator is not there or the rule is wrong
 */
export async function access(
  spec: AccessSpec,
  context: RouteContext,
  crossOrigin: CrossOriginCheck | undefined,
): Promise<Filter> {
  const { route, runtime } = context
  const { optional = false, identityHeaders, forwardCredentials = false, realm = 'banyan' } = spec
  const authenticators = [spec.by ?? []].flat().map((name) => authenticatorOf(name, context))
  checkIdentityHeaders(identityHeaders, route)
  const authorization = await authorizationOf(spec.allow ?? {}, route)
  if (authenticators.length === 0 && (authorization.needsIdentity || spec.allow?.rule === undefined)) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.access: needs \`by\`, or \`allow.rule\` alone, which asks nobody who they are`,
    )
  }
  const anonymous = (optional || authenticators.length === 0) && !authorization.needsIdentity
  const decisions = (attributes: Attributes): Counter =>
    runtime.telemetry.counter('banyan.access.decisions', {
      description: 'Requests by what was decided on their access.',
      unit: '{request}',
      attributes: { 'banyan.route': route, ...attributes },
    })
  const log = new RefusalLog(route, runtime)
  const schemes = [...new Set(authenticators.map(({ scheme }) => scheme))]
  const challengeFields = (outcome?: Outcome, denial?: Denial): [string, string][] =>
    schemes.map((scheme) => ['WWW-Authenticate', challenge(scheme, realm, outcome, denial)])

  // Made once, with their attributes: nearly every request passes.
  const passed = new Map<string | undefined, Counter>([
    [undefined, decisions({ 'banyan.outcome': 'anonymous' })],
  ])
  for (const { name } of authenticators) {
    passed.set(name, decisions({ 'banyan.outcome': 'allowed', 'banyan.authenticator': name }))
  }
  const stopped = decisions({})

  const count = (outcome: string, by?: string): void => {
    const attributes: Attributes = { 'banyan.outcome': outcome }
    stopped.add(1, by === undefined ? attributes : { ...attributes, 'banyan.authenticator': by })
  }

  const refuse = (outcome: string, reason: string, made: Refusal, by?: string): never => {
    count(outcome, by)
    log.write(outcome, reason, by)
    throw made
  }

  /** Nobody is known, and that is not enough. */
  const unknown = (worst: Outcome, by: string | undefined): never => {
    if (worst.kind === 'unavailable') {
      const detail = 'It cannot be told at the moment who asks.'
      const { reason, retryAfter } = worst
      return refuse(
        'unavailable',
        reason,
        refusal({ status: 503, kind: 'access-unavailable', detail, retryAfter }),
        by,
      )
    }
    if (worst.kind !== 'invalid') {
      const detail = 'This needs credentials.'
      const fields = challengeFields()
      return refuse(
        'missing',
        'no credentials',
        refusal({ status: 401, kind: 'credentials-missing', detail, fields }),
      )
    }
    // RFC 6750 3.1: a request that cannot be understood is 400, one with a wrong token 401.
    const [status, kind, detail] =
      worst.error === 'invalid_request'
        ? ([400, 'credentials-malformed', 'The credentials are not well-formed.'] as const)
        : ([401, 'credentials-invalid', 'The credentials are not valid.'] as const)
    return refuse(
      'invalid',
      worst.reason,
      refusal({ status, kind, detail, fields: challengeFields(worst) }),
      by,
    )
  }

  /** They are known, or need not be, and may not pass. */
  const forbid = (denial: NonNullable<Denial>, identity: Identity | undefined): never => {
    const fields = denial.scopes ? challengeFields(undefined, denial) : []
    const made = refusal({ status: 403, kind: 'access-denied', detail: 'This is not allowed.', fields })
    return refuse(
      'denied',
      identity ? `${identity.subject}: ${denial.reason}` : denial.reason,
      made,
      identity?.by,
    )
  }

  const check = async (forwarding: Forwarding): Promise<Authenticator | undefined> => {
    let worst: Outcome = { kind: 'none' }
    let worstBy: string | undefined
    for (const authenticator of authenticators) {
      let outcome: Outcome
      try {
        outcome = await authenticator.authenticate(forwarding)
      } catch (error) {
        outcome = { kind: 'unavailable', reason: String(error), retryAfter: COME_BACK_MS }
      }
      if (outcome.kind === 'known') {
        forwarding.identity = outcome.identity
        return authenticator
      }
      if (RANK[outcome.kind] > RANK[worst.kind]) [worst, worstBy] = [outcome, authenticator.name]
    }
    if (worst.kind !== 'none' || !anonymous) unknown(worst, worstBy)
    return undefined
  }

  return defineFilter(`${route} access`, async (forwarding, next, call) => {
    const authenticator = authenticators.length === 0 ? undefined : await check(forwarding)
    const { identity } = forwarding
    if (call.cancelled) throw call.reason
    if (authenticator && crossOrigin) {
      const foreign = authenticator.isAmbient(forwarding) ? crossOrigin(forwarding) : undefined
      if (foreign) refuse('cross-origin', foreign.message, foreign, authenticator.name)
    }
    const denial = authorization.judge(forwarding, identity)
    if (denial) {
      // Who is nobody may become somebody: that is another answer than "you may not".
      if (!identity && authenticators.length > 0) unknown({ kind: 'none' }, undefined)
      forbid(denial, identity)
    }
    if (identityHeaders && identity) tellIdentity(forwarding, identity, identityHeaders)
    if (!forwardCredentials) for (const each of authenticators) each.hide(forwarding)
    passed.get(identity?.by)?.add(1)
    return next()
  })
}

/** Which of several outcomes a client is told of. What may pass later weighs more than what never will. */
const RANK = { none: 0, invalid: 1, unavailable: 2, known: 3 } as const

function authenticatorOf(name: string, { route, authenticators }: RouteContext): Authenticator {
  const found = authenticators.get(name)
  if (found) return found
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `routes.${route}.access.by: unknown authenticator \`${name}\``,
  )
}

/** Fields that say who asks must mean nothing else: what clients send in them is dropped. */
function checkIdentityHeaders(headers: IdentityHeaders = {}, route: string): void {
  const wrong = Object.keys(headers).find((name) => !isToken(name) || kindOf(name) !== Kind.Ordinary)
  if (wrong === undefined) return
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `routes.${route}.access.identityHeaders: \`${wrong}\` has a meaning of its own; choose another field`,
  )
}

async function authorizationOf(spec: AllowSpec, route: string): Promise<Authorization> {
  if (spec.rule === undefined) return new Authorization(spec, undefined)
  const { compileRule, RuleError } = await import('./access/rule.js')
  try {
    return new Authorization(spec, compileRule(spec.rule))
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.access.allow.rule: ${error.message} (character ${error.position + 1})`,
    )
  }
}
