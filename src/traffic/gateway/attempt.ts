import type { UpstreamError } from '../errors.js'
import { RejectedError } from '../errors.js'
import type { Clock } from '../../core/clock.js'
import type { Span } from '../../core/telemetry.js'
import type { Body } from '../http/body.js'
import type { Pool } from '../http/pool.js'
import type { ResponseHead } from '../http/message.js'
import type { AnswerReceiver, OutgoingRequest, UpstreamChannel } from '../http/upstream/exchange.js'
import { isGivenUp, type Call } from '../policy.js'
import { UpstreamAnswer } from './answer.js'
import { finalCode, isGrpcAnswer } from './grpc/answer.js'
import { failureOf, Grpc } from './grpc/status.js'
import type { OutgoingWork } from './outgoing-work.js'
import { errorType, messageOf } from './telemetry/error-type.js'

/** What a try needs of the endpoint it goes to. */
export interface AttemptTarget {
  readonly pool: Pool
  readonly clock: Clock
  /** Exchanges under way. */
  active: number
  /** Starts the span of a try, where somebody traces. */
  span(work: OutgoingWork, call: Call): Span | undefined
  /**
   * A try has come to an answer's status at `now`, or to none (0), `ms` after its start.
   *
   * @param error - why there is none; or what speaks against the endpoint in spite of its status
   */
  record(method: string, status: number, error: unknown, now: number, ms: number): void
}

/** One try of one request on one endpoint: from a free connection to the last byte of the answer. */
export class Attempt implements AnswerReceiver {
  readonly #endpoint: AttemptTarget
  readonly #work: OutgoingWork
  readonly #call: Call
  #resolve!: (answer: UpstreamAnswer) => void
  #reject!: (error: unknown) => void
  #channel: UpstreamChannel | undefined = undefined
  #cancelConnect: (() => void) | undefined = undefined
  #forgetCancel: (() => void) | undefined = undefined
  #settled = false
  #resent = false
  #startedAt = 0
  #span: Span | undefined = undefined

  constructor(endpoint: AttemptTarget, work: OutgoingWork, call: Call) {
    this.#endpoint = endpoint
    this.#work = work
    this.#call = call
  }

  /** Makes the try. Resolves with the head of the answer; the body may still be on its way. */
  run(): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#endpoint.active++
      this.#startedAt = this.#endpoint.clock.now()
      this.#work.tries++
      if (this.#work.trace?.sampled) this.#span = this.#endpoint.span(this.#work, this.#call)
      this.#forgetCancel = this.#call.onCancel(() => this.#cancel())
      if (this.#settled) return
      if (!this.#work.replayable) {
        // The body has gone with the try before, so what came of that stands.
        this.#fail(this.#work.failure)
        return
      }
      const channel = this.#endpoint.pool.take()
      if (channel) this.#send(channel)
      else this.#connect()
    })
  }

  // The connection's news:

  onInterim(head: ResponseHead): void {
    this.#work.interim(head)
  }

  onHead(head: ResponseHead, body: Body): void {
    const socket = head.status === 101 ? this.#channel!.socket : undefined
    const grpc = this.#work.grpc && isGrpcAnswer(head)
    const code = grpc && head.framing.kind === 'none' ? this.#codeOf(head, body) : undefined
    const answer = new UpstreamAnswer(head, body, socket, this.#work.repeatable, code)
    const headAt = this.#endpoint.clock.now()
    if (!grpc) this.#record(head.status, undefined, headAt)
    this.#span?.setAttribute('http.response.status_code', head.status)
    if (head.status >= 400) this.#span?.fail(String(head.status))
    if (socket) {
      socket.once('close', () => this.#over())
    } else if (body.ended) {
      this.#end(head, body, grpc, headAt)
    } else {
      this.#call.waitUntil(bodySettled(body, () => this.#end(head, body, grpc, headAt)))
    }
    this.#settled = true
    this.#resolve(answer)
  }

  /** The answer is over. Returns the failure that it was, if it was one: of a gRPC call that is known only now. */
  #end(head: ResponseHead, body: Body, grpc: boolean, headAt: number): Error | undefined {
    const failure = body.error ?? (grpc ? failureOf(this.#codeOf(head, body)) : undefined)
    if (grpc && !isGivenUp(this.#call)) this.#record(head.status, failure, headAt)
    this.#over(failure)
    return failure
  }

  /** How a call of gRPC has ended, as it is judged. */
  #codeOf(head: ResponseHead, body: Body): number {
    const code = finalCode(head, body)
    // Whoever may ask may ask for too little time. A service that keeps to that is not at fault.
    const ownFault = code === Grpc.DeadlineExceeded && this.#work.callerDeadline < this.#call.deadline
    return ownFault ? Grpc.Cancelled : code
  }

  onError(error: UpstreamError): void {
    if (!this.#resent && this.#isStale(error)) {
      this.#resent = true
      this.#connect()
      return
    }
    this.#fail(error)
  }

  /** Whether the endpoint had closed the connection while our request was on its way: not a failure of anybody. */
  #isStale(error: UpstreamError): boolean {
    // It says itself that it has done nothing (HTTP/2), so this holds for every request.
    if (!error.sent) return this.#work.replayable
    const { reused, silent } = this.#channel!
    return reused && silent && error.code === 'BANYAN_UPSTREAM_RESET' && this.#work.repeatable
  }

  #connect(): void {
    this.#channel = undefined
    this.#endpoint.pool
      .connect((cancel) => {
        this.#cancelConnect = cancel
      })
      .then(
        (channel) => {
          this.#cancelConnect = undefined
          if (this.#settled) channel.giveBack()
          else this.#send(channel)
        },
        (error: unknown) => this.#fail(error),
      )
  }

  #send(channel: UpstreamChannel): void {
    let request: OutgoingRequest
    try {
      request = this.#work.outgoing(this.#call, this.#span?.context ?? this.#work.trace)
    } catch (error) {
      // A fault of ours, and of this request alone.
      channel.giveBack()
      this.#fail(error)
      return
    }
    this.#channel = channel
    channel.send(request, this)
  }

  #cancel(): void {
    this.#cancelConnect?.()
    this.#channel?.abort(this)
    if (!this.#settled) this.#fail(this.#call.reason)
  }

  #fail(error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#work.failure = error
    // A try that was called off says nothing about the endpoint, unless it took too long.
    if (!isGivenUp(this.#call) && !(error instanceof RejectedError))
      this.#record(0, error, this.#endpoint.clock.now())
    this.#over(error)
    this.#reject(error)
  }

  #record(status: number, error: unknown, now: number): void {
    this.#endpoint.record(this.#work.request.method, status, error, now, now - this.#startedAt)
  }

  #over(error?: unknown): void {
    const span = this.#span
    if (span) {
      this.#span = undefined
      if (isGivenUp(this.#call)) span.setAttribute('banyan.cancelled', true)
      else if (error !== undefined) span.fail(errorType(error), messageOf(error))
      span.end()
    }
    this.#endpoint.active--
    this.#forgetCancel?.()
    this.#forgetCancel = undefined
  }
}

/**
 * Settles with a body.
 *
 * @param ended - called at its end; returns the failure that it was, if it was one
 */
function bodySettled(body: Body, ended: () => Error | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    body.onSettled(() => {
      const failure = ended()
      if (failure) reject(failure)
      else resolve()
    })
  })
}
