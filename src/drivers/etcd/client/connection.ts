import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { Clock, Timer } from '../../../core/clock.js'
import { EtcdError, errorOf, reasonOf, Status, type CallFailure } from './fault.js'
import { frame, FrameReader, headersOf, statusOf } from './grpc.js'
import type { Method } from './methods.js'
import type { EtcdSettings } from './settings.js'

/** etcd ends connections that are asked more often than each 5 s whether they are alive, or while nothing is open. */
const ALIVE_EVERY_MS = 6000
const ALIVE_WITHIN_MS = 3000
/** How much may come before it is taken: a whole request of etcd, instead of 64 KiB. */
const WINDOW_BYTES = 2 * 1024 * 1024

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants

/** What goes along with calls. */
export type Metadata = Readonly<Record<string, string>>

/** What an open stream is told. */
export interface StreamEvents<Answer> {
  readonly answer: (answer: Answer) => void
  /** Once. */
  readonly end: (error: EtcdError) => void
}

/** One's own side of a stream. */
export interface Stream<Given> {
  send(message: Given): void
  /** The same for many, which go together. */
  sendAll(messages: readonly Given[]): void
  /** Ends it without a word to {@link StreamEvents}. */
  cancel(): void
}

/** One connection to one endpoint. It is made once; who needs another makes another {@link Connection}. */
export class Connection {
  readonly endpoint: string
  /** When anything was heard of the other side, on the clock. */
  heardAt: number
  readonly #clock: Clock
  readonly #session: ClientHttp2Session
  readonly #gone = new AbortController()
  #ready = false
  #open = 0
  #alive: Timer | undefined
  #failure: unknown

  /** Begins to connect. */
  constructor(endpoint: string, { tls }: EtcdSettings, clock: Clock) {
    this.endpoint = endpoint
    this.#clock = clock
    this.heardAt = clock.now()
    const { serverName: servername, ...certificates } = tls ?? {}
    this.#session = connect(`${tls ? 'https' : 'http'}://${endpoint}`, {
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      ...(tls && certificates),
      ...(servername !== undefined && { servername }),
    })
    this.#session.on('error', (error: unknown) => (this.#failure = error))
    this.#session.once('connect', () => this.#session.setLocalWindowSize(WINDOW_BYTES))
    // Its other side is there, and not only its system.
    this.#session.once('remoteSettings', () => {
      this.#ready = true
      this.heardAt = clock.now()
      this.#idle()
    })
    this.#session.once('goaway', () => (this.#ready = false))
    this.#session.once('close', () => {
      this.#ready = false
      this.#alive?.cancel()
    })
  }

  /** Aborted when it was given up: streams move to another. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get isReady(): boolean {
    return this.#ready
  }

  /**
   * Waits until it is connected.
   *
   * @throws EtcdError `unavailable` if that fails, or the signal aborts
   */
  connect(signal: AbortSignal): Promise<void> {
    const session = this.#session
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        session.off('remoteSettings', done)
        session.off('close', fail)
        signal.removeEventListener('abort', abort)
      }
      const done = (): void => {
        stop()
        resolve()
      }
      const failWith = (what: string): void => {
        stop()
        const cause = this.#failure
        const why = cause instanceof Error ? `: ${reasonOf(cause)}` : ''
        reject(new EtcdError('unavailable', `etcd at ${this.endpoint} ${what}${why}`, undefined, cause))
      }
      const fail = (): void => failWith('cannot be reached')
      const abort = (): void => failWith('does not answer')
      if (this.#ready) done()
      else if (session.destroyed) fail()
      else if (signal.aborted) abort()
      else {
        session.once('remoteSettings', done)
        session.once('close', fail)
        signal.addEventListener('abort', abort, { once: true })
      }
    })
  }

  /**
   * Asks once.
   *
   * @param timeout - ms
   * @throws EtcdError; the reason of the signal
   */
  ask<Given, Answer>(
    { path, changes, encode, decode }: Method<Given, Answer>,
    request: Given,
    metadata: Metadata,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const message = frame(encode(request))
    return new Promise((resolve, reject) => {
      let answer: Answer | undefined
      const stream = this.#request(path, metadata, {
        message: (bytes) => (answer = decode(bytes)),
        end: (failure) => {
          stop()
          if (failure.code === 0 && answer !== undefined) resolve(answer)
          else reject(errorOf(failure, changes, this.endpoint))
        },
      })
      const stop = (): void => {
        timer.cancel()
        signal?.removeEventListener('abort', abort)
      }
      // Whoever waits is told at once: on a connection that is dead, a stream may not end.
      const giveUp = (reason: unknown): void => {
        stop()
        reject(reason)
        stream?.close(NGHTTP2_CANCEL)
      }
      const abort = (): void => giveUp(signal?.reason)
      // If this process was held up, the answer may be here and only not read.
      const timer = this.#clock.schedule(this.#clock.now() + timeout, () =>
        setImmediate(() => giveUp(new NoAnswerError(changes, this.endpoint, timeout))),
      )
      signal?.addEventListener('abort', abort, { once: true })
      stream?.end(message)
    })
  }

  /** Opens a stream; it ends with the connection. */
  open<Given, Answer>(
    { path, encode, decode }: Method<Given, Answer>,
    metadata: Metadata,
    events: StreamEvents<Answer>,
  ): Stream<Given> {
    let over = false
    const stop = (): void => {
      over = true
      this.gone.removeEventListener('abort', leave)
      stream?.close(NGHTTP2_CANCEL)
    }
    const end = (failure: CallFailure): void => {
      if (over) return
      stop()
      events.end(errorOf(failure, false, this.endpoint))
    }
    const leave = (): void => end({ code: Status.cancelled, details: 'another connection is used' })
    const stream = this.#request(path, metadata, {
      message: (bytes) => {
        if (!over) events.answer(decode(bytes))
      },
      end,
    })
    this.gone.addEventListener('abort', leave, { once: true })
    return {
      send: (message) => void stream?.write(frame(encode(message))),
      sendAll: (messages) =>
        void stream?.write(Buffer.concat(messages.map((message) => frame(encode(message))))),
      cancel: stop,
    }
  }

  /** Gives it up: no more calls are made on it, those that were are left to end. */
  close(): void {
    this.#leave()
    this.#session.close()
    // One that is not connected yet would go on trying.
    if (this.#open === 0) this.#session.destroy()
  }

  /** Gives it up at once, with all calls that wait for an answer. */
  abandon(): void {
    this.#leave()
    this.#session.destroy()
  }

  #leave(): void {
    this.#ready = false
    if (!this.#gone.signal.aborted) this.#gone.abort()
  }

  /**
   * Begins a call.
   *
   * @returns undefined if it could not be begun; then its end is told later
   */
  #request(
    path: string,
    metadata: Metadata,
    events: { message(bytes: Buffer): void; end(failure: CallFailure): void },
  ): ClientHttp2Stream | undefined {
    let stream: ClientHttp2Stream
    try {
      stream = this.#session.request(headersOf(path, metadata), { endStream: false })
    } catch (error) {
      // Nothing was sent.
      const details = 'the connection was closed before'
      queueMicrotask(() => events.end({ code: Status.unavailable, details, begun: false, cause: error }))
      return undefined
    }
    const reader = new FrameReader()
    let failure: CallFailure | undefined
    let status: CallFailure | undefined
    let over = false
    const end = (): void => {
      if (over) return
      over = true
      this.#closed()
      events.end(failure ?? status ?? lost(stream))
    }
    this.#opened()
    const headers = (received: IncomingHttpHeaders): void => {
      this.heardAt = this.#clock.now()
      status = statusOf(received) ?? status
    }
    stream.on('response', headers)
    stream.on('trailers', headers)
    stream.on('data', (piece: Buffer) => {
      this.heardAt = this.#clock.now()
      try {
        for (const message of reader.take(piece)) events.message(message)
      } catch (error) {
        failure = {
          code: Status.internal,
          details: `an answer cannot be read: ${String(error)}`,
          cause: error,
        }
        stream.close(NGHTTP2_CANCEL)
      }
    })
    stream.on('error', (error) => {
      failure ??= { ...lost(stream), cause: error }
    })
    // With a status all is there; without one the end is not known before the stream is closed.
    stream.on('end', () => {
      if (status) end()
    })
    stream.on('close', end)
    return stream
  }

  #opened(): void {
    this.#open++
    if (this.#open > 1) return
    this.#session.ref()
    this.#keepAlive()
  }

  #closed(): void {
    this.#open--
    if (this.#open > 0) return
    this.#alive?.cancel()
    this.#alive = undefined
    this.#idle()
  }

  /** A connection that nobody uses does not keep a process alive. */
  #idle(): void {
    if (this.#open === 0 && !this.#session.destroyed) this.#session.unref()
  }

  /** Asks now and then whether the other side is there, while something is open. */
  #keepAlive(): void {
    this.#later(ALIVE_EVERY_MS, () => {
      const asked = this.#clock.now()
      this.#session.ping((error) => {
        if (!error) this.heardAt = this.#clock.now()
      })
      this.#later(ALIVE_WITHIN_MS, () => {
        if (this.heardAt < asked) this.#session.destroy(new Error('nothing was heard of it'))
        else this.#keepAlive()
      })
    })
  }

  #later(ms: number, then: () => void): void {
    this.#alive = this.#clock.schedule(this.#clock.now() + ms, () => {
      if (!this.#session.destroyed) then()
    })
  }
}

/** A stream that has no status. */
function lost(stream: ClientHttp2Stream): CallFailure {
  // Said of streams that the other side has not looked at.
  const begun = stream.rstCode !== NGHTTP2_REFUSED_STREAM
  return { code: Status.unavailable, details: 'the connection was lost', begun }
}

/** Nothing was heard of a call in time. */
export class NoAnswerError extends EtcdError {
  constructor(changes: boolean, endpoint: string, timeout: number) {
    super(
      changes ? 'unknown' : 'unavailable',
      `etcd at ${endpoint} has not answered within ${Math.round(timeout)} ms`,
    )
  }
}
