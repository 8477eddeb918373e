import { BanyanError, withoutStack, type BanyanErrorOptions } from '../core/errors.js'

/**
 * Every error of the traffic plane.
 *
 * | code | class | meaning | HTTP status |
 * |---|---|---|---|
 * | `BANYAN_TIMEOUT` | {@link TimeoutError} | the call was made and took too long | 504 |
 * | `BANYAN_CALLER_DEADLINE` | {@link CallerDeadlineError} | a caller that is not trusted gave it less time than it took | 504 |
 * | `BANYAN_DEADLINE_EXCEEDED` | {@link RejectedError} | no time was left to make the call | 504 |
 * | `BANYAN_BREAKER_OPEN` | {@link RejectedError} | the circuit breaker refused the call | 503 |
 * | `BANYAN_BULKHEAD_FULL` | {@link RejectedError} | no slot was free, and none in the queue | 503 |
 * | `BANYAN_RATE_LIMITED` | {@link RejectedError} | the key has used up its rate | 429 |
 * | `BANYAN_NO_ENDPOINT` | {@link RejectedError} | the service has no endpoint that may take the call | 503 |
 * | `BANYAN_POOL_FULL` | {@link RejectedError} | too many calls wait for a connection to the endpoint | 503 |
 * | `BANYAN_UPSTREAM_CONNECT` | {@link UpstreamError} | no connection to the endpoint; nothing was sent | 502 |
 * | `BANYAN_UPSTREAM_RESET` | {@link UpstreamError} | the endpoint closed before its answer was complete | 502 |
 * | `BANYAN_UPSTREAM_PROTOCOL` | {@link UpstreamError} | the endpoint's answer is not valid HTTP | 502 |
 * | `BANYAN_UPSTREAM_IDLE` | {@link UpstreamError} | the endpoint sent nothing for too long | 504 |
 * | `BANYAN_CERTIFICATE` | {@link BanyanError} | a certificate or key of a listener is missing or cannot be used | |
 * | `BANYAN_FALLBACK_FAILED` | {@link FallbackError} | the call failed, and so did its fallback | 500 |
 */

/** The call was made and took longer than its timeout; what it did is unknown. Code `BANYAN_TIMEOUT`. */
export class TimeoutError extends BanyanError {
  /** The timeout that passed, in ms. */
  readonly after: number

  constructor(after: number, message: string) {
    super('BANYAN_TIMEOUT', message)
    this.after = after
  }
}

/**
 * The caller has given the call less time than it took. Whoever may be anybody decides nothing about the endpoint by that:
 * the call counts as given up, not as failed. Code `BANYAN_CALLER_DEADLINE`.
 */
export class CallerDeadlineError extends BanyanError {
  constructor(ms: number) {
    super('BANYAN_CALLER_DEADLINE', `the caller has waited for as long as it said, ${ms}ms`)
  }
}

/** Why a call was refused. */
export type RejectionCode =
  | 'BANYAN_DEADLINE_EXCEEDED'
  | 'BANYAN_BREAKER_OPEN'
  | 'BANYAN_BULKHEAD_FULL'
  | 'BANYAN_RATE_LIMITED'
  | 'BANYAN_NO_ENDPOINT'
  | 'BANYAN_POOL_FULL'

/**
 * The call was refused before it was made: nothing was sent and nothing happened. Never counted as a failure of
 * what is called. Carries no stack trace, as a refusal must stay cheap.
 */
export class RejectedError extends BanyanError {
  /** The name of the policy that refused. */
  readonly policy: string
  /** ms until it is worth trying again, where that is known. */
  readonly retryAfter: number | undefined

  constructor(code: RejectionCode, message: string, policy: string, retryAfter?: number) {
    super(code, message)
    this.policy = policy
    this.retryAfter = retryAfter
  }
}

/** Makes a {@link RejectedError} without a stack trace. */
export function rejected(
  code: RejectionCode,
  message: string,
  policy: string,
  retryAfter?: number,
): RejectedError {
  return withoutStack(() => new RejectedError(code, message, policy, retryAfter))
}

/** What went wrong between a node and an endpoint. */
export type UpstreamCode =
  'BANYAN_UPSTREAM_CONNECT' | 'BANYAN_UPSTREAM_RESET' | 'BANYAN_UPSTREAM_PROTOCOL' | 'BANYAN_UPSTREAM_IDLE'

/** The endpoint could not be reached or broke off. */
export class UpstreamError extends BanyanError {
  /** False if it is certain that the endpoint saw nothing of the request: trying again is always safe. */
  readonly sent: boolean

  constructor(code: UpstreamCode, message: string, sent: boolean, options?: BanyanErrorOptions) {
    super(code, message, options)
    this.sent = sent
  }
}

/**
 * The call failed, and so did the function that was to answer instead, whose error is the `cause`. Code
 * `BANYAN_FALLBACK_FAILED`.
 */
export class FallbackError extends BanyanError {
  /** The error of the call itself; `undefined` if a value was judged a failure. */
  readonly original: unknown

  constructor(message: string, original: unknown, cause: unknown) {
    super('BANYAN_FALLBACK_FAILED', message, { cause })
    this.original = original
  }
}
