import type { Timer } from '../../../core/clock.js'
import type { Span } from '../../../core/telemetry.js'
import type { Exchange } from '../../http/exchange.js'
import type { Call } from '../../policy.js'
import type { Forwarding } from '../forwarding.js'
import { GrpcStatusError } from '../grpc/status.js'
import type { ClientProblem } from '../problems.js'
import type { Route } from '../route.js'
import type { Service } from '../service.js'
import { errorType } from './error-type.js'
import type { RequestOutcome } from './outcome.js'

/**
 * What is known of one request, from its head to the last byte of its answer. Handed out when that is over: what is
 * counted, traced and logged of a request comes from here.
 */
export class RequestReport implements RequestOutcome {
  readonly exchange: Exchange
  /** When the head of the request was there, in ms on the scale of the clock. */
  readonly startedAt: number
  /** The route that took it; `undefined` if none did. */
  route: Route | undefined = undefined
  /** The service it went to. */
  service: Service | undefined = undefined
  /** Its way to the service. */
  forwarding: Forwarding | undefined = undefined
  call: Call | undefined = undefined
  span: Span | undefined = undefined
  /** Status of the answer; 499 if the client went before there was one. */
  status = 0
  /** When the head of the answer was there, in ms on the scale of the clock. */
  headAt = 0
  /** When the answer was out, or given up. */
  endedAt = 0
  /** Bytes of the answer's body that were sent. */
  bytesSent = 0
  /** What the gateway answered by itself, in place of a service. */
  problem: ClientProblem | undefined = undefined
  /** Name of that problem. */
  reason: string | undefined = undefined
  /** What went wrong, if something did. */
  error: unknown = undefined
  /** True if the answer broke off after its head. */
  cut = false
  /** Ends a call of gRPC at its caller's deadline. */
  deadline: Timer | undefined = undefined

  constructor(exchange: Exchange, startedAt: number) {
    this.exchange = exchange
    this.startedAt = startedAt
  }

  get tries(): number {
    return this.forwarding?.tries ?? 0
  }

  /** True if the client went before its answer was complete. */
  get aborted(): boolean {
    return this.exchange.aborted
  }

  /** `error.type` of OpenTelemetry; `undefined` if the request came to a good end, which a 4xx is too. */
  get errorType(): string | undefined {
    if (this.aborted) return 'client_aborted'
    if (this.error instanceof GrpcStatusError) return this.error.code
    if (this.status < 500 && !this.cut) return undefined
    return this.error === undefined ? String(this.status) : errorType(this.error)
  }
}

/** Gets every request when its answer is complete, or will never be. */
export type OnReport = (report: RequestReport) => void
