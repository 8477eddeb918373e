import { duration } from '../../core/duration.js'
import type { Clock } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { budgetOf } from '../budget.js'
import { bulkhead, type Bulkhead } from '../policies/bulkhead.js'
import { circuitBreaker, type CircuitBreaker } from '../policies/circuit-breaker.js'
import { fallback } from '../policies/fallback.js'
import { hedge } from '../policies/hedge.js'
import { rateLimit, type RateLimit, type RateLimitOptions, type RateStore } from '../policies/rate-limit.js'
import { retry } from '../policies/retry.js'
import { retryAfterOf } from '../policies/retry/retry-after.js'
import { timeout } from '../policies/timeout.js'
import { defaultIsFailure, type IsFailure, type Policy } from '../policy.js'
import { RejectedError } from '../errors.js'
import type { Fields } from '../http/fields.js'
import type { UpstreamAnswer } from './answer.js'
import { fixedAnswer } from './fixed-answer.js'
import { isGrpcFailure, isWorthAnotherCall, pushbackIn } from './grpc/status.js'
import { clientKey, needsIdentity, type Asker } from './client-key.js'
import type { FallbackSpec, PolicySpec } from './spec.js'
import { staleAnswers } from './stale.js'

/** The policies of a service or a route, in the recommended order (see `pipeline`). */
export interface BuiltPolicies {
  /** Around the choice of an endpoint, outermost first. */
  readonly around: readonly Policy<unknown>[]
  /** Around each try on one endpoint, outermost first. */
  perEndpoint(
    label: string,
    /** With the telemetry of the endpoint, if that is not the owner's. */
    own?: Runtime,
  ): { policies: readonly Policy<unknown>[]; breaker: CircuitBreaker | undefined }
  /** The breaker for all endpoints together, if it is not one per endpoint. */
  readonly breaker: CircuitBreaker | undefined
  readonly bulkhead: Bulkhead | undefined
  readonly rateLimit: RateLimit | undefined
  /** Whose requests a rate limit counts together. */
  readonly rateLimitBy: string
}

/**
 * Makes the policies that a specification asks for.
 *
 * @param name - what metrics, errors and `banyan status` call their owner
 * @param rateStores - where rates are counted together with other processes
 */
export function buildPolicies(
  spec: PolicySpec,
  name: string,
  runtime: Runtime,
  rateStores?: RateStores,
): BuiltPolicies {
  const {
    timeout: whole,
    tryTimeout,
    retry: retries,
    hedge: hedging,
    breaker,
    bulkhead: slots,
    rateLimit: rate,
  } = spec
  const { per = 'endpoint', ...breakerOptions } = breaker ?? {}
  const { by = 'client', ...rateOptions } = rate ?? {}
  const makeBreaker = (label: string, own = runtime): CircuitBreaker => {
    const made = circuitBreaker({
      ...breakerOptions,
      name: label,
      runtime: own,
      isFailure: isEndpointFailure,
    })
    made.on('stateChange', ({ from, to, reason }) =>
      own.telemetry.log(to === 'open' ? 'warn' : 'info', `circuit breaker ${from} -> ${to}`, {
        breaker: label,
        reason: reason.message,
      }),
    )
    return made
  }

  const around: Policy<unknown>[] = []
  if (spec.fallback) around.push(...fallbackPolicies(spec.fallback, name, runtime))
  if (whole !== undefined) around.push(timeout({ after: whole, name, runtime }))
  const limiter = rate
    ? rateLimit({
        ...(rateOptions as RateLimitOptions),
        ...sharedBy(rateStores, name, rateOptions),
        name,
        runtime,
      })
    : undefined
  if (limiter) around.push(limiter)
  // Whatever multiplies load draws on one budget, unless the hedge was given its own.
  const budget = retries && budgetOf(retries.budget, {}, runtime)
  if (retries)
    around.push(
      retry({
        ...retries,
        budget: budget ?? false,
        name,
        runtime,
        isFailure: isWorthAnotherTry,
        retryAfter: (error, value) => askedWait(error, value, runtime.clock),
      }),
    )
  if (hedging)
    around.push(
      hedge({
        ...(retries ? { budget: budget ?? false } : {}),
        ...hedging,
        name,
        runtime,
        isFailure: isWorthAnotherTry,
      }),
    )
  const shared = breaker && per === 'service' ? makeBreaker(name) : undefined
  if (shared) around.push(shared)
  const bulk = slots ? bulkhead({ ...slots, name, runtime, isFailure: isEndpointFailure }) : undefined
  if (bulk) around.push(bulk)

  return {
    around,
    breaker: shared,
    bulkhead: bulk,
    rateLimit: limiter,
    rateLimitBy: by,
    perEndpoint(label, runtimeOfEndpoint) {
      const own = breaker && per === 'endpoint' ? makeBreaker(label, runtimeOfEndpoint) : undefined
      const policies: Policy<unknown>[] = own ? [own] : []
      if (tryTimeout !== undefined) policies.push(timeout({ after: tryTimeout, name: label, runtime }))
      return { policies, breaker: own }
    },
  }
}

/**
 * Whose requests a rate limit counts together; only worked out if there is one.
 *
 * @param fields - of the client's request
 * @param address - of the client
 */
export function rateLimitKey(
  { rateLimit, rateLimitBy }: BuiltPolicies,
  fields: Fields,
  address: () => string,
): string | undefined {
  // Who asks is not known before the filters; what is counted by that, gets its key there.
  if (!rateLimit || rateLimitBy === 'all' || needsIdentity(rateLimitBy)) return undefined
  if (rateLimitBy.startsWith('header:')) return fields.get(rateLimitBy.slice(7).toLowerCase()) ?? ''
  return address()
}

/** The same for a request of our own: it is known by then on whose behalf. */
export function rateLimitKeyFor(policies: BuiltPolicies, asker: Asker): string | undefined {
  const { rateLimit, rateLimitBy } = policies
  if (rateLimit && needsIdentity(rateLimitBy)) return clientKey(rateLimitBy, asker)
  return rateLimitKey(policies, asker.exchange.request.fields, () => asker.clientAddress)
}

/** Finds where the rate of that name is counted for several processes. */
export type RateStores = (name: string, options: RateLimitOptions) => RateStore

function sharedBy(stores: RateStores | undefined, name: string, options: object): { store?: RateStore } {
  return stores ? { store: stores(name, options as RateLimitOptions) } : {}
}

/** What counts against an endpoint: no valid answer in time, or a status that says "my fault". */
export const isEndpointFailure: IsFailure = (error, value) => {
  if (error !== undefined) return defaultIsFailure(error, value)
  const { status, grpcCode } = value as UpstreamAnswer
  return grpcCode === undefined ? status >= 500 && status !== 501 : isGrpcFailure(grpcCode)
}

/**
 * What another try may mend: no connection, a broken one, a timeout; the statuses by which gateways say so; 429 with
 * a time to come back. A refusal by this endpoint's own breaker is worth another endpoint.
 */
const isWorthAnotherTry: IsFailure = (error, value) => {
  if (error instanceof RejectedError) return false
  if (error !== undefined) return true
  const answer = value as UpstreamAnswer
  const { status, grpcCode } = answer
  if (grpcCode !== undefined) return answer.repeatable && isWorthAnotherCall(grpcCode, answer.fields)
  const again =
    (status >= 502 && status <= 504) || (status === 429 && answer.fields.get('retry-after') !== undefined)
  return again && answer.repeatable
}

/** ms that an outcome asks to wait before another try. */
function askedWait(error: unknown, value: unknown, clock: Clock): number | undefined {
  const answer = value as UpstreamAnswer | undefined
  return answer?.grpcCode === undefined ? retryAfterOf(error, answer, clock) : pushbackIn(answer.fields)
}

function fallbackPolicies(spec: FallbackSpec, name: string, runtime: Runtime): Policy<unknown>[] {
  const isFailure: IsFailure = (error, value) => error !== undefined || isEndpointFailure(error, value)
  const policies: Policy<unknown>[] = []
  if ('body' in spec || spec.status !== undefined) {
    policies.push(fallback({ use: fixedAnswer(spec), name, runtime, isFailure }))
  }
  if (spec.staleFor !== undefined) {
    policies.push(staleAnswers(duration(spec.staleFor, 'staleFor'), name, runtime, isFailure))
  }
  return policies
}
