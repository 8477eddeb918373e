import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { rejected } from '../errors.js'
import { definePolicy, type Handler, type Policy } from '../policy.js'
import {
  SlidingWindow,
  TokenBucket,
  type Limiter,
  type RateDecision as Decision,
} from './rate-limit/algorithms.js'

/** Options of {@link rateLimit}. */
export interface RateLimitOptions {
  /** Calls for each key in each window. */
  limit: number
  /** The window, in ms or as text. */
  window: Duration
  /** Token bucket only: calls that may come at once after a pause. Default: `limit`. */
  burst?: number
  /**
   * `token-bucket` smooths: what was not used can be used later, up to `burst`. `sliding-window` counts: `limit` in
   * any window. Default `token-bucket`.
   */
  algorithm?: 'token-bucket' | 'sliding-window'
  /**
   * Keys held at most. Beyond it the key that was not used for longest is forgotten, and begins anew. Default 10000.
   */
  maxKeys?: number
  /** What metrics, errors and the `RateLimit` headers call it. Default `'rateLimit'`. */
  name?: string
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link rateLimit} accepts, for checks, schemas and docs. */
export const rateLimitOptions: OptionTable<RateLimitOptions> = {
  limit: { kind: 'number', min: 1, integer: true, doc: 'Calls for each key in each window.' },
  window: { kind: 'duration', min: 1, doc: 'The window.' },
  burst: {
    kind: 'number',
    min: 1,
    integer: true,
    doc: 'Token bucket: calls that may come at once. Default: limit.',
  },
  algorithm: {
    kind: 'choice',
    values: ['token-bucket', 'sliding-window'],
    doc: 'How calls are counted. Default token-bucket.',
  },
  maxKeys: { kind: 'number', min: 1, integer: true, doc: 'Keys held at most. Default 10000.' },
  name: { kind: 'string', doc: 'Name in metrics, errors and headers.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/** What a limit says about a call, and which limit it is. */
export interface RateDecision extends Decision {
  /** Name of the limit. */
  name: string
  /** Calls in a window. */
  limit: number
  /** ms of a window. */
  window: number
}

/** A policy that bounds how often. See {@link rateLimit}. */
export interface RateLimit extends Policy {
  /**
   * Asks for a call without making one.
   *
   * @param key - whose call; default one key for all
   * @param cost - how many calls it counts for; default 1
   */
  take(key?: string, cost?: number): RateDecision
  /** Looks without taking. */
  peek(key?: string): RateDecision
  /** Keys held. */
  readonly keys: number
}

/**
 * Bounds how often calls are made, for each key on its own (`key` of the call's options). Counts what is asked for,
 * whether it then succeeds or not. The count is this process's own.
 *
 * @throws from `execute`: `RejectedError` (`BANYAN_RATE_LIMITED`), the call was not made; its `retryAfter` is exact:
 *   a call made then is allowed unless another one of the same key came first
 */
export function rateLimit(options: RateLimitOptions): RateLimit {
  checkOptions('rateLimit', rateLimitOptions, options)
  const {
    limit,
    algorithm = 'token-bucket',
    burst = limit,
    maxKeys = 10_000,
    name = 'rateLimit',
    runtime = systemRuntime,
  } = options
  if ((limit as number | undefined) === undefined || (options.window as Duration | undefined) === undefined) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'rateLimit: limit and window are needed, such as { limit: 100, window: "1s" }',
    )
  }
  if (algorithm === 'sliding-window' && options.burst !== undefined) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'rateLimit: burst belongs to the token bucket; a sliding window has none',
    )
  }
  const window = duration(options.window, 'rateLimit: window')
  const limiter: Limiter =
    algorithm === 'sliding-window'
      ? new SlidingWindow(limit, window, maxKeys)
      : new TokenBucket(limit, window, burst, maxKeys)
  const { clock, telemetry } = runtime
  const refused = telemetry.counter('banyan.rate_limit.refused', {
    description: 'Calls refused because their key had used up its rate.',
    unit: '{call}',
    attributes: { 'banyan.policy': name },
  })
  const decide = (key: string, cost: number): RateDecision =>
    Object.assign(limiter.take(key, clock.now(), cost), { name, limit, window })

  const policy = definePolicy(name, <T>(next: Handler<T>): Handler<T> => (call) => {
    const { allowed, retryAfter } = limiter.take(call.key ?? '', clock.now(), 1)
    if (allowed) return next(call)
    refused.add(1)
    const message = `${name}: more than ${limit} calls in ${formatDuration(window)}; the next in ${formatDuration(retryAfter)}`
    return Promise.reject(rejected('BANYAN_RATE_LIMITED', message, name, retryAfter))
  })
  return {
    ...policy,
    take: (key = '', cost = 1) => decide(key, cost),
    peek: (key = '') => decide(key, 0),
    get keys() {
      return limiter.size
    },
  }
}

/**
 * The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers-10), and on a refusal
 * `Retry-After`.
 */
export function rateLimitHeaders(decision: RateDecision): Record<string, string> {
  // A structured-field string: quotes and backslashes escaped, and nothing but ASCII.
  const name = `"${decision.name.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
  const seconds = (ms: number): number => Math.ceil(ms / 1000)
  return {
    'RateLimit-Policy': `${name};q=${decision.limit};w=${Math.max(1, seconds(decision.window))}`,
    RateLimit: `${name};r=${decision.remaining};t=${seconds(decision.remaining > 0 ? decision.resetAfter : decision.retryAfter)}`,
    ...(decision.allowed ? {} : { 'Retry-After': String(Math.max(1, seconds(decision.retryAfter))) }),
  }
}
