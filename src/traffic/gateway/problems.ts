import { BanyanError } from '../../core/errors.js'
import { RejectedError } from '../errors.js'
import type { Problem } from '../http/problem.js'
import { Refusal } from './refusal.js'

/** How an error of the inside looks to a client: a problem, and the cause in the words of RFC 9209. */
export interface ClientProblem extends Problem {
  /** A proxy error type of RFC 9209 2.3. */
  cause: string
  /** Header fields besides those of every problem. */
  fields?: readonly (readonly [string, string])[] | undefined
}

type Row = readonly [status: number, cause: string, kind: string, detail: string]

/** What clients are told. Nothing about addresses, endpoints or messages of the inside. */
const TABLE: Readonly<Record<string, Row>> = {
  BANYAN_TIMEOUT: [504, 'http_response_timeout', 'timeout', 'The service did not answer in time.'],
  BANYAN_CALLER_DEADLINE: [504, 'http_response_timeout', 'caller-deadline', 'The service did not answer within the time that the request gave it.'],
  BANYAN_DEADLINE_EXCEEDED: [504, 'http_response_timeout', 'deadline-exceeded', 'The time for this request was used up before the service could be asked.'],
  BANYAN_BREAKER_OPEN: [503, 'destination_unavailable', 'breaker-open', 'The service has been failing and is given time to recover.'],
  BANYAN_BULKHEAD_FULL: [503, 'connection_limit_reached', 'overloaded', 'The service has as many requests as it can take.'],
  BANYAN_RATE_LIMITED: [429, 'http_request_denied', 'rate-limited', 'There were too many requests.'],
  BANYAN_NO_ENDPOINT: [503, 'destination_unavailable', 'no-endpoint', 'The service takes no requests at the moment.'],
  BANYAN_POOL_FULL: [503, 'connection_limit_reached', 'pool-full', 'Too many requests wait for the service.'],
  BANYAN_UPSTREAM_CONNECT: [502, 'destination_ip_unroutable', 'upstream-connect', 'The service could not be reached.'],
  BANYAN_UPSTREAM_RESET: [502, 'connection_terminated', 'upstream-reset', 'The service broke off before its answer was complete.'],
  BANYAN_UPSTREAM_PROTOCOL: [502, 'http_protocol_error', 'upstream-protocol', 'The answer of the service was not valid HTTP.'],
  BANYAN_UPSTREAM_IDLE: [504, 'connection_read_timeout', 'upstream-idle', 'The service stopped sending.'],
} // prettier-ignore

/** The problem that a client is told about. */
export function clientProblem(error: unknown): ClientProblem {
  if (error instanceof Refusal) {
    const { status, detail, kind, fields, extensions, retryAfter } = error.options
    const cause = status < 500 ? 'http_request_denied' : 'proxy_internal_response'
    return { status, cause, detail, code: kind, fields, extensions, retryAfter }
  }
  const row = error instanceof BanyanError ? TABLE[error.code] : undefined
  if (!row)
    return {
      status: 500,
      cause: 'proxy_internal_error',
      detail: 'The gateway failed to handle this request.',
    }
  const [status, cause, code, detail] = row
  const retryAfter = error instanceof RejectedError ? error.retryAfter : undefined
  return { status, cause, code, detail, retryAfter }
}
