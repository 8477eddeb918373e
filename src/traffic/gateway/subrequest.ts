import type { Clock } from '../../core/clock.js'
import { systemClock } from '../../core/clock.js'
import type { TraceContext } from '../../core/trace-context.js'
import type { Candidate } from '../balancing/candidate.js'
import { Body } from '../http/body.js'
import { Fields } from '../http/fields.js'
import type { RequestHead } from '../http/message.js'
import type { OutgoingRequest } from '../http/upstream/exchange.js'
import { Call } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { isIdempotent, type Forwarding } from './forwarding.js'
import { fieldIn, requestText, type RequestAdditions } from './heads.js'
import type { OutgoingWork } from './outgoing-work.js'
import { rateLimitKeyFor } from './policies.js'
import type { Service } from './service.js'

/** A request of our own, made on behalf of a client's. */
export interface SubrequestOptions {
  /** The client's request. From it come the client's address, `Forwarded`, `Via`, and the trace. */
  origin: Forwarding
  /** Default GET. */
  method?: string
  /** Path and query, encoded. */
  target: string
  /** The Host that the service sees. Default: what it would see of the client's request. */
  host?: string
  /** Header fields, without those that tell of the connection or the body's length. None of the client's goes by itself. */
  fields?: Iterable<readonly [string, string]>
  /** Default none. */
  body?: Buffer
  /** The call that it is a part of: it is cancelled with it and shares its deadline. Default: on its own. */
  call?: Call
  /** When the answer stops being of use, in ms on the scale of the clock; told to the service. Default: the call's. */
  deadline?: number
  /** The span that it is a part of, where somebody traces. Default: that of the client's request. */
  trace?: TraceContext | undefined
  /** What the deadline is measured with. Default the system's. */
  clock?: Clock
}

/**
 * Asks a service, under the service's own policies, as if a client had. Redirects are never followed: an answer is an
 * answer. An interim answer is nobody's and dropped.
 *
 * @returns the head of the answer, its body still on its way; take it, or discard it
 */
export function subrequest(service: Service, options: SubrequestOptions): Promise<UpstreamAnswer> {
  const { origin, call: outer } = options
  if (outer?.cancelled) return Promise.reject(outer.reason)
  const work = new Subrequest(options)
  const call = new Call(
    noWork,
    {
      idempotent: work.idempotent,
      deadline: Math.min(options.deadline ?? Infinity, outer?.deadline ?? Infinity),
      key: rateLimitKeyFor(service.policies, origin),
      subject: work,
    },
    outer,
  )
  const answer = service.run(call)
  const end = (): void => (outer ? outer.release(call) : call.end())
  answer.then(end, end)
  return answer
}

/** The work that a service has with a request of our own. */
class Subrequest implements OutgoingWork {
  readonly request: RequestHead
  readonly target: string
  readonly clientAddress: string
  readonly idempotent: boolean
  readonly grpc = false
  readonly callerDeadline = Infinity
  readonly replayable = true
  last: Candidate | undefined = undefined
  failure: unknown = undefined
  readonly trace: TraceContext | undefined
  tries = 0
  readonly #additions: RequestAdditions
  readonly #body: Buffer | undefined
  readonly #clock: Clock

  constructor(options: SubrequestOptions) {
    const { origin, method = 'GET', target, host = origin.host, body, clock = systemClock } = options
    const fields = Fields.of(options.fields ?? [])
    const inherited = origin.request.fields
    // Via tells how often a request has come round; the trace goes on, whoever continues it.
    for (const name of ['via', 'traceparent', 'tracestate', 'baggage']) {
      const value = fields.get(name) === undefined ? inherited.get(name) : undefined
      if (value !== undefined) fields.append(name, value)
    }
    const framing = body ? ({ kind: 'length', length: body.length } as const) : ({ kind: 'none' } as const)
    this.target = target
    this.clientAddress = origin.clientAddress
    this.request = {
      method,
      target,
      major: 1,
      minor: 1,
      fields,
      framing,
      host,
      keepAlive: true,
      upgrade: undefined,
      expectContinue: false,
      trailers: false,
    }
    this.idempotent = isIdempotent(method, fields)
    this.trace = options.trace ?? origin.trace
    this.#body = body
    this.#clock = clock
    this.#additions = {
      target,
      host,
      forwarded: origin.forwarded,
      via: origin.via,
      framing,
      edits: undefined,
      upgrade: false,
      grpc: false,
    }
  }

  get repeatable(): boolean {
    return this.idempotent
  }

  sent(lower: string): string | undefined {
    if (lower === 'host') return this.#additions.host
    return this.request.fields.get(lower) ?? fieldIn(this.#additions.forwarded, lower)
  }

  outgoing(call: Call, trace: TraceContext | undefined): OutgoingRequest {
    const { deadline, attempt } = call
    const remaining = deadline === Infinity ? Infinity : deadline - this.#clock.now()
    return {
      method: this.request.method,
      target: this.target,
      host: this.#additions.host,
      fields: requestText(this.request, this.#additions, remaining, attempt, trace),
      framing: this.request.framing,
      body: this.#body && Body.of(this.#body),
      upgrade: undefined,
      trailers: false,
    }
  }

  interim(): void {
    // The client has not asked for this request, and so does not wait for 100 Continue.
  }
}

/** A service's handlers take everything from the call's subject. */
const noWork = (): never => {
  throw new Error('unreachable: a service has no innermost work')
}
