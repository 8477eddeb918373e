import type { Exchange } from '../../http/exchange.js'

/** How a request ended, as far as it is counted and traced. */
export interface RequestOutcome {
  readonly exchange: Exchange
  /** When the head of the request was there, in ms on the scale of the clock. */
  readonly startedAt: number
  /** When the answer was out, or given up. */
  readonly endedAt: number
  /** Status of the answer; 499 if the client went before there was one. */
  readonly status: number
  /** Bytes of the answer's body that were sent. */
  readonly bytesSent: number
  /** Tries on endpoints. */
  readonly tries: number
  /** True if the client went before its answer was complete. */
  readonly aborted: boolean
  /** Name of the problem that the gateway answered with by itself. */
  readonly reason: string | undefined
  /** What went wrong, if something did. */
  readonly error: unknown
  /** `error.type` of OpenTelemetry; `undefined` if the request came to a good end, which a 4xx is too. */
  readonly errorType: string | undefined
}
