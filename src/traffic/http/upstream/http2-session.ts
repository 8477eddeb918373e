import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../../core/clock.js'
import { UpstreamError } from '../../errors.js'
import type { Sweepable, Sweeper } from '../sweeper.js'
import type { CloseReason } from './exchange.js'
import { Http2Exchange, type ExchangeSession } from './http2-exchange.js'

/** Streams on one connection, also if the endpoint would take more. */
const MOST_STREAMS = 1000

/** How much of one answer may be on its way to us unread. At 1 ms of round trip this allows 1 GB/s, at 50 ms 20 MB/s. */
const STREAM_WINDOW = 1024 * 1024

/** The same for all answers of a connection. They are read as they come, so it bounds no memory. */
const CONNECTION_WINDOW = 16 * 1024 * 1024

/** How often a connection is looked at: so long may it be silent under work before we ask whether it lives, in ms. */
const LOOK_MS = 15_000

/** How long a ping may take, in ms. */
const PING_TIMEOUT_MS = 5_000

/**
 * In a silence that goes on we ask again after this, in ms. Servers of gRPC close the connection of who pings them more
 * than twice in five minutes without a word of theirs between.
 */
const PING_AGAIN_MS = 5 * 60_000 + 10_000

/** What a session tells its owner, the pool. */
export interface SessionOwner {
  /** There is room for an exchange. */
  onRoom(session: Http2Session): void
  /** It takes no more exchanges, and closes after those it has. */
  onRetired(session: Http2Session): void
  onClosed(session: Http2Session, reason: CloseReason): void
}

/** What a session needs. Times in ms. */
export interface SessionOptions {
  socket: Socket
  scheme: 'http' | 'https'
  /** Host and port of the endpoint, for requests that name none. */
  authority: string
  owner: SessionOwner
  clock: Clock
  sweeper: Sweeper
  /** What errors call the endpoint. */
  label: string
  /** Longest silence of the endpoint in an exchange. */
  idleTimeout: number
  /** How long it may stay open without an exchange. */
  maxIdle: number
}

/** One HTTP/2 connection to an endpoint: many exchanges at a time, each a stream. */
export class Http2Session implements ExchangeSession, Sweepable {
  deadline: number
  readonly scheme: 'http' | 'https'
  readonly sweeper: Sweeper
  readonly label: string
  readonly idleTimeout: number
  /** When it is to be used no more, in ms on the scale of the clock. */
  retireAt = Infinity
  /** Exchanges under way. */
  active = 0
  /** Exchanges begun on it. */
  uses = 0
  lastProcessed = Infinity
  readonly http2: ClientHttp2Session
  readonly #socket: Socket
  readonly #owner: SessionOwner
  readonly #clock: Clock
  readonly #maxIdle: number
  #reason: CloseReason | undefined = undefined
  /** Whether it only finishes the exchanges it has. */
  retired = false
  #restingSince: number
  /** Bytes received when it was last looked at. */
  #heard = 0
  /** When the last ping was sent in the present silence. */
  #pingedAt = -Infinity
  /** Runs while a ping is not answered. */
  #ping: Timer | undefined = undefined

  private constructor(options: SessionOptions) {
    const { socket, owner, clock, sweeper, label } = options
    this.scheme = options.scheme
    this.sweeper = sweeper
    this.label = label
    this.idleTimeout = options.idleTimeout
    this.#maxIdle = options.maxIdle
    this.#socket = socket
    this.#owner = owner
    this.#clock = clock
    this.#restingSince = clock.now()
    this.deadline = sweeper.after(Math.min(LOOK_MS, options.maxIdle))
    this.http2 = connectHttp2(`${options.scheme}://${options.authority}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      // MB: what is held for endpoints that read slowly is bounded by each exchange.
      maxSessionMemory: 64,
    })
    this.http2.on('goaway', (_code: number, lastStreamId: number) => {
      this.lastProcessed = lastStreamId
      this.retire('endpoint')
    })
    // What a session's error means is told to each of its streams.
    this.http2.on('error', () => (this.#reason ??= 'error'))
    this.http2.once('close', () => this.#onClose())
    this.http2.setLocalWindowSize(CONNECTION_WINDOW)
    sweeper.add(this)
  }

  /**
   * Begins to speak HTTP/2 on a connection.
   *
   * @param cancelled - gets the function that gives the attempt up
   * @returns once the endpoint has answered in HTTP/2; rejects with an {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`
   */
  static open(
    options: SessionOptions,
    cancelled: (cancel: (why: string) => void) => void,
  ): Promise<Http2Session> {
    return new Promise((resolve, reject) => {
      const session = new Http2Session(options)
      const fail = (why: string, cause?: unknown): void => {
        session.http2.destroy()
        const message = `${options.label}: cannot connect (${why})`
        reject(new UpstreamError('BANYAN_UPSTREAM_CONNECT', message, false, { cause }))
      }
      cancelled((why) => fail(why))
      session.http2.once('error', (error: Error) => fail(`no HTTP/2 there: ${error.message}`, error))
      session.http2.once('close', () => fail('the endpoint closed the connection'))
      session.http2.once('remoteSettings', () => resolve(session))
    })
  }

  /** How many more exchanges may begin now. */
  get room(): number {
    // A connection that may be dead gets no more work until we know.
    if (this.retired || this.#ping || this.http2.closed || this.http2.destroyed) return 0
    return Math.max(0, this.capacity - this.active)
  }

  /** How many exchanges may be under way at a time. */
  get capacity(): number {
    return Math.min(MOST_STREAMS, this.http2.remoteSettings.maxConcurrentStreams ?? MOST_STREAMS)
  }

  /** A place for one exchange. There must be room. */
  reserve(): Http2Exchange {
    this.active++
    return new Http2Exchange(this, this.uses++ > 0)
  }

  /** Takes no more exchanges, and closes after the last one. */
  retire(reason: CloseReason): void {
    if (this.retired) return
    this.retired = true
    this.#reason ??= reason
    if (this.active === 0) this.http2.close()
    this.#owner.onRetired(this)
  }

  // The exchanges' news:

  onOver(): void {
    this.active--
    if (this.active === 0) {
      this.#restingSince = this.#clock.now()
      if (this.retired) this.http2.close()
    }
    if (this.room > 0) this.#owner.onRoom(this)
  }

  get received(): number {
    return this.#socket.bytesRead
  }

  onGivenUp(since: number): void {
    if (this.received === since) this.#check()
  }

  // The sweeper's:

  expire(): void {
    this.deadline = this.sweeper.after(LOOK_MS)
    const now = this.#clock.now()
    if (now >= this.retireAt) this.retire('age')
    if (this.active === 0) {
      const left = this.#restingSince + this.#maxIdle - now
      if (left <= 0) this.retire('idle')
      else this.deadline = this.sweeper.after(Math.min(LOOK_MS, left))
      return
    }
    if (this.received === this.#heard) this.#check()
    else this.#listened()
  }

  /** The endpoint has said something: the silence is over. */
  #listened(): void {
    this.#heard = this.received
    this.#pingedAt = -Infinity
  }

  /** Asks whether the endpoint is still there, once in a silence. */
  #check(): void {
    const now = this.#clock.now()
    if (this.received !== this.#heard) this.#listened()
    if (this.#ping || this.http2.destroyed || now < this.#pingedAt + PING_AGAIN_MS) return
    this.#pingedAt = now
    const timer = this.#clock.schedule(now + PING_TIMEOUT_MS, () => {
      this.#ping = undefined
      this.http2.destroy(new Error('the endpoint does not answer a ping'))
    })
    this.#ping = timer
    this.http2.ping((error: Error | null) => {
      if (this.#ping !== timer) return
      timer.cancel()
      this.#ping = undefined
      if (error) return
      // The answer itself is no word of the endpoint on our exchanges.
      this.#heard = this.received
      if (this.room > 0) this.#owner.onRoom(this)
    })
  }

  #onClose(): void {
    this.#ping?.cancel()
    this.#ping = undefined
    this.sweeper.delete(this)
    this.#owner.onClosed(this, this.#reason ?? 'endpoint')
  }
}
