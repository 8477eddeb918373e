import type { EventEmitter } from 'node:events'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { withoutStack } from '../../../core/errors.js'
import { Body, type BodySink, type BodySource } from '../body.js'
import type { Answer, Client, Exchange } from '../exchange.js'
import type { Fields } from '../fields.js'
import { HttpError } from '../http-error.js'
import type { HttpLimits } from '../limits.js'
import type { RequestHead } from '../message.js'
import { problemResponse } from '../problem.js'
import type { Sweepable, Sweeper } from '../sweeper.js'
import { answerHeaders, trailerHeaders, withJoinedLines } from './answer-head.js'
import { readTrailers } from './request-head.js'
import { switchAccepted } from './websocket.js'

/** How long a body may come as slowly as it likes, in ms. */
const RATE_GRACE_MS = 5_000

/** Why whoever still reads a request gets no more of it once it is answered. */
const UNWANTED = withoutStack(
  () => new Error('The answer is complete, and nobody takes the rest of the request'),
)

/** What becomes of a request whose client does not wait for its answer. */
const GONE = withoutStack(() => new HttpError(400, 'The client has called off the request'))

/** Becomes the code INTERNAL_ERROR of a reset. */
const CUT_OFF = withoutStack(() => new Error('The answer is not complete'))

/** What an exchange needs of the connection it came on. */
export interface ExchangeOwner extends Client {
  readonly limits: HttpLimits
  readonly sweeper: Sweeper
  /** Bytes of a body or of trailers have come. */
  onUseful(bytes: number): void
  /** Bytes of a body go out. */
  onSent(bytes: number): void
  /** The client has called a request off before there was an answer. */
  onReset(): void
  forget(exchange: Http2Exchange): void
}

/** One stream of HTTP/2: a request and its answer (RFC 9113 8). */
export class Http2Exchange implements Exchange, BodySource, Sweepable {
  readonly request: RequestHead
  readonly body: Body
  aborted = false
  refused: number | undefined = undefined
  onAbort: (() => void) | undefined = undefined
  onDone: Exchange['onDone'] = undefined
  deadline = Infinity
  readonly #owner: ExchangeOwner
  readonly #stream: ServerHttp2Stream
  #state: 'open' | 'answering' | 'answered' | 'switched' = 'open'
  #trailers: Fields | undefined = undefined
  /** What is to follow the answer's body, if anything may. */
  #answerTrailers: OutgoingHttpHeaders | undefined = undefined
  #restUnwanted = false
  #sent = 0
  #paused = false
  #pausedAt = 0
  #rateDeadline = Infinity
  /** Whether the client may be silent in the middle of its body. */
  #patient = false

  constructor(owner: ExchangeOwner, stream: ServerHttp2Stream, request: RequestHead) {
    this.#owner = owner
    this.#stream = stream
    this.request = request
    const { framing } = request
    const bodiless = framing.kind === 'none'
    this.body = new Body(bodiless ? 0 : framing.kind === 'length' ? framing.length : undefined, this)
    stream.on('close', () => this.#onClose())
    if (bodiless) {
      this.body.finish(undefined)
    } else {
      const { minimumRate } = owner.limits
      // A client that waits for 100 Continue has not begun yet.
      if (minimumRate > 0 && !request.expectContinue) this.#rateDeadline = owner.sweeper.after(RATE_GRACE_MS)
      this.#awaitBody()
      stream.on('data', (data: Buffer) => this.#onData(data))
      // Node's types do not know of the section as it came.
      const trailers = stream as EventEmitter
      trailers.on('trailers', (_headers: unknown, _flags: unknown, section: string[]) =>
        this.#onTrailers(section),
      )
      stream.on('end', () => this.#onEnd())
    }
    owner.sweeper.add(this)
  }

  get client(): Client {
    return this.#owner
  }

  // The body's wishes:

  pause(): void {
    this.deadline = Infinity
    this.#paused = true
    this.#pausedAt = this.#owner.sweeper.now
    this.#stream.pause()
  }

  resume(): void {
    this.#paused = false
    this.#rateDeadline += this.#owner.sweeper.now - this.#pausedAt
    this.#awaitBody()
    this.#stream.resume()
  }

  // The sweeper's:

  expire(): void {
    if (this.#state === 'open') this.fail(new HttpError(408, 'The request body took too long to arrive'))
    else this.#cut()
  }

  // Whoever answers:

  waitForClient(): void {
    this.#patient = true
    if (!this.body.ended && this.#state === 'open') this.#awaitBody()
  }

  interim(status: number, _reason: string, fields: string): void {
    if (this.#state !== 'open' || this.#gone) return
    this.#stream.additionalHeaders(withJoinedLines(answerHeaders(status, fields)))
  }

  respond(answer: Answer): void {
    if (this.#state !== 'open' || this.#gone) {
      answer.body?.discard()
      return
    }
    if (this.request.upgrade !== undefined && answer.status >= 200 && answer.status < 300) {
      // To the client a 2xx would mean that the tunnel stands (RFC 8441 5).
      answer.body?.discard()
      this.fail(new HttpError(502, 'The service did not switch to the protocol that was asked for'))
      return
    }
    this.#state = 'answering'
    const { status, body } = answer
    const headers = answerHeaders(status, answer.fields)
    // A 205 has no body either (RFC 9110 15.3.6), and the codec ends the stream with it.
    const bodiless = this.request.method === 'HEAD' || status === 204 || status === 205 || status === 304
    if (bodiless || !body) {
      const length = status === 205 ? 0 : answer.statedLength
      if (status !== 204 && (length !== undefined || !bodiless)) headers['content-length'] = length ?? 0
      body?.discard()
      this.#send(headers, { endStream: true })
      this.#answered(answer.takesRest === true)
      return
    }
    if (body.length !== undefined) headers['content-length'] = body.length
    this.#send(headers, { waitForTrailers: answer.trailers !== undefined })
    this.#pipe(body, answer)
  }

  respondWith(status: number, fields: readonly (readonly [string, string])[], data: Buffer): void {
    let text = ''
    for (const [name, value] of fields) text += `${name}: ${value}\r\n`
    this.respond({ status, fields: text, body: Body.of(data), statedLength: data.length })
  }

  switchTo(_protocol: string, fields: string): { stream: Duplex; early: Buffer | undefined } {
    const stream = this.#stream
    this.#state = 'switched'
    this.deadline = Infinity
    if (this.#gone) return { stream, early: undefined }
    const headers = answerHeaders(200, fields)
    const key = this.request.fields.get('sec-websocket-key') ?? ''
    const accept = headers['sec-websocket-accept']
    delete headers['sec-websocket-accept']
    if (!switchAccepted(key, accept)) {
      this.#send(answerHeaders(502, ''), { endStream: true })
      this.#resetAfterAnswer()
      return { stream, early: undefined }
    }
    this.#send(headers, {})
    if (this.onDone) countWrites(stream, (bytes) => (this.#sent += bytes))
    return { stream, early: undefined }
  }

  /** The request has turned out not to be valid, or to be too slow, after it was handed over. */
  fail(error: HttpError): void {
    this.refused = error.status
    this.#giveUp(error)
    if (this.#state !== 'open') {
      this.#cut()
      return
    }
    const { status, fields, body } = problemResponse({ status: error.status, detail: error.message })
    this.respondWith(status, fields, body)
  }

  /** True if nothing can be said to the client any more. */
  get #gone(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  #onData(data: Buffer): void {
    const { limits } = this.#owner
    this.#owner.onUseful(data.length)
    if (limits.minimumRate > 0) this.#rateDeadline += (data.length / limits.minimumRate) * 1000
    this.#awaitBody()
    this.body.push(data)
    if (this.body.received > limits.bodyBytes && !this.body.error)
      this.fail(new HttpError(413, 'The request body is too large'))
  }

  #onTrailers(section: readonly string[]): void {
    try {
      this.#trailers = readTrailers(section, this.#owner.limits)
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      this.fail(error)
    }
  }

  #onEnd(): void {
    const { aborted, destroyed, rstCode } = this.#stream
    // A stream that is cut off ends too, without being complete.
    if (aborted || destroyed || rstCode !== constants.NGHTTP2_NO_ERROR) return
    if (this.body.received !== (this.body.length ?? this.body.received)) return
    this.deadline = this.#state === 'open' ? Infinity : this.deadline
    this.#rateDeadline = Infinity
    this.body.finish(this.#trailers)
  }

  #awaitBody(): void {
    const { sweeper, limits } = this.#owner
    this.deadline = this.#patient ? Infinity : Math.min(sweeper.after(limits.idleTimeout), this.#rateDeadline)
  }

  #send(headers: OutgoingHttpHeaders, options: { endStream?: boolean; waitForTrailers?: boolean }): void {
    try {
      this.#stream.respond(headers, options)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
      this.#stream.respond(withJoinedLines(headers), options)
    }
  }

  #pipe(body: Body, { trailers, takesRest }: Answer): void {
    const stream = this.#stream
    const sink: BodySink = {
      write: (data) => {
        if (this.#gone) return true
        this.#sent += data.length
        this.#owner.onSent(data.length)
        const room = stream.write(data)
        if (!room) this.#awaitClient()
        return room
      },
      end: (received) => {
        if (this.#gone) return
        if (trailers) this.#answerTrailers = withJoinedLines(trailerHeaders(trailers(received)))
        this.#awaitClient()
        stream.end()
        this.#answered(takesRest === true)
      },
      // The head is out: all that is left to tell the client is that this is not the whole of it.
      fail: (error) => {
        this.#done(error)
        this.#cut()
      },
    }
    if (trailers) stream.on('wantTrailers', () => this.#onWantTrailers())
    stream.on('drain', () => {
      if (this.body.ended || this.#paused) this.deadline = Infinity
      else this.#awaitBody()
      body.resume()
    })
    body.pipe(sink)
  }

  /** The client must take some of what waits for it before the deadline. */
  #awaitClient(): void {
    this.deadline = this.#owner.sweeper.after(this.#owner.limits.idleTimeout)
  }

  #onWantTrailers(): void {
    if (this.#gone) return
    this.#stream.sendTrailers(this.#answerTrailers ?? {})
    // Trailers go out a turn later, and a reset before them would take their place.
    if (this.#restUnwanted) setImmediate(() => this.#close())
  }

  /** Our part is over; what becomes of the rest of the request depends on whether somebody takes it. */
  #answered(takesRest: boolean): void {
    this.#state = 'answered'
    this.onAbort = undefined
    this.#done(undefined)
    const { body } = this
    if (body.ended || (takesRest && !body.error)) return
    body.fail(UNWANTED)
    body.discard()
    this.#restUnwanted = true
    if (this.#answerTrailers === undefined) this.#resetAfterAnswer()
  }

  /** Tells the client to send no more; by this code it knows that the answer is complete all the same (RFC 9113 8.1). */
  #resetAfterAnswer(): void {
    // The codec hands over what ends the stream a turn after it says it has.
    this.#stream.once('finish', () => setImmediate(() => this.#close()))
  }

  /** Tells the client that it got all there will be, and to send no more. */
  #close(): void {
    if (!this.#gone) this.#stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /** Tells the client that what it got is not the whole. Not by `close`, which ends what is under way in good order first. */
  #cut(): void {
    if (!this.#gone) this.#stream.destroy(CUT_OFF)
  }

  /** First whoever works on it, then the body: a body that breaks off must not look like a fault of an endpoint. */
  #giveUp(error: HttpError): void {
    this.onAbort?.()
    this.onAbort = undefined
    this.body.fail(error)
  }

  #onClose(): void {
    this.#owner.sweeper.delete(this)
    this.#owner.forget(this)
    if (this.#state === 'answered' && this.body.ended) return
    if (this.#state === 'open') this.#owner.onReset()
    if (this.#state !== 'answered' && this.#state !== 'switched') this.aborted = true
    this.#giveUp(GONE)
    this.#done(this.#state === 'switched' ? undefined : GONE)
  }

  #done(error: Error | undefined): void {
    const { onDone } = this
    this.onDone = undefined
    onDone?.(this.#sent, error)
  }
}

/** Reports the bytes that are written to a stream from now on. */
function countWrites(stream: Duplex, report: (bytes: number) => void): void {
  const write = stream.write.bind(stream)
  stream.write = ((data: Buffer, ...rest: []) => {
    report(data.length)
    return write(data, ...rest)
  }) as typeof stream.write
}
