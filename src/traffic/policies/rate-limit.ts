import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { rejected } from '../errors.js'
import { definePolicy, type Handler, type Policy } from '../policy.js'
import type { RateDecision, RateState } from './rate-limit/headers.js'
import type { Limiter } from './rate-limit/limiter.js'
import { SharedCount, type RateStore } from './rate-limit/shared-count.js'
import { SlidingWindow } from './rate-limit/sliding-window.js'
import { TokenBucket } from './rate-limit/token-bucket.js'

export { rateLimitHeaders, type RateDecision, type RateState } from './rate-limit/headers.js'
export type { RateStore } from './rate-limit/shared-count.js'

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
   * Keys held at most. For one more the key that was not used for longest is forgotten; should it come back, it begins
   * anew. Default 10000.
   */
  maxKeys?: number
  /**
   * Counts calls together with other processes. While it cannot tell, this process counts alone. Default: this process
   * counts alone.
   */
  store?: RateStore
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
  store: { kind: 'code', type: 'object', doc: 'Counts calls together with other processes.' },
  name: { kind: 'string', doc: 'Name in metrics, errors and headers.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/** The key of calls that name none. */
const ONE_FOR_ALL = ''

/** A policy that bounds how often. See {@link rateLimit}. */
export interface RateLimit extends Policy {
  /**
   * Counts a call without making one, if it is allowed; in this process, also with a store.
   *
   * @param key - whose call; default one key for all
   * @param cost - how many calls it counts for, above 0; default 1
   * @throws `BanyanError` (`BANYAN_INVALID_OPTIONS`) if `cost` is not above 0
   */
  take(key?: string, cost?: number): RateDecision
  /** Looks without counting; with a store, at what that has said last. */
  peek(key?: string): RateState
  /** Keys held. */
  readonly keys: number
}

/**
 * Bounds how often calls are made, for each key on its own (`key` of the call's options). Counts what is asked for,
 * whether it then succeeds or not; a refused call does not count. The count is this process's own, unless there is a
 * `store`.
 *
 * - `token-bucket`: in any time t at most `burst + t x limit / window` calls, so at most `burst + limit` in a window.
 * - `sliding-window`: at most `limit` calls in each window of the clock, and fewer than twice as many in any other time of
 *   that length.
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
  telemetry.gauge(
    'banyan.rate_limit.keys',
    { description: 'Keys held.', unit: '{key}', attributes: { 'banyan.policy': name } },
    () => limiter.size,
  )
  const stateAt = (key: string, now: number): RateState => {
    const { remaining, resetAfter } = limiter.standing(key, now)
    return { name, limit, window, remaining, resetAfter, retryAfter: limiter.wait(key, now, 1) }
  }

  const shared = options.store && new SharedCount(options.store, maxKeys)

  const refuse = (wait: number): Promise<never> => {
    refused.add(1)
    const message = `${name}: more than ${limit} calls in ${formatDuration(window)}; the next in ${formatDuration(wait)}`
    return Promise.reject(rejected('BANYAN_RATE_LIMITED', message, name, wait))
  }
  const policy = definePolicy(name, <T>(next: Handler<T>): Handler<T> => {
    const alone: Handler<T> = (call) => {
      const wait = limiter.take(call.key ?? ONE_FOR_ALL, clock.now(), 1)
      return wait === 0 ? next(call) : refuse(wait)
    }
    if (!shared) return alone
    return (call) =>
      shared.take(call.key ?? ONE_FOR_ALL, clock.now()).then(
        (decision) => (decision.allowed ? next(call) : refuse(decision.retryAfter)),
        () => alone(call),
      )
  })
  return {
    ...policy,
    take(key = ONE_FOR_ALL, cost = 1) {
      if (!(cost > 0)) {
        throw new BanyanError('BANYAN_INVALID_OPTIONS', `${name}: a cost must be above 0, got ${cost}`)
      }
      const now = clock.now()
      const wait = limiter.take(key, now, cost)
      const state = stateAt(key, now)
      return wait === 0 ? { ...state, allowed: true } : { ...state, allowed: false, retryAfter: wait }
    },
    peek: (key = ONE_FOR_ALL) => shared?.last(key, clock.now()) ?? stateAt(key, clock.now()),
    get keys() {
      return limiter.size
    },
  }
}
