import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { UpstreamError, type UpstreamCode } from '../errors.js'
import { Body, type BodySink, type BodySource } from './body.js'
import type { Fields } from './fields.js'
import type { Framing } from './framing.js'
import type { RawHead } from './head-reader.js'
import { HttpError } from './http-error.js'
import { defaultHttpLimits } from './limits.js'
import { responseHead, type ResponseHead } from './message.js'
import { MessageReader, type MessageSink } from './message-reader.js'
import type { Sweepable, Sweeper } from './sweeper.js'
import { MessageWriter, type BodyFraming } from './writer.js'

/** Where an endpoint is. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly tls: boolean
}

/** A request as it goes out. */
export interface OutgoingRequest {
  readonly method: string
  /** Request line and fields as text, each line with its CRLF, framing included. */
  readonly head: string
  readonly framing: BodyFraming
  readonly body: Body | undefined
  /** Whether it asks to switch protocols; a 101 is an error otherwise. */
  readonly upgrade: boolean
}

/** Who waits for the answer. Gets `onHead` or `onError`, once, unless the exchange is aborted. */
export interface AnswerReceiver {
  /** An answer before the answer: 100, 103. */
  onInterim(head: ResponseHead): void
  /** The answer's head; the body follows by itself. For a 101 the connection is the receiver's from now on. */
  onHead(head: ResponseHead, body: Body): void
  onError(error: UpstreamError): void
}

/** What a connection tells its owner, the pool. */
export interface ConnectionOwner {
  /** Free for the next request. */
  onIdle(connection: UpstreamConnection): void
  onClosed(connection: UpstreamConnection): void
}

/** One connection to an endpoint: requests out, answers in, one at a time. */
export class UpstreamConnection implements MessageSink, BodySource, Sweepable {
  readonly socket: Socket
  deadline = Infinity
  /** Exchanges completed on it. */
  uses = 0
  /** Whether it has waited unused. */
  rested = false
  /** ms that the endpoint says it keeps the connection when idle. */
  keepAliveHint: number | undefined = undefined
  readonly #owner: ConnectionOwner
  readonly #sweeper: Sweeper
  readonly #idleTimeout: number
  readonly #reader: MessageReader
  readonly #label: string
  #receiver: AnswerReceiver | undefined = undefined
  #method = ''
  #body: Body | undefined = undefined
  #requestBody: Body | undefined = undefined
  #requestDone = true
  #reusable = true
  /** The head of the answer, until the bytes that came with it are in the body and both are handed over. */
  #head: ResponseHead | undefined = undefined
  #answering = false
  #interim = false
  /** The answer has come in full; the request may still be on its way out. */
  #complete = false
  #upgrade = false
  #paused = false
  #closed = false

  constructor(socket: Socket, owner: ConnectionOwner, sweeper: Sweeper, idleTimeout: number, label: string) {
    this.socket = socket
    this.#owner = owner
    this.#sweeper = sweeper
    this.#idleTimeout = idleTimeout
    this.#label = label
    this.#reader = new MessageReader('response', defaultHttpLimits, this)
    socket.on('data', this.#onBytes)
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#break('BANYAN_UPSTREAM_RESET', 'the connection broke', error))
    socket.on('close', () => this.#onClose())
    socket.on('drain', () => this.#requestBody?.resume())
    sweeper.add(this)
  }

  /** True while it can take a request. */
  get usable(): boolean {
    return (
      !this.#closed &&
      this.#receiver === undefined &&
      this.#requestDone &&
      this.#reusable &&
      !this.socket.destroyed
    )
  }

  /** Whether the endpoint may have closed it while a request was on its way. */
  get reused(): boolean {
    return this.rested || this.uses > 0
  }

  /** True if not one byte of an answer has come: a used connection that closes now was most likely closed before we sent. */
  get silent(): boolean {
    return !this.#answering && !this.#interim && this.#reader.position === 'between'
  }

  /** Sends a request. The connection must be usable. */
  send(request: OutgoingRequest, receiver: AnswerReceiver): void {
    this.#receiver = receiver
    this.#method = request.method
    this.#upgrade = request.upgrade
    this.#answering = false
    this.deadline = this.#sweeper.after(this.#idleTimeout)
    const writer = new MessageWriter(this.socket, request.head, request.framing)
    const { body } = request
    if (!body || request.framing === 'none') {
      this.#requestDone = true
      writer.end(undefined)
      return
    }
    this.#requestDone = false
    this.#requestBody = body
    const sink: BodySink = {
      write: (data) => {
        if (this.#requestBody !== body || this.#closed) return true
        this.deadline = this.#sweeper.after(this.#idleTimeout)
        return writer.data(data)
      },
      end: (trailers) => {
        if (this.#requestBody !== body) return
        this.#requestBody = undefined
        this.#requestDone = true
        writer.end(trailers)
        if (this.#complete) this.#release()
        else this.deadline = this.#sweeper.after(this.#idleTimeout)
      },
      fail: () => {
        // Half a request was sent and the rest will never come.
        if (this.#requestBody === body) this.#break('BANYAN_UPSTREAM_RESET', 'the request body broke off')
      },
    }
    body.pipe(sink)
    if (!body.ended && !this.#closed) writer.flush()
  }

  /** Gives the exchange of `receiver` up, if it is still under way: the endpoint is told by closing the connection. */
  abort(receiver: AnswerReceiver): void {
    if (this.#receiver !== receiver) return
    this.#receiver = undefined
    this.#requestBody = undefined
    const body = this.#body
    this.#body = undefined
    this.socket.destroy()
    body?.fail(new UpstreamError('BANYAN_UPSTREAM_RESET', `${this.#label}: the exchange was given up`, true))
  }

  /** Closes an idle connection. */
  close(): void {
    this.socket.destroy()
  }

  /** After a 101: takes the connection out of HTTP. */
  detach(): Socket {
    const { socket } = this
    socket.removeListener('data', this.#onBytes)
    socket.removeAllListeners('end')
    socket.removeAllListeners('drain')
    this.deadline = Infinity
    this.#receiver = undefined
    return socket
  }

  // The reader's events:

  onHead(raw: RawHead): Framing {
    const receiver = this.#receiver
    if (!receiver) throw new HttpError(502, 'The endpoint answers what was not asked')
    const head = responseHead(raw, this.#method)
    if (head.status === 101 && !this.#upgrade)
      throw new HttpError(502, 'The endpoint switches protocols unasked')
    this.#interim = head.status < 200 && head.status !== 101
    if (this.#interim) {
      receiver.onInterim(head)
      return head.framing
    }
    this.#answering = true
    this.#reusable = head.keepAlive && head.status !== 101
    if (this.uses === 0) this.keepAliveHint = keepAliveOf(head.fields)
    const { framing } = head
    const length = framing.kind === 'length' ? framing.length : framing.kind === 'none' ? 0 : undefined
    const body = new Body(length, this)
    this.#body = body
    this.deadline = this.#sweeper.after(this.#idleTimeout)
    this.#head = head
    return framing
  }

  onData(data: Buffer): void {
    this.deadline = this.#sweeper.after(this.#idleTimeout)
    this.#body?.push(data)
  }

  onEnd(trailers: Fields | undefined): void {
    // After a 101 there are no more messages; the bytes that follow are another protocol's.
    if (this.#interim || this.#head?.status === 101) return
    this.#complete = true
    // An answer that came in one piece is handed over complete: whoever gets it need not wait for its end.
    this.#body?.finish(trailers)
    this.#handOver()
    this.#body = undefined
    this.#receiver = undefined
    if (this.#paused) this.resume()
  }

  // The body's wishes:

  pause(): void {
    // Not the endpoint's fault while our client is slow.
    this.deadline = Infinity
    this.#paused = true
    this.socket.pause()
  }

  resume(): void {
    this.deadline = this.#sweeper.after(this.#idleTimeout)
    this.#paused = false
    this.socket.resume()
  }

  // The sweeper's:

  expire(): void {
    if (this.#receiver) this.#break('BANYAN_UPSTREAM_IDLE', 'the endpoint was silent for too long')
    else this.socket.destroy()
  }

  readonly #onBytes = (buffer: Buffer): void => {
    let index = 0
    try {
      while (index < buffer.length && this.#receiver) {
        index = this.#reader.read(buffer, index)
        if (this.#head?.status === 101) {
          this.#switch(buffer.subarray(index))
          return
        }
        this.#handOver()
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      this.#break('BANYAN_UPSTREAM_PROTOCOL', error.message, error)
      return
    }
    // Bytes nobody asked for would be taken for the answer to the next request.
    if (index < buffer.length) this.#reusable = false
    // An endpoint that answers early and keeps the connection takes the rest of the request (RFC 9112 9.3).
    if (index < buffer.length || (this.#complete && (this.#requestDone || !this.#reusable))) this.#release()
  }

  #handOver(): void {
    const head = this.#head
    if (!head) return
    this.#head = undefined
    this.#receiver?.onHead(head, this.#body!)
  }

  #switch(rest: Buffer): void {
    const head = this.#head!
    const receiver = this.#receiver
    this.#head = undefined
    this.detach()
    const body = Body.of(rest)
    receiver?.onHead(head, body)
  }

  /** The exchange is over: the connection is free, or of no more use. */
  #release(): void {
    const requestDone = this.#requestDone
    // The endpoint closes with its answer: the rest of the request is of no use to anybody.
    if (!requestDone) this.#requestBody?.discard()
    this.#requestBody = undefined
    this.#complete = this.#answering = false
    this.deadline = Infinity
    this.uses++
    if (this.#reusable && requestDone && !this.socket.destroyed) this.#owner.onIdle(this)
    else this.socket.destroy()
  }

  #onEnd(): void {
    if (this.#reader.close()) this.#release()
    else this.#break('BANYAN_UPSTREAM_RESET', 'the connection closed before the answer was complete')
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#sweeper.delete(this)
    this.#break('BANYAN_UPSTREAM_RESET', 'the connection closed before the answer was complete')
    this.#owner.onClosed(this)
  }

  /** Fails whatever is under way. */
  #break(code: UpstreamCode, what: string, cause?: unknown): void {
    const receiver = this.#receiver
    const body = this.#body
    const handedOver = this.#answering && this.#head === undefined
    // The answer was complete before its request: nobody will come for the rest.
    if (!receiver) this.#requestBody?.discard()
    this.#receiver = undefined
    this.#requestBody = undefined
    this.#body = undefined
    this.#head = undefined
    this.#reusable = false
    this.socket.destroy()
    if (!receiver) return
    const error = new UpstreamError(code, `${this.#label}: ${what}`, true, { cause })
    if (handedOver) body?.fail(error)
    else receiver.onError(error)
  }
}

/**
 * Opens a connection.
 *
 * @param label - what errors call the endpoint
 * @param cancelled - gets the function that gives the attempt up
 * @returns rejects with an {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`
 */
export function openSocket(
  address: Address,
  label: string,
  cancelled: (cancel: (why: string) => void) => void,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = address
    const socket: Socket = address.tls
      ? connectTls({ host, port, servername: host, ALPNProtocols: ['http/1.1'] })
      : connectTcp({
          host,
          port,
          noDelay: true,
          keepAlive: true,
          allowHalfOpen: true,
          onread: lend(() => socket),
        })
    let settled = false
    // Stays for good: a socket without a listener for its errors takes the process with it.
    const fail = (error: Error): void => {
      if (settled) return
      settled = true
      socket.destroy()
      const message = `${label}: cannot connect (${error.message})`
      reject(new UpstreamError('BANYAN_UPSTREAM_CONNECT', message, false, { cause: error }))
    }
    socket.on('error', fail)
    socket.once(address.tls ? 'secureConnect' : 'connect', () => {
      if (settled) return
      settled = true
      resolve(socket)
    })
    cancelled((why) => fail(new Error(why)))
  })
}

/** Where every plain connection reads into, one at a time: Node would allocate as much for each read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024)

/** Reads into the common buffer, and hands on as `data` a copy of just what was read. */
function lend(socket: () => Socket): OnReadOpts {
  return {
    buffer: READ_BUFFER,
    callback: (bytes, buffer) => {
      socket().emit('data', Buffer.from(buffer.subarray(0, bytes)))
      return true
    },
  }
}

/** `Keep-Alive: timeout=5`, in ms. */
function keepAliveOf(fields: Fields): number | undefined {
  const match = /(?:^|[,; ])timeout=(\d{1,6})/i.exec(fields.get('keep-alive') ?? '')
  return match ? Number(match[1]) * 1000 : undefined
}
