/** Where a key stands under a limit. */
export interface RateState {
  /** Name of the limit. */
  name: string
  /** Calls in a window. */
  limit: number
  /** ms of a window. */
  window: number
  /** Calls that may still come now. */
  remaining: number
  /** ms until everything is available again. */
  resetAfter: number
  /** ms until the next call would be allowed, if no other comes first; 0 if it would be now. */
  retryAfter: number
}

/** What a limit says about a call, and where its key stands after it. */
export interface RateDecision extends RateState {
  /** Whether the call is allowed. */
  allowed: boolean
  /**
   * If the call is refused: ms until it would be allowed, `Infinity` if it costs more than there ever is. If it is
   * allowed: ms until the next one would be.
   */
  retryAfter: number
}

/**
 * The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers-10), and for a refused call
 * `Retry-After` (RFC 9110, 10.2.3). Times are whole seconds, rounded up, so that nobody comes back too early. A window
 * that is no whole number of seconds is told as the quota of the seconds that it is rounded up to.
 *
 * @param state - from `take`, or from `peek` for the fields of an answer to an allowed call
 * @returns header fields by name
 */
export function rateLimitHeaders(state: RateState | RateDecision): Record<string, string> {
  const { limit, window, remaining, resetAfter, retryAfter } = state
  const name = structuredString(state.name)
  const w = Math.max(1, seconds(window))
  const q = Math.floor((limit * w * 1000) / window)
  const refused = 'allowed' in state && !state.allowed
  const later = (refused || remaining === 0) && retryAfter !== Infinity
  const t = seconds(later ? retryAfter : resetAfter)
  return {
    'RateLimit-Policy': `${name};q=${q};w=${w}`,
    RateLimit: `${name};r=${remaining};t=${t}`,
    ...(refused && later ? { 'Retry-After': String(Math.max(1, t)) } : {}),
  }
}

/** A structured-field string (RFC 9651, 3.3.3): quotes and backslashes escaped, and nothing but printable ASCII. */
function structuredString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}
