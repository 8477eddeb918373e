import type { Socket } from 'node:net'
import { withoutStack } from '../../core/errors.js'
import { Body, type BodySink, type BodySource } from './body.js'
import type { Answer, Client, ClientTls, Exchange } from './exchange.js'
import type { Fields } from './fields.js'
import type { Framing } from './framing.js'
import type { RawHead } from './head-reader.js'
import { HttpError } from './http-error.js'
import { requestHead, type RequestHead } from './message.js'
import { MessageReader, type MessageSink } from './message-reader.js'
import { problemResponse } from './problem.js'
import type { HttpLimits } from './limits.js'
import type { Sweepable, Sweeper } from './sweeper.js'
import { MessageWriter, reasonOf, type BodyFraming } from './writer.js'

/** How long a client may take to close once all our words are sent, before the connection is cut, in ms. */
const LINGER_MS = 2_000

/** How long a body may come as slowly as it likes, in ms. */
const RATE_GRACE_MS = 5_000

/** Why whoever still reads a request gets no more of it once it is answered. */
const UNWANTED = withoutStack(() => new Error('The answer is complete, and the connection closes'))

/** What a server knows of a connection, whatever is spoken on it. */
export interface Connection {
  /** Whether it waits for a request that has not begun. */
  readonly idle: boolean
  /** Closes now if no exchange is under way, else after it. */
  closeWhenIdle(): void
  destroy(): void
}

/** What a connection needs of the server it belongs to. */
export interface ConnectionHost {
  readonly limits: HttpLimits
  readonly sweeper: Sweeper
  /** True once answers should close their connections. */
  readonly draining: boolean
  /** Gets every valid request. */
  readonly onExchange: (exchange: Exchange) => void
  /** Observes what was refused. */
  readonly onInvalid: ((error: HttpError) => void) | undefined
  /** A connection has closed. */
  forget(connection: Connection): void
}

/** One client connection: requests in, answers out, in the same order, one at a time. */
export class ServerConnection implements Client, Connection, MessageSink, BodySource, Sweepable {
  readonly socket: Socket
  readonly remoteAddress: string
  readonly tls: ClientTls | undefined
  forwarded: Client['forwarded'] = undefined
  deadline = Infinity
  readonly #server: ConnectionHost
  readonly #reader: MessageReader
  #exchange: ServerExchange | undefined = undefined
  /** Bytes of the next request, held until the current exchange is over. */
  #rest: Buffer | undefined = undefined
  #lingering = false
  #paused = false
  /** Since when we take no bytes. */
  #pausedAt = 0
  /** By when more of the body must have come to keep up the minimum rate. */
  #rateDeadline = Infinity

  constructor(server: ConnectionHost, socket: Socket, tls?: ClientTls) {
    this.#server = server
    this.socket = socket
    this.tls = tls
    this.remoteAddress = socket.remoteAddress ?? ''
    this.#reader = new MessageReader('request', server.limits, this)
    socket.on('data', this.#onBytes)
    socket.on('end', () => this.#onPeerEnd())
    socket.on('close', () => this.#onClose())
    // An error is always followed by 'close', which is what counts.
    socket.on('error', noop)
    socket.on('drain', () => this.#onDrain())
    this.deadline = server.sweeper.after(server.limits.headTimeout)
    server.sweeper.add(this)
  }

  // The reader's events:

  onHead(raw: RawHead): Framing {
    const request = requestHead(raw)
    const { framing } = request
    const { limits } = this.#server
    if (framing.kind === 'length' && framing.length > limits.bodyBytes) {
      throw new HttpError(413, 'The request body is too large')
    }
    const length = framing.kind === 'length' ? framing.length : framing.kind === 'none' ? 0 : undefined
    if (framing.kind === 'none') {
      this.deadline = Infinity
    } else {
      // A client that waits for 100 Continue has not begun yet.
      this.#rateDeadline =
        limits.minimumRate === 0 || request.expectContinue
          ? Infinity
          : this.#server.sweeper.after(RATE_GRACE_MS)
      this.#awaitBody()
    }
    this.#exchange = new ServerExchange(this, this.#server, request, new Body(length, this))
    return framing
  }

  onData(data: Buffer): void {
    const { minimumRate } = this.#server.limits
    if (minimumRate > 0) this.#rateDeadline += (data.length / minimumRate) * 1000
    this.#awaitBody()
    this.#exchange!.body.push(data)
  }

  onEnd(trailers: Fields | undefined): void {
    // Read on, if only to notice that the client goes away.
    if (this.#paused) this.resume()
    this.deadline = Infinity
    this.#exchange!.body.finish(trailers)
  }

  // The body's wishes:

  pause(): void {
    this.deadline = Infinity
    this.#paused = true
    this.#pausedAt = this.#server.sweeper.now
    this.socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#rest !== undefined) return
    this.#rateDeadline += this.#server.sweeper.now - this.#pausedAt
    this.#awaitBody()
    this.socket.resume()
  }

  // The sweeper's:

  expire(): void {
    if (this.#lingering || (!this.#exchange && this.#reader.position === 'between')) {
      this.socket.destroy()
    } else if (!this.#exchange) {
      const error = new HttpError(408, 'The request head took too long to arrive')
      this.#server.onInvalid?.(error)
      this.#refuse(error)
    } else if (!this.#exchange.responded) {
      this.#exchange.fail(new HttpError(408, 'The request body took too long to arrive'))
    } else {
      this.socket.destroy()
    }
  }

  // The server's:

  /** Whether it waits for a request that has not begun. */
  get idle(): boolean {
    return !this.#exchange && !this.#lingering && this.#reader.position === 'between'
  }

  /** Closes now if no exchange is under way, else after it. */
  closeWhenIdle(): void {
    if (!this.#exchange) this.#linger()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** For the exchange: its answer is out in full. */
  finished(exchange: ServerExchange, keepAlive: boolean): void {
    if (this.#exchange !== exchange) return
    if (keepAlive && !exchange.body.ended && !exchange.body.error) {
      // Promised only while somebody takes the rest of the request.
      exchange.body.onSettled(() => this.finished(exchange, keepAlive))
      this.deadline = this.#server.sweeper.after(this.#server.limits.idleTimeout)
      return
    }
    this.#exchange = undefined
    if (!keepAlive || !exchange.body.ended || this.#server.draining) {
      exchange.body.fail(UNWANTED)
      exchange.body.discard()
      this.#linger()
      return
    }
    this.deadline = this.#server.sweeper.after(this.#server.limits.keepAliveTimeout)
    const rest = this.#rest
    if (rest === undefined) return
    this.#rest = undefined
    // Not within the call that ended the last exchange: a long pipeline must not become a deep stack.
    setImmediate(() => {
      if (this.socket.destroyed) return
      this.socket.resume()
      this.#onBytes(rest)
    })
  }

  /** For the exchange: the connection changes hands, with the bytes read too far. */
  detach(): Buffer | undefined {
    const rest = this.#rest
    this.#rest = undefined
    this.#exchange = undefined
    this.deadline = Infinity
    this.socket.removeListener('data', this.#onBytes)
    this.socket.removeAllListeners('end')
    this.socket.removeAllListeners('drain')
    return rest
  }

  /** The client waits for bytes that we cannot send: it must take some before the deadline. */
  stalled(): void {
    this.deadline = this.#server.sweeper.after(this.#server.limits.idleTimeout)
  }

  readonly #onBytes = (buffer: Buffer): void => {
    if (this.#lingering) return
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, buffer])
      return
    }
    if (this.#exchange?.body.ended) {
      this.#hold(buffer, 0)
      return
    }
    let index = 0
    try {
      do {
        index = this.#reader.read(buffer, index)
        const exchange = this.#exchange
        if (exchange && !exchange.dispatched) this.#dispatch(exchange)
        // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the calls above may have set it
      } while (index < buffer.length && !this.#exchange && !this.#lingering)
    } catch (error) {
      this.#onReadError(error)
    }
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- as above
    if (this.#lingering) return
    if (index < buffer.length) this.#hold(buffer, index)
    else if (!this.#exchange && this.#reader.position === 'head') this.#awaitHead()
  }

  /** Its exchange has become patient. */
  waitForClient(): void {
    this.#awaitBody()
  }

  #awaitBody(): void {
    const { sweeper, limits } = this.#server
    const patient = this.#exchange?.patient === true
    this.deadline = patient ? Infinity : Math.min(sweeper.after(limits.idleTimeout), this.#rateDeadline)
  }

  #awaitHead(): void {
    const { sweeper, limits } = this.#server
    // Counted from the first byte: later ones do not extend it.
    this.deadline = Math.min(this.deadline, sweeper.after(limits.headTimeout))
  }

  #dispatch(exchange: ServerExchange): void {
    exchange.dispatched = true
    this.#server.onExchange(exchange)
  }

  #hold(buffer: Buffer, index: number): void {
    this.#rest = buffer.subarray(index)
    this.socket.pause()
  }

  #onReadError(error: unknown): void {
    if (!(error instanceof HttpError)) {
      this.socket.destroy()
      throw error
    }
    this.#server.onInvalid?.(error)
    const exchange = this.#exchange
    if (exchange?.dispatched) exchange.fail(error)
    else this.#refuse(error)
  }

  /** Answers what is not a request. */
  #refuse(error: HttpError): void {
    const { status, fields, body } = problemResponse({ status: error.status, detail: error.message })
    let text = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`
    for (const [name, value] of fields) text += `${name}: ${value}\r\n`
    text += `Content-Length: ${body.length}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n`
    this.#exchange = undefined
    this.socket.write(text + body.toString(), 'latin1')
    this.#linger()
  }

  /** Says goodbye, then reads and drops what still comes, so that the client gets to read our answer. */
  #linger(): void {
    if (this.#lingering) return
    this.#lingering = true
    this.#rest = undefined
    const { sweeper, limits } = this.#server
    // A slow client takes its time for what still waits to be sent; only then the goodbye is short.
    this.deadline = sweeper.after(limits.idleTimeout)
    this.socket.end(() => {
      this.deadline = sweeper.after(LINGER_MS)
    })
    this.socket.resume()
  }

  #onPeerEnd(): void {
    // Half-closed by the client: like every proxy we take it that nobody waits for an answer.
    if (this.#exchange) this.socket.destroy()
    else if (this.#reader.position === 'between' || this.#lingering) this.socket.end()
    else this.#refuse(new HttpError(400, 'The connection ended in the middle of a request'))
  }

  #onDrain(): void {
    const exchange = this.#exchange
    if (!exchange) return
    this.deadline = Infinity
    exchange.onRoom?.()
  }

  #onClose(): void {
    this.#server.sweeper.delete(this)
    this.#server.forget(this)
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.abort()
  }
}

/** One request of HTTP/1 and its answer. */
export class ServerExchange implements Exchange {
  readonly request: RequestHead
  readonly body: Body
  readonly connection: ServerConnection
  /** True once it was handed over. */
  dispatched = false
  /** True once an answer has begun. */
  responded = false
  /** Whether the client may be silent in the middle of its body. */
  patient = false
  aborted = false
  refused: number | undefined = undefined
  onAbort: (() => void) | undefined = undefined
  onDone: Exchange['onDone'] = undefined
  /** Called when the client takes bytes again. */
  onRoom: (() => void) | undefined = undefined
  #sent = 0
  readonly #server: ConnectionHost

  constructor(connection: ServerConnection, server: ConnectionHost, request: RequestHead, body: Body) {
    this.connection = connection
    this.#server = server
    this.request = request
    this.body = body
  }

  get client(): Client {
    return this.connection
  }

  waitForClient(): void {
    this.patient = true
    if (!this.body.ended) this.connection.waitForClient()
  }

  interim(status: number, reason: string, fields: string): void {
    if (this.aborted || this.responded || this.request.minor === 0) return
    this.connection.socket.write(`HTTP/1.1 ${status} ${reason}\r\n${fields}\r\n`, 'latin1')
  }

  respond(answer: Answer): void {
    if (this.aborted || this.responded) {
      answer.body?.discard()
      return
    }
    this.responded = true
    const { request, connection } = this
    const { status, body } = answer
    const bodiless = request.method === 'HEAD' || status === 204 || status === 304
    // A client that waits for 100 Continue may not send its body any more, and nobody could tell what comes instead.
    const toTheEnd = this.body.ended || (answer.takesRest === true && !request.expectContinue)
    let keepAlive = request.keepAlive && toTheEnd && !this.#server.draining
    let head = `HTTP/1.1 ${status} ${answer.reason ?? reasonOf(status)}\r\n${answer.fields}`
    let framing: BodyFraming = 'none'
    if (bodiless || !body) {
      if (status !== 204 && (answer.statedLength !== undefined || !bodiless)) {
        head += `Content-Length: ${answer.statedLength ?? 0}\r\n`
      }
    } else if (body.length !== undefined) {
      framing = 'length'
      head += `Content-Length: ${body.length}\r\n`
    } else if (request.minor === 1) {
      framing = 'chunked'
      head += 'Transfer-Encoding: chunked\r\n'
    } else {
      framing = 'length'
      keepAlive = false
    }
    if (!keepAlive) head += 'Connection: close\r\n'
    else if (request.minor === 0) head += 'Connection: keep-alive\r\n'
    const writer = new MessageWriter(connection.socket, head, framing)
    if (framing === 'none' || !body) {
      body?.discard()
      writer.end(undefined)
      this.#done(undefined)
      connection.finished(this, keepAlive)
      return
    }
    this.#stream(body, writer, keepAlive, answer.trailers)
  }

  respondWith(status: number, fields: readonly (readonly [string, string])[], data: Buffer): void {
    let text = ''
    for (const [name, value] of fields) text += `${name}: ${value}\r\n`
    this.respond({
      status,
      fields: `${text}Date: ${new Date().toUTCString()}\r\n`,
      body: Body.of(data),
      statedLength: data.length,
    })
  }

  switchTo(protocol: string, fields: string): { stream: Socket; early: Buffer | undefined } {
    this.responded = true
    const { socket } = this.connection
    const early = this.connection.detach()
    const head = `HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
    socket.write(head, 'latin1')
    if (this.onDone) {
      const before = socket.bytesWritten
      socket.once('close', () => {
        this.#sent = socket.bytesWritten - before
        this.#done(undefined)
      })
    }
    return { stream: socket, early }
  }

  /** The request has turned out not to be valid, or to be too slow, after it was handed over. */
  fail(error: HttpError): void {
    this.refused = error.status
    this.#giveUp(error)
    if (this.responded) {
      this.connection.destroy()
      return
    }
    const { status, fields, body } = problemResponse({ status: error.status, detail: error.message })
    this.respondWith(status, fields, body)
  }

  /** For the connection: the client has gone. */
  abort(): void {
    this.aborted = true
    const gone = new HttpError(400, 'The client has closed the connection')
    this.#giveUp(gone)
    this.#done(gone)
  }

  /** First whoever works on it, then the body: a body that breaks off must not look like a fault of an endpoint. */
  #giveUp(error: HttpError): void {
    this.onAbort?.()
    this.onAbort = undefined
    this.body.fail(error)
  }

  #done(error: Error | undefined): void {
    const { onDone } = this
    this.onDone = undefined
    onDone?.(this.#sent, error)
  }

  #stream(body: Body, writer: MessageWriter, keepAlive: boolean, trailers: Answer['trailers']): void {
    const { connection } = this
    const sink: BodySink = {
      write: (data) => {
        this.#sent += data.length
        const room = writer.data(data)
        if (!room) connection.stalled()
        return room
      },
      end: (received) => {
        this.onRoom = undefined
        this.onAbort = undefined
        writer.end(trailers?.(received))
        this.#done(undefined)
        connection.finished(this, keepAlive)
      },
      // The head is out: all that is left to tell the client is that this is not the whole of it.
      fail: (error) => {
        this.#done(error)
        connection.destroy()
      },
    }
    this.onRoom = () => body.resume()
    body.pipe(sink)
    // A slow stream must not keep its head from the client.
    if (!body.ended) writer.flush()
  }
}

function noop(): void {
  // nothing to do
}
