import type { UpstreamError } from '../errors.js'
import { RejectedError } from '../errors.js'
import type { Clock } from '../../core/clock.js'
import type { Body } from '../http/body.js'
import type { Pool } from '../http/pool.js'
import type { ResponseHead } from '../http/message.js'
import type { AnswerReceiver, UpstreamConnection } from '../http/upstream-connection.js'
import type { Call } from '../policy.js'
import { UpstreamAnswer } from './answer.js'
import type { OutgoingWork } from './outgoing-work.js'

/** What a try needs of the endpoint it goes to. */
export interface AttemptTarget {
  readonly pool: Pool
  readonly clock: Clock
  /** Exchanges under way. */
  active: number
  /** A try has come to an answer's status at `now`, or to none (0), `ms` after its start. */
  record(status: number, now: number, ms: number): void
}

/** One try of one request on one endpoint: from a free connection to the last byte of the answer. */
export class Attempt implements AnswerReceiver {
  readonly #endpoint: AttemptTarget
  readonly #work: OutgoingWork
  readonly #call: Call
  #resolve!: (answer: UpstreamAnswer) => void
  #reject!: (error: unknown) => void
  #connection: UpstreamConnection | undefined = undefined
  #cancelConnect: (() => void) | undefined = undefined
  #forgetCancel: (() => void) | undefined = undefined
  #settled = false
  #resent = false
  #startedAt = 0

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
      this.#forgetCancel = this.#call.onCancel(() => this.#cancel())
      if (this.#settled) return
      if (!this.#work.replayable) {
        // The body has gone with the try before, so what came of that stands.
        this.#fail(this.#work.failure)
        return
      }
      const connection = this.#endpoint.pool.take()
      if (connection) this.#send(connection)
      else this.#connect()
    })
  }

  // The connection's news:

  onInterim(head: ResponseHead): void {
    this.#work.interim(head)
  }

  onHead(head: ResponseHead, body: Body): void {
    const socket = head.status === 101 ? this.#connection!.socket : undefined
    const answer = new UpstreamAnswer(head, body, socket, this.#work.repeatable)
    this.#record(head.status)
    if (socket) {
      socket.once('close', () => this.#over())
    } else if (body.ended) {
      this.#over()
    } else {
      this.#call.waitUntil(bodySettled(body, () => this.#over()))
    }
    this.#settled = true
    this.#resolve(answer)
  }

  onError(error: UpstreamError): void {
    const connection = this.#connection
    // An idle connection that the endpoint closed while our request was on its way: not a failure of anybody.
    const stale = connection?.reused === true && connection.silent
    if (stale && !this.#resent && error.code === 'BANYAN_UPSTREAM_RESET' && this.#work.repeatable) {
      this.#resent = true
      this.#connect()
      return
    }
    this.#fail(error)
  }

  #connect(): void {
    this.#connection = undefined
    this.#endpoint.pool
      .connect((cancel) => {
        this.#cancelConnect = cancel
      })
      .then(
        (connection) => {
          this.#cancelConnect = undefined
          if (this.#settled) this.#endpoint.pool.onIdle(connection)
          else this.#send(connection)
        },
        (error: unknown) => this.#fail(error),
      )
  }

  #send(connection: UpstreamConnection): void {
    this.#connection = connection
    connection.send(this.#work.outgoing(this.#call), this)
  }

  #cancel(): void {
    this.#cancelConnect?.()
    this.#connection?.abort(this)
    if (!this.#settled) this.#fail(this.#call.reason)
  }

  #fail(error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#work.failure = error
    // A try that was called off says nothing about the endpoint.
    if (!this.#call.cancelled && !(error instanceof RejectedError)) this.#record(0)
    this.#over()
    this.#reject(error)
  }

  #record(status: number): void {
    const now = this.#endpoint.clock.now()
    this.#endpoint.record(status, now, now - this.#startedAt)
  }

  #over(): void {
    this.#endpoint.active--
    this.#forgetCancel?.()
    this.#forgetCancel = undefined
  }
}

function bodySettled(body: Body, over: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    body.onSettled(() => {
      over()
      if (body.error) reject(body.error)
      else resolve()
    })
  })
}
