import type { Clock } from '../../core/clock.js'
import { Body } from '../http/body.js'
import type { ResponseHead } from '../http/message.js'
import type { ServerExchange } from '../http/server-connection.js'
import type { OutgoingRequest } from '../http/upstream-connection.js'
import type { Call } from '../policy.js'
import type { Candidate } from '../balancing/candidate.js'
import { interimText, requestText, type RequestAdditions } from './heads.js'
import { ReplayableBody } from './replay.js'

/** Methods that may be repeated without harm (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** A client's request on its way to a service: what every try of it needs. The `subject` of its calls. */
export class Forwarding {
  readonly exchange: ServerExchange
  /** Whether doing it twice does no harm: by its method, or because it carries an `Idempotency-Key`. */
  readonly idempotent: boolean
  /** The endpoint of the last try; the next one prefers another. */
  last: Candidate | undefined = undefined
  /** What became of the last try, if it failed. */
  failure: unknown = undefined
  readonly #options: RequestAdditions
  readonly #clock: Clock
  /** A body that was complete when the request was routed. */
  readonly #whole: Buffer | undefined
  readonly #stream: ReplayableBody | undefined

  constructor(exchange: ServerExchange, options: RequestAdditions, clock: Clock) {
    this.exchange = exchange
    this.#options = options
    this.#clock = clock
    const { request, body } = exchange
    this.idempotent = IDEMPOTENT.has(request.method) || request.fields.get('idempotency-key') !== undefined
    const bodiless = request.framing.kind === 'none'
    this.#whole = !bodiless && body.ended && request.framing.kind === 'length' ? body.take() : undefined
    this.#stream = bodiless || this.#whole ? undefined : new ReplayableBody(body)
  }

  /** Whether another try could send the whole body again. */
  get replayable(): boolean {
    return this.#stream?.replayable ?? true
  }

  /** Whether another try is harmless and possible. */
  get repeatable(): boolean {
    return this.idempotent && this.replayable
  }

  /** The request as one try sends it. */
  outgoing(call: Call): OutgoingRequest {
    const { request } = this.exchange
    const { deadline } = call
    const remaining = deadline === Infinity ? Infinity : deadline - this.#clock.now()
    const head = requestText(request, this.#options, remaining, call.attempt)
    return {
      method: request.method,
      head,
      framing: request.framing.kind === 'close' ? 'none' : request.framing.kind,
      body: this.#whole ? Body.of(this.#whole) : this.#stream?.open(),
      upgrade: this.#options.upgrade,
    }
  }

  /** Passes an interim answer on: 100 only to those who wait for it. */
  interim(head: ResponseHead): void {
    const { exchange } = this
    if (head.status === 100 && !exchange.request.expectContinue) return
    exchange.interim(head.status, head.reason, head.status === 100 ? '' : interimText(head.fields))
  }
}
