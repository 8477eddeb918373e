import type { BreakerSnapshot } from '../../traffic/policies/circuit-breaker.js'

/** Why one request did not get what it asked for, with the numbers of the moment. */
export interface Explanation {
  /** When the request came, in ms since the Unix epoch. */
  at: number
  requestId: string | undefined
  traceId: string | undefined
  method: string
  host: string
  /** Without the query. */
  path: string
  route: string | undefined
  service: string | undefined
  /** The endpoint of the last try. */
  endpoint: string | undefined
  tries: number
  /** Of the answer; 499 if the client went before there was one. */
  status: number
  /** ms from the head of the request to the end of its answer. */
  duration: number
  /** Name of the problem, or the kind of failure. */
  reason: string
  /** Stable code of the error. */
  code: string | undefined
  /** The policy that refused. */
  policy: string | undefined
  /** What the error says, for operators; clients are told less. */
  message: string | undefined
  /** ms after which the client was told to try again. */
  retryAfter: number | undefined
  /** What the policies knew, at most 50 ms before. */
  evidence: Evidence | undefined
}

/** The numbers behind a refusal. */
export interface Evidence {
  /** When they were read, in ms since the Unix epoch. */
  at: number
  /** Breakers that did not let every call through. */
  breakers?: BreakerSnapshot[]
  bulkhead?: { limit: number; inFlight: number; queued: number; refused: number }
  /** Times in ms. */
  rateLimit?: { limit: number; window: number; remaining: number; retryAfter: number }
  endpoints?: { url: string; ready: boolean; active: number; lastProblem: string | undefined }[]
}
