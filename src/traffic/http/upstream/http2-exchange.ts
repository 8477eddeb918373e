import { constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { UpstreamError, type UpstreamCode } from '../../errors.js'
import { Body, type BodySink, type BodySource } from '../body.js'
import type { Fields } from '../fields.js'
import { HttpError } from '../http-error.js'
import type { Sweepable, Sweeper } from '../sweeper.js'
import type { AnswerReceiver, OutgoingRequest, UpstreamChannel } from './exchange.js'
import { readFields, readResponseHead, requestHeaders, trailerHeaders } from './http2-head.js'

const {
  NGHTTP2_NO_ERROR: NO_ERROR,
  NGHTTP2_CANCEL: CANCEL,
  NGHTTP2_PROTOCOL_ERROR: PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM: REFUSED_STREAM,
  NGHTTP2_FLAG_END_STREAM: END_STREAM,
} = constants

/** Codes by which either side says that the other does not keep to HTTP/2. */
const AGAINST_PROTOCOL = new Set<number>([
  PROTOCOL_ERROR,
  constants.NGHTTP2_FLOW_CONTROL_ERROR,
  constants.NGHTTP2_STREAM_CLOSED,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
])

/** The connection that an exchange is a stream of. */
export interface ExchangeSession {
  readonly http2: ClientHttp2Session
  readonly scheme: 'http' | 'https'
  readonly sweeper: Sweeper
  /** What errors call the endpoint. */
  readonly label: string
  /** Longest silence of the endpoint in an exchange, in ms. */
  readonly idleTimeout: number
  /** Bytes received so far. */
  readonly received: number
  /** The last stream that the endpoint has looked at, once it says so (GOAWAY). */
  readonly lastProcessed: number
  /** An exchange is over: there is room for another one. */
  onOver(): void
  /**
   * An exchange was given up.
   *
   * @param since - bytes received when it began; if nothing came since then, the connection may be dead
   */
  onGivenUp(since: number): void
}

/** One request and its answer on an HTTP/2 connection. */
export class Http2Exchange implements UpstreamChannel, BodySource, Sweepable {
  readonly reused: boolean
  readonly socket = undefined
  deadline = Infinity
  readonly #session: ExchangeSession
  #stream: ClientHttp2Stream | undefined = undefined
  #receiver: AnswerReceiver | undefined = undefined
  #method = ''
  #body: Body | undefined = undefined
  #requestBody: Body | undefined = undefined
  #requestTrailers: Fields | undefined = undefined
  #trailers: Fields | undefined = undefined
  #interim = false
  #answering = false
  /** What the connection had received when we sent. */
  #receivedBefore = 0
  /** Of this exchange, if it was said, in ms. */
  #idleTimeout: number | undefined = undefined

  /**
   * @param reused - whether the session has carried others before
   */
  constructor(session: ExchangeSession, reused: boolean) {
    this.#session = session
    this.reused = reused
  }

  get silent(): boolean {
    return !this.#answering && !this.#interim
  }

  send(request: OutgoingRequest, receiver: AnswerReceiver): void {
    const { body } = request
    const session = this.#session
    this.#receiver = receiver
    this.#method = request.method
    this.#idleTimeout = request.idleTimeout
    this.#receivedBefore = session.received
    const bodiless = !body || request.framing.kind === 'none'
    let stream: ClientHttp2Stream
    try {
      stream = session.http2.request(requestHeaders(request, session.scheme), {
        endStream: bodiless,
        waitForTrailers: !bodiless && request.framing.kind === 'chunked',
      })
    } catch (error) {
      // The connection has closed since we were given a place on it.
      this.giveBack()
      this.#receiver = undefined
      receiver.onError(this.#error('BANYAN_UPSTREAM_RESET', 'the connection has closed', false, error))
      return
    }
    this.#stream = stream
    this.#touch()
    session.sweeper.add(this)
    this.#listen(stream)
    if (!bodiless) this.#upload(stream, body)
  }

  abort(receiver: AnswerReceiver): void {
    if (this.#receiver !== receiver) return
    const body = this.#body
    this.#forget()
    this.#stream?.close(CANCEL)
    this.#session.onGivenUp(this.#receivedBefore)
    body?.fail(this.#error('BANYAN_UPSTREAM_RESET', 'the exchange was given up', true))
  }

  giveBack(): void {
    this.#session.onOver()
  }

  // The body's wishes:

  pause(): void {
    // Not the endpoint's fault while our client is slow.
    this.deadline = Infinity
    this.#stream?.pause()
  }

  resume(): void {
    this.#touch()
    this.#stream?.resume()
  }

  // The sweeper's:

  expire(): void {
    this.#session.onGivenUp(this.#receivedBefore)
    if (this.#receiver) this.#break('BANYAN_UPSTREAM_IDLE', 'the endpoint was silent for too long')
    else this.#stream?.close(CANCEL)
  }

  #listen(stream: ClientHttp2Stream): void {
    // The third argument, names and values as they came, has been there since Node 8 and in no documentation.
    stream.on('response', (_headers, flags: number, section?: string[]) =>
      this.#try(() => this.#onHead(section!, (flags & END_STREAM) !== 0)),
    )
    stream.on('headers', (_headers, _flags, section?: string[]) => this.#try(() => this.#onInterim(section!)))
    stream.on('trailers', (_headers, _flags, section?: string[]) =>
      this.#try(() => (this.#trailers = readFields(section!))),
    )
    stream.on('drain', () => this.#requestBody?.resume())
    stream.on('error', (error: Error) => this.#onError(error))
    stream.once('close', () => this.#onClose())
  }

  #upload(stream: ClientHttp2Stream, body: Body): void {
    this.#requestBody = body
    stream.on('wantTrailers', () => stream.sendTrailers(trailerHeaders(this.#requestTrailers)))
    const sink: BodySink = {
      write: (data) => {
        // Once the endpoint has closed the stream, what we write is an error of ours.
        if (this.#requestBody !== body || stream.writableEnded) return true
        this.#touch()
        return stream.write(data)
      },
      end: (trailers) => {
        if (this.#requestBody !== body) return
        this.#requestBody = undefined
        this.#requestTrailers = trailers
        this.#touch()
        stream.end()
      },
      fail: () => {
        // Half a request was sent and the rest will never come.
        if (this.#requestBody !== body) return
        this.#requestBody = undefined
        if (this.#receiver) this.#break('BANYAN_UPSTREAM_RESET', 'the request body broke off')
        else stream.close(CANCEL)
      },
    }
    body.pipe(sink)
  }

  #onInterim(section: readonly string[]): void {
    const receiver = this.#receiver
    if (!receiver) return
    const head = readResponseHead(section, false, this.#method)
    this.#interim = true
    this.#touch()
    receiver.onInterim(head)
  }

  #onHead(section: readonly string[], complete: boolean): void {
    const stream = this.#stream!
    const receiver = this.#receiver
    if (!receiver) return
    const head = readResponseHead(section, complete, this.#method)
    const { framing } = head
    const length = framing.kind === 'length' ? framing.length : framing.kind === 'none' ? 0 : undefined
    const body = new Body(length, this)
    this.#answering = true
    this.#touch()
    if (framing.kind === 'none') {
      // Nothing of it is to come; what the endpoint sends all the same is read and dropped.
      stream.resume()
      this.#receiver = undefined
      body.finish(undefined)
      receiver.onHead(head, body)
      return
    }
    this.#body = body
    receiver.onHead(head, body)
    stream.on('data', (data: Buffer) => {
      this.#touch()
      this.#body?.push(data)
    })
    stream.once('end', () => this.#onEnd())
  }

  #onEnd(): void {
    const body = this.#body
    // Node ends a stream also when the endpoint has reset it; how is told when it closes.
    if (!body || this.#stream!.rstCode !== NO_ERROR || body.received < (body.length ?? 0)) return
    // A reset without an error is taken for the end, as by curl and Chromium: servers of Node often say it that way.
    this.#receiver = undefined
    this.#body = undefined
    body.finish(this.#trailers)
  }

  #onError(error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    const stream = this.#stream!
    const protocol =
      code === 'ERR_HTTP2_ERROR' ||
      (code === 'ERR_HTTP2_STREAM_ERROR' && AGAINST_PROTOCOL.has(stream.rstCode))
    if (protocol) this.#break('BANYAN_UPSTREAM_PROTOCOL', `not valid HTTP/2 (${error.message})`, error)
    else this.#break('BANYAN_UPSTREAM_RESET', `the endpoint broke off (${error.message})`, error)
  }

  #onClose(): void {
    this.#session.sweeper.delete(this)
    this.#break('BANYAN_UPSTREAM_RESET', 'the endpoint broke off before the answer was complete')
    // An endpoint that answers early does not want the rest of the request.
    this.#requestBody?.discard()
    this.#requestBody = undefined
    this.giveBack()
  }

  /** Runs what reads from the endpoint; that it breaks the rules is no fault of ours. */
  #try(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      this.#break('BANYAN_UPSTREAM_PROTOCOL', error.message, error)
    }
  }

  /** Fails whatever is under way. */
  #break(code: UpstreamCode, what: string, cause?: unknown): void {
    const receiver = this.#receiver
    const body = this.#body
    if (!receiver) return
    const stream = this.#stream!
    const seen = !this.#unseen(stream)
    this.#forget()
    stream.close(code === 'BANYAN_UPSTREAM_PROTOCOL' ? PROTOCOL_ERROR : CANCEL)
    const error = this.#error(code, what, seen, cause)
    if (this.#answering) body?.fail(error)
    else receiver.onError(error)
  }

  /** Whether the endpoint has said that it did nothing for this request (RFC 9113 8.7). */
  #unseen(stream: ClientHttp2Stream): boolean {
    if (this.#answering) return false
    return stream.rstCode === REFUSED_STREAM || (stream.id ?? Infinity) > this.#session.lastProcessed
  }

  /** What is left of the request body may go to another try. */
  #forget(): void {
    this.#requestBody = undefined
    this.#receiver = undefined
    this.#body = undefined
  }

  #touch(): void {
    this.deadline = this.#session.sweeper.after(this.#idleTimeout ?? this.#session.idleTimeout)
  }

  #error(code: UpstreamCode, what: string, sent: boolean, cause?: unknown): UpstreamError {
    return new UpstreamError(code, `${this.#session.label}: ${what}`, sent, { cause })
  }
}
