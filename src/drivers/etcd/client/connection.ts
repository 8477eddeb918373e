import type * as Grpc from '@grpc/grpc-js'
import type { Clock } from '../../../core/clock.js'
import { EtcdError, errorOf, type CallFailure } from './fault.js'
import type { Method } from './methods.js'
import type { EtcdSettings } from './settings.js'

/** The package, loaded by whoever opens a client. */
export type GrpcPackage = typeof Grpc

/** etcd ends connections that are asked more often than each 5 s whether they are alive. */
const ALIVE_EVERY_MS = 6000
const ALIVE_WITHIN_MS = 3000
/** Pages of keys and events may be larger than the 4 MB of gRPC; who asks says how many. */
const UNLIMITED = -1

/** What an open stream is told. */
export interface StreamEvents<Answer> {
  answer(answer: Answer): void
  /** Once. */
  end(error: EtcdError): void
}

/** One's own side of a stream. */
export interface Stream<Given> {
  send(message: Given): void
  /** Ends it without a word to {@link StreamEvents}. */
  cancel(): void
}

/** One connection to one endpoint. It is made once; who needs another makes another {@link Connection}. */
export class Connection {
  readonly endpoint: string
  /** When anything was heard of the other side, on the clock. */
  heardAt: number
  readonly #grpc: GrpcPackage
  readonly #client: Grpc.Client
  readonly #clock: Clock
  readonly #gone = new AbortController()

  constructor(grpc: GrpcPackage, endpoint: string, settings: EtcdSettings, clock: Clock) {
    this.endpoint = endpoint
    this.#grpc = grpc
    this.#clock = clock
    this.heardAt = clock.now()
    const { tls } = settings
    const credentials = tls
      ? grpc.credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null)
      : grpc.credentials.createInsecure()
    this.#client = new grpc.Client(endpoint, credentials, {
      // What failed is judged here, and the library must not share a connection that was given up.
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.keepalive_time_ms': ALIVE_EVERY_MS,
      'grpc.keepalive_timeout_ms': ALIVE_WITHIN_MS,
      'grpc.max_receive_message_length': UNLIMITED,
      ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    })
  }

  /** Aborted when it was given up: streams move to another, calls are left to end. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  get isReady(): boolean {
    return !this.#gone.signal.aborted && this.#state() === this.#grpc.connectivityState.READY
  }

  /**
   * Connects.
   *
   * @throws EtcdError `unavailable` if that fails, or the signal aborts
   */
  connect(signal: AbortSignal): Promise<void> {
    const { READY, TRANSIENT_FAILURE, SHUTDOWN } = this.#grpc.connectivityState
    const channel = this.#client.getChannel()
    return new Promise((resolve, reject) => {
      const fail = (what: string): void => {
        signal.removeEventListener('abort', abort)
        reject(new EtcdError('unavailable', `etcd at ${this.endpoint} ${what}`))
      }
      const abort = (): void => fail('does not answer')
      const look = (): void => {
        if (signal.aborted) {
          abort()
          return
        }
        const state = this.#state()
        if (state === READY) {
          signal.removeEventListener('abort', abort)
          this.heardAt = this.#clock.now()
          resolve()
        } else if (state === TRANSIENT_FAILURE || state === SHUTDOWN) fail('cannot be reached')
        else channel.watchConnectivityState(state, Infinity, look)
      }
      signal.addEventListener('abort', abort, { once: true })
      look()
    })
  }

  #state(): Grpc.connectivityState {
    return this.#client.getChannel().getConnectivityState(true)
  }

  /**
   * Asks once.
   *
   * @param headers - metadata of the call
   * @param timeout - ms
   * @throws EtcdError; the reason of the signal
   */
  ask<Given, Answer>(
    { path, changes, encode, decode }: Method<Given, Answer>,
    request: Given,
    headers: Grpc.Metadata,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let overdue = false
      const call = this.#client.makeUnaryRequest(path, encode, decode, request, headers, (error, answer) => {
        timer.cancel()
        signal?.removeEventListener('abort', abort)
        if (!error) {
          this.heardAt = this.#clock.now()
          resolve(answer!)
        } else if (signal?.aborted) reject(signal.reason)
        else if (overdue) reject(new NoAnswerError(changes, this.endpoint, timeout))
        else reject(errorOf(error, changes, this.endpoint))
      })
      const abort = (): void => call.cancel()
      const timer = this.#clock.schedule(this.#clock.now() + timeout, () =>
        // If this process was held up, the answer may be here and only not read.
        setImmediate(() => {
          overdue = true
          call.cancel()
        }),
      )
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** Opens a stream; it ends with the connection. */
  open<Given, Answer>(
    { path, encode, decode }: Method<Given, Answer>,
    headers: Grpc.Metadata,
    events: StreamEvents<Answer>,
  ): Stream<Given> {
    const call = this.#client.makeBidiStreamRequest(path, encode, decode, headers)
    let over = false
    const stop = (): void => {
      over = true
      this.gone.removeEventListener('abort', leave)
      call.cancel()
    }
    const end = (failure: CallFailure): void => {
      if (over) return
      stop()
      events.end(errorOf(failure, false, this.endpoint))
    }
    const leave = (): void => end({ code: 1, details: 'another connection is used' })
    call.on('data', (answer: Answer) => {
      this.heardAt = this.#clock.now()
      if (!over) events.answer(answer)
    })
    call.on('error', (error: CallFailure) => end(error))
    call.on('end', () => end({ code: 14, details: 'the stream has ended' }))
    this.gone.addEventListener('abort', leave, { once: true })
    return { send: (message) => void call.write(message), cancel: stop }
  }

  /** Gives it up: no more calls are made on it. */
  close(): void {
    if (this.#gone.signal.aborted) return
    this.#gone.abort()
    this.#client.close()
  }
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
