/**
 * The traffic plane: policies that keep callers served when what they call fails. Each is usable alone around any
 * asynchronous function; `pipeline` puts them in an order. The gateway is at `banyan/traffic/gateway`.
 *
 * @packageDocumentation
 */
export { retryBudget, type BudgetOption, type RetryBudget, type RetryBudgetOptions } from './budget.js'
export {
  FallbackError,
  RejectedError,
  TimeoutError,
  UpstreamError,
  type RejectionCode,
  type UpstreamCode,
} from './errors.js'
export { pipeline } from './pipeline.js'
export {
  bulkhead,
  type AdaptiveOptions,
  type Bulkhead,
  type BulkheadOptions,
  type BulkheadSnapshot,
} from './policies/bulkhead.js'
export {
  circuitBreaker,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerState,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type Override,
  type StateChange,
} from './policies/circuit-breaker.js'
export { fallback, type FallbackOptions } from './policies/fallback.js'
export { hedge, type HedgeOptions } from './policies/hedge.js'
export {
  rateLimit,
  rateLimitHeaders,
  type RateDecision,
  type RateLimit,
  type RateLimitOptions,
  type RateState,
} from './policies/rate-limit.js'
export { retry, type BackoffOptions, type RetryOptions } from './policies/retry.js'
export { timeout, type TimeoutOptions } from './policies/timeout.js'
export {
  definePolicy,
  httpIsFailure,
  type Call,
  type CallContext,
  type CallOptions,
  type Handler,
  type IsFailure,
  type Policy,
  type Work,
} from './policy.js'
