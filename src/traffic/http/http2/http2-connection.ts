import type { EventEmitter } from 'node:events'
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { withoutStack } from '../../../core/errors.js'
import type { Client, ClientTls } from '../exchange.js'
import { HttpError } from '../http-error.js'
import type { HttpLimits } from '../limits.js'
import { problemResponse } from '../problem.js'
import type { Connection, ConnectionHost } from '../server-connection.js'
import type { Sweepable, Sweeper } from '../sweeper.js'
import { answerHeaders } from './answer-head.js'
import { FloodGuard } from './flood-guard.js'
import { Http2Exchange, type ExchangeOwner } from './http2-exchange.js'
import { readRequestHead } from './request-head.js'

/** Bytes of one request's body that a client may send ahead. */
const STREAM_WINDOW = 256 * 1024

/** Bytes of all its requests' bodies that a client may send ahead. */
const CONNECTION_WINDOW = 1024 * 1024

/** How long a client may take to close after our goodbye, before the connection is cut, in ms. */
const LINGER_MS = 2_000

/** What ends a connection whose {@link FloodGuard} has had enough. */
const FLOOD = withoutStack(
  () =>
    new HttpError(
      429,
      'The client sends too many frames that ask for nothing, or calls off too many requests',
    ),
)

/** One client connection of HTTP/2: many requests at once, each an {@link Http2Exchange}. */
export class Http2Connection implements Client, Connection, ExchangeOwner, Sweepable {
  readonly remoteAddress: string
  readonly tls: ClientTls | undefined
  forwarded: Client['forwarded'] = undefined
  deadline: number
  readonly #host: ConnectionHost
  readonly #socket: Socket
  readonly #session: ServerHttp2Session
  readonly #guard: FloodGuard
  readonly #exchanges = new Set<Http2Exchange>()
  #greeted = false
  #closing = false

  readonly #isMisdirected: ((host: string) => boolean) | undefined

  /**
   * @param isMisdirected - whether requests for a host belong on another connection
   */
  constructor(
    host: ConnectionHost,
    socket: Socket,
    tls?: ClientTls,
    isMisdirected?: (host: string) => boolean,
  ) {
    this.#isMisdirected = isMisdirected
    this.#host = host
    this.#socket = socket
    this.tls = tls
    this.remoteAddress = socket.remoteAddress ?? ''
    const { limits, sweeper } = host
    this.#session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: limits.streams,
        initialWindowSize: STREAM_WINDOW,
        enableConnectProtocol: true,
        // Twice what we take, so that what is over our limit gets an answer instead of a reset.
        maxHeaderListSize: 2 * (limits.headBytes + 32 * limits.fieldCount),
      },
      maxHeaderListPairs: 2 * limits.fieldCount + 16,
      maxSessionInvalidFrames: 100,
      // In MB: every stream may wait with what a service sends at once, and requests are not refused for that.
      maxSessionMemory: 10 + Math.ceil(limits.streams / 4),
    })
    this.#session.setLocalWindowSize(CONNECTION_WINDOW)
    this.#guard = new FloodGuard({
      socket,
      sweeper,
      limits,
      mayWait: () => this.#mayWait(),
      onFlood: () => this.#calm(),
    })
    // Node's types do not know of the section as it came.
    const streams = this.#session as EventEmitter
    streams.on('stream', (stream: ServerHttp2Stream, _headers: unknown, flags: number, section: string[]) =>
      this.#onStream(stream, flags, section),
    )
    this.#session.once('remoteSettings', () => this.#onGreeting())
    // An error is always followed by 'close', which is what counts.
    this.#session.on('error', noop)
    this.#session.on('close', () => this.#onClose())
    // Half a connection is of no use to HTTP/2: whoever has said its last word does not wait for answers.
    socket.on('end', () => socket.destroy())
    this.deadline = sweeper.after(limits.headTimeout)
    sweeper.add(this)
  }

  get limits(): HttpLimits {
    return this.#host.limits
  }

  get sweeper(): Sweeper {
    return this.#host.sweeper
  }

  /** Whether it waits for a request. */
  get idle(): boolean {
    return this.#greeted && !this.#closing && this.#exchanges.size === 0
  }

  /** Says goodbye (GOAWAY): requests under way finish, others the client makes elsewhere. */
  closeWhenIdle(): void {
    if (this.#closing) return
    this.#closing = true
    if (this.#exchanges.size === 0) this.deadline = this.sweeper.after(LINGER_MS)
    this.#session.close()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  // The sweeper's:

  expire(): void {
    if (this.#closing || !this.#greeted) this.#socket.destroy()
    else this.closeWhenIdle()
  }

  // The exchanges':

  onUseful(bytes: number): void {
    this.#guard.onReceived(bytes)
  }

  onSent(bytes: number): void {
    this.#guard.onSent(bytes)
  }

  onReset(): void {
    this.#guard.onReset()
  }

  forget(exchange: Http2Exchange): void {
    this.#exchanges.delete(exchange)
    if (this.#exchanges.size > 0) return
    this.deadline = this.sweeper.after(this.#closing ? LINGER_MS : this.limits.keepAliveTimeout)
  }

  #onGreeting(): void {
    this.#greeted = true
    if (this.#exchanges.size === 0) this.deadline = this.sweeper.after(this.limits.keepAliveTimeout)
  }

  #onStream(stream: ServerHttp2Stream, flags: number, section: readonly string[]): void {
    stream.on('error', noop)
    let bytes = 0
    for (const text of section) bytes += text.length
    this.#guard.onRequest(bytes)
    if (stream.destroyed || stream.closed) {
      // Called off in the same breath.
      this.onReset()
      return
    }
    try {
      const head = readRequestHead(section, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, this.limits)
      if (this.#isMisdirected?.(head.host))
        throw new HttpError(421, 'The connection was opened for another host')
      const exchange = new Http2Exchange(this, stream, head)
      this.#exchanges.add(exchange)
      this.deadline = Infinity
      this.#host.onExchange(exchange)
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      this.#refuse(stream, error)
    }
  }

  /** Answers what is not a request. */
  #refuse(stream: ServerHttp2Stream, error: HttpError): void {
    this.#host.onInvalid?.(error)
    this.onReset()
    if (stream.closed || stream.destroyed) return
    const { status, fields, body } = problemResponse({ status: error.status, detail: error.message })
    const text = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    stream.respond({ ...answerHeaders(status, text), 'content-length': body.length })
    stream.end(body)
    stream.once('finish', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)))
  }

  /** Ends it with a client that floods us. */
  #calm(): void {
    this.#host.onInvalid?.(FLOOD)
    this.#closing = true
    this.deadline = this.sweeper.after(LINGER_MS)
    this.#session.destroy(FLOOD, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  #mayWait(): number {
    let bytes = 0
    for (const { body } of this.#exchanges) if (!body.ended) bytes += STREAM_WINDOW
    return bytes
  }

  #onClose(): void {
    this.#guard.close()
    this.sweeper.delete(this)
    this.#host.forget(this)
  }
}

function noop(): void {
  // nothing to do
}
