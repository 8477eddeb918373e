import type { Socket } from 'node:net'
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
import type { AnswerReceiver, CloseReason, OutgoingRequest, UpstreamChannel } from './upstream/exchange.js'
import { MessageWriter } from './writer.js'

/** What a connection tells its owner, the pool. */
export interface ConnectionOwner {
  /** Free for the next request. */
  onIdle(connection: UpstreamConnection): void
  onClosed(connection: UpstreamConnection, reason: CloseReason): void
}

/** One connection to an endpoint: requests out, answers in, one at a time. */
export class UpstreamConnection implements UpstreamChannel, MessageSink, BodySource, Sweepable {
  readonly socket: Socket
  deadline = Infinity
  /** Exchanges completed on it. */
  uses = 0
  /** Whether it has waited unused. */
  rested = false
  /** ms that the endpoint says it keeps the connection when idle. */
  keepAliveHint: number | undefined = undefined
  /** When it is to be used no more, in ms on the scale of the clock. */
  retireAt = Infinity
  readonly #owner: ConnectionOwner
  readonly #sweeper: Sweeper
  /** Of the endpoint, and of the exchange under way. */
  readonly #usualIdleTimeout: number
  #idleTimeout: number
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
  /** The protocols offered to switch to. */
  #offered: string | undefined = undefined
  #paused = false
  #closed = false
  #reason: CloseReason | undefined = undefined
  /** Why it closes if nobody uses it until its deadline. */
  #expiry: CloseReason = 'idle'

  constructor(socket: Socket, owner: ConnectionOwner, sweeper: Sweeper, idleTimeout: number, label: string) {
    this.socket = socket
    this.#owner = owner
    this.#sweeper = sweeper
    this.#usualIdleTimeout = this.#idleTimeout = idleTimeout
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
    this.#offered = request.upgrade
    this.#answering = false
    this.#idleTimeout = request.idleTimeout ?? this.#usualIdleTimeout
    this.deadline = this.#sweeper.after(this.#idleTimeout)
    const { body, framing } = request
    const bodyFraming = framing.kind === 'close' ? 'none' : framing.kind
    const writer = new MessageWriter(this.socket, headText(request), bodyFraming)
    if (!body || bodyFraming === 'none') {
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
        if (this.#requestBody !== body) return
        this.#reason = 'aborted'
        this.#break('BANYAN_UPSTREAM_RESET', 'the request body broke off')
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
    this.close('aborted')
    body?.fail(new UpstreamError('BANYAN_UPSTREAM_RESET', `${this.#label}: the exchange was given up`, true))
  }

  giveBack(): void {
    this.#owner.onIdle(this)
  }

  /**
   * Waits unused.
   *
   * @param deadline - when to close, on the scale of the sweeper
   * @param expiry - why, then
   */
  rest(deadline: number, expiry: CloseReason): void {
    this.rested = true
    this.deadline = deadline
    this.#expiry = expiry
  }

  /** Closes an idle connection. */
  close(reason: CloseReason): void {
    this.#reason ??= reason
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
    this.#reason = 'upgrade'
    return socket
  }

  // The reader's events:

  onHead(raw: RawHead): Framing {
    const receiver = this.#receiver
    if (!receiver) throw new HttpError(502, 'The endpoint answers what was not asked')
    const head = responseHead(raw, this.#method)
    if (head.status === 101 && !isOffered(head.upgrade, this.#offered))
      throw new HttpError(502, 'The endpoint switches to a protocol that was not offered')
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
    else this.close(this.#expiry)
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
    if (index < buffer.length) {
      this.#reusable = false
      this.#reason ??= 'error'
    }
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
    else this.close('endpoint')
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
    this.#owner.onClosed(this, this.#reason ?? 'endpoint')
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
    this.close(receiver ? 'error' : 'endpoint')
    if (!receiver) return
    const error = new UpstreamError(code, `${this.#label}: ${what}`, true, { cause })
    if (handedOver) body?.fail(error)
    else receiver.onError(error)
  }
}

/** The head of a request as HTTP/1.1 writes it, without the closing empty line. */
function headText({ method, target, host, fields, framing, upgrade, trailers }: OutgoingRequest): string {
  let text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}`
  if (framing.kind === 'length') text += `Content-Length: ${framing.length}\r\n`
  else if (framing.kind === 'chunked') text += 'Transfer-Encoding: chunked\r\n'
  else if (BODIED.has(method)) text += 'Content-Length: 0\r\n'
  if (upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  else if (trailers) text += 'Connection: TE\r\nTE: trailers\r\n'
  return text
}

/** Methods whose requests are expected to say that they have no body. */
const BODIED = new Set(['POST', 'PUT', 'PATCH'])

/** Whether an endpoint may switch to the protocols it names: RFC 9110 7.8, no other than were offered. */
function isOffered(chosen: string | undefined, offered: string | undefined): boolean {
  if (chosen === undefined || offered === undefined) return false
  const offers = offered
    .toLowerCase()
    .split(',')
    .map((each) => each.trim())
  return chosen
    .toLowerCase()
    .split(',')
    .every((each) => offers.includes(each.trim()))
}

/** `Keep-Alive: timeout=5`, in ms. */
function keepAliveOf(fields: Fields): number | undefined {
  const match = /(?:^|[,; ])timeout=(\d{1,6})/i.exec(fields.get('keep-alive') ?? '')
  return match ? Number(match[1]) * 1000 : undefined
}
