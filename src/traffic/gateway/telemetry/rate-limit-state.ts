import type { RateLimit } from '../../policies/rate-limit.js'

/** What `banyan status` shows of a rate limit. */
export interface RateLimitState {
  /** Calls in a window. */
  limit: number
  /** ms of a window. */
  window: number
  /** How many callers are counted now, each for itself. */
  keys: number
}

export function rateLimitState(rateLimit: RateLimit): RateLimitState {
  const { limit, window } = rateLimit.peek()
  return { limit, window, keys: rateLimit.keys }
}
