import type { Clock } from '../../core/clock.js'
import type { TraceContext } from '../../core/trace-context.js'
import { Body } from '../http/body.js'
import { collect } from '../http/collect.js'
import type { Exchange } from '../http/exchange.js'
import { Kind, kindOf, type Fields } from '../http/fields.js'
import type { Framing } from '../http/framing.js'
import type { RequestHead, ResponseHead } from '../http/message.js'
import type { OutgoingRequest } from '../http/upstream/exchange.js'
import type { Call } from '../policy.js'
import type { Candidate } from '../balancing/candidate.js'
import { BodyCopy } from './body-copy.js'
import { DetachedExchange } from './detached-exchange.js'
import { fieldIn, interimText, requestText, type CompiledEdits, type RequestAdditions } from './heads.js'
import type { OutgoingWork } from './outgoing-work.js'
import { refusal, type Refusal } from './refusal.js'
import { ReplayableBody } from './replay.js'
import { isGrpc } from './grpc/status.js'
import type { Location, Parameters } from './router.js'

/** Methods that may be repeated without harm (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request may be made twice without harm: by its method, or because it carries an `Idempotency-Key`. */
export function isIdempotent(method: string, fields: Fields): boolean {
  return IDEMPOTENT.has(method) || fields.get('idempotency-key') !== undefined
}

/** What a forwarding is made of. */
export interface ForwardingOptions extends Omit<RequestAdditions, 'framing' | 'grpc'> {
  /** Whether doing it twice does no harm, where the route says so. */
  idempotent?: boolean | undefined
  /** Name of the route. */
  route: string
  /** The path as it was matched, and the query. */
  location: Location
  parameters: Parameters
  /** The request's span, where somebody traces. */
  trace: TraceContext | undefined
  /** Fields that no client may set, in lower case; the head is rid of them, trailers come later. */
  ownFields?: readonly string[] | undefined
  /** How long an endpoint may send nothing while it owes bytes, in ms. Default: what its service says. */
  idleTimeout?: number | undefined
  /** Address of the client, behind proxies that are believed. */
  clientAddress: () => string
}

/** Who asks, as an access filter has found out. */
export interface Identity {
  /** Name of the authenticator that vouches for it. */
  readonly by: string
  /** Who it is: a token's `sub`, the name of an API key, a user, a certificate's subject. */
  readonly subject: string
  readonly scopes: readonly string[]
  /** Everything that is known, as JSON. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** A client's request on its way to a service: what every try of it needs. The `subject` of its calls. */
export class Forwarding implements RequestAdditions, OutgoingWork {
  readonly exchange: Exchange
  readonly request: RequestHead
  /** Whether doing it twice does no harm: by its method, or because it carries an `Idempotency-Key`. */
  readonly idempotent: boolean
  /** When the client stops waiting, in ms on the scale of `clock.now()`, as it says itself. */
  callerDeadline = Infinity
  /** Who asks, once that is known. */
  identity: Identity | undefined = undefined
  /** What the request is called in logs, if its route gives ids. */
  requestId: string | undefined = undefined
  /** Header fields of the answer, should it be a problem: an error passes by the filters that would have set them. */
  problemFields: readonly (readonly [string, string])[] | undefined = undefined
  /** The endpoint of the last try; the next one prefers another. */
  last: Candidate | undefined = undefined
  /** What became of the last try, if it failed. */
  failure: unknown = undefined
  /** Name of the route. */
  readonly route: string
  /** The path as it was matched, and the query. */
  readonly location: Location
  /** What the `:name` parts of the route's path matched. */
  readonly parameters: Parameters
  /** Path and query as the service gets to see them. */
  target: string
  framing: Framing
  edits: CompiledEdits | undefined
  readonly host: string
  readonly forwarded: string
  readonly via: string
  readonly upgrade: boolean
  readonly grpc: boolean
  readonly trace: TraceContext | undefined
  tries = 0
  readonly #idleTimeout: number | undefined
  readonly #clientAddress: () => string
  readonly #clock: Clock
  /** A body that is here in full. */
  #whole: Buffer | undefined
  #stream: ReplayableBody | undefined

  constructor(exchange: Exchange, options: ForwardingOptions, clock: Clock) {
    this.exchange = exchange
    this.route = options.route
    this.location = options.location
    this.parameters = options.parameters
    this.#clientAddress = options.clientAddress
    this.#idleTimeout = options.idleTimeout
    this.target = options.target
    this.edits = options.edits
    this.host = options.host
    this.forwarded = options.forwarded
    this.via = options.via
    this.upgrade = options.upgrade
    this.trace = options.trace
    this.#clock = clock
    const { request, body } = exchange
    this.request = request
    this.framing = request.framing
    this.idempotent = options.idempotent ?? isIdempotent(request.method, request.fields)
    // Every client of gRPC takes trailers, and hardly anybody else.
    this.grpc = request.trailers && isGrpc(request.fields)
    const bodiless = request.framing.kind === 'none'
    this.#whole = !bodiless && body.ended && request.framing.kind === 'length' ? body.take() : undefined
    this.#stream = bodiless || this.#whole ? undefined : new ReplayableBody(body, options.ownFields)
  }

  /** Address of the client, behind proxies that are believed. */
  get clientAddress(): string {
    return this.#clientAddress()
  }

  /**
   * A field of the request as the service gets it, edits included.
   *
   * @param lower - the name in lower case
   */
  sent(lower: string): string | undefined {
    if (lower === 'host') return this.host
    const kind = kindOf(lower)
    if (kind === Kind.Forwarded || kind === Kind.XForwarded) return fieldIn(this.forwarded, lower)
    const { edits } = this
    const own = this.exchange.request.fields.get(lower)
    if (edits === undefined) return own
    const put = fieldIn(edits.text, lower)
    if (edits.dropped.includes(lower)) return put
    return put === undefined || own === undefined ? (put ?? own) : `${own}, ${put}`
  }

  /** The end-to-end fields of the request as the service gets it, edits included. */
  sentFields(): [string, string][] {
    const { edits } = this
    const { names, values, kinds } = this.request.fields
    const sent: [string, string][] = []
    for (const [index, name] of names.entries()) {
      const isPassed = kinds[index] === Kind.Ordinary || kinds[index] === Kind.Protected
      if (isPassed && !edits?.dropped.includes(name.toLowerCase())) sent.push([name, values[index]!])
    }
    for (const line of edits?.text.split('\r\n') ?? []) {
      const colon = line.indexOf(':')
      if (colon > 0) sent.push([line.slice(0, colon), line.slice(colon + 1).trim()])
    }
    return sent
  }

  /** The same request without its body, for work that goes on when the client has its answer or has gone. */
  detached(): Forwarding {
    const address = this.clientAddress
    const { route, location, parameters, target, edits, host, forwarded, via, trace } = this
    const detached = new Forwarding(
      new DetachedExchange(this.request, this.exchange.client),
      {
        ...{ route, location, parameters, target, edits, host, forwarded, via, trace },
        upgrade: false,
        idleTimeout: this.#idleTimeout,
        clientAddress: () => address,
      },
      this.#clock,
    )
    detached.identity = this.identity
    detached.requestId = this.requestId
    return detached
  }

  /** Sets a field of the request as the service gets it, in place of every one of that name. */
  setField(name: string, value: string): void {
    this.#edit([name.toLowerCase()], `${name}: ${value}\r\n`)
  }

  /** Takes every field of that name from the request as the service gets it. */
  removeField(name: string): void {
    this.#edit([name.toLowerCase()], '')
  }

  /**
   * Reads the whole body; tries send it all the same.
   *
   * @param most - bytes
   * @returns rejects with a `Refusal` of 413 if it is longer
   */
  async readBody(most: number): Promise<Buffer> {
    if (this.#whole) {
      if (this.#whole.length > most) throw tooLarge(most)
      return this.#whole
    }
    if (!this.#stream) return Buffer.alloc(0)
    const { body } = this.exchange
    if ((body.length ?? 0) > most) throw tooLarge(most)
    // It waits for whoever reads the body, which is us; the service gets it whole.
    if (this.request.expectContinue && !body.ended) {
      this.exchange.interim(100, 'Continue', '')
      this.removeField('expect')
    }
    const data = await collect(body, most)
    if (data === undefined) throw tooLarge(most)
    this.replaceBody(data)
    return data
  }

  /**
   * Copies the body as it passes by, without holding it up.
   *
   * @param most - bytes
   * @returns `undefined` if it is longer, or does not come in full
   */
  copyBody(most: number): Promise<Buffer | undefined> {
    if (this.#whole) return Promise.resolve(this.#whole.length <= most ? this.#whole : undefined)
    if (!this.#stream) return Promise.resolve(Buffer.alloc(0))
    const copy = new BodyCopy(most)
    this.#stream.copy = copy
    // Whoever reads the body, or does not: once it is over, it is known whether it has passed by here.
    return new Promise((resolve) => this.exchange.body.onSettled(() => resolve(copy.take())))
  }

  /** Sends another body than the client's, which must have been read. */
  replaceBody(data: Buffer): void {
    this.#whole = data
    this.#stream = undefined
    this.framing = { kind: 'length', length: data.length }
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
  outgoing(call: Call, trace: TraceContext | undefined): OutgoingRequest {
    const { request } = this.exchange
    const deadline = Math.min(call.deadline, this.callerDeadline)
    const remaining = deadline === Infinity ? Infinity : deadline - this.#clock.now()
    return {
      method: request.method,
      target: this.target,
      host: this.host,
      fields: requestText(request, this, remaining, call.attempt, trace),
      framing: this.framing,
      body: this.#whole ? Body.of(this.#whole) : this.#stream?.open(),
      upgrade: this.upgrade ? request.upgrade : undefined,
      trailers: request.trailers,
      idleTimeout: this.#idleTimeout,
    }
  }

  /** Passes an interim answer on: 100 only to those who wait for it. */
  interim(head: ResponseHead): void {
    const { exchange } = this
    if (head.status === 100 && !exchange.request.expectContinue) return
    exchange.interim(head.status, head.reason, head.status === 100 ? '' : interimText(head.fields))
  }

  #edit(dropped: readonly string[], text: string): void {
    const before = this.edits
    this.edits = {
      dropped: before ? [...before.dropped, ...dropped] : dropped,
      // A field that was put in before goes too.
      text:
        (before?.text ?? '').replace(/^([^:]+):.*\r\n/gm, (line, name: string) =>
          dropped.includes(name.toLowerCase()) ? '' : line,
        ) + text,
    }
  }
}

function tooLarge(most: number): Refusal {
  return refusal({
    status: 413,
    kind: 'body-too-large',
    detail: `The request body is longer than the ${most} bytes that are read here.`,
  })
}
