import type { Runtime } from '../../core/runtime.js'
import type { Attributes } from '../../core/telemetry.js'
import { rejected, UpstreamError, type RejectedError } from '../errors.js'
import { Census, type PoolState } from './upstream/census.js'
import { Dialer, type DialerOptions, type Dialing } from './upstream/dialer.js'
import type { CloseReason, UpstreamChannel } from './upstream/exchange.js'
import { Http2Session, type SessionOwner } from './upstream/http2-session.js'
import { WaitingLine } from './upstream/waiting-line.js'
import { UpstreamConnection, type ConnectionOwner } from './upstream-connection.js'

/** What a pool needs. Times in ms. */
export interface PoolOptions extends Omit<DialerOptions, 'clock'> {
  /** What metrics call the endpoint. */
  attributes: Attributes
  runtime: Runtime
  /** Most connections, open and opening together; those that only finish what they have do not count. */
  maxConnections: number
  /** Most callers that wait for a connection; more are refused. */
  maxPending: number
  /** How old a connection may get; up to a fifth less by chance, so that not all go at once. `Infinity` for any age. */
  maxConnectionAge: number
  /** How many requests a connection may carry. */
  maxRequests: number
}

/** Share of the greatest age that chance takes off. */
const AGE_JITTER = 0.2

/**
 * The connections to one endpoint. The last one used is the next one used, so that the others can grow old and be
 * closed. Callers who find none free wait in order for whichever comes first, one that becomes free or one opened for
 * them, as in Go's `http.Transport`: a burst does not have to wait for as many handshakes.
 *
 * A connection of HTTP/2 takes many requests, so as many fewer are opened; with `auto` nobody knows before the first
 * one is open, and the others wait for that.
 */
export class Pool implements ConnectionOwner, SessionOwner {
  readonly #options: PoolOptions
  readonly #dialer: Dialer
  readonly #census: Census
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()
  /** Connections of HTTP/2, in the order they were opened. */
  readonly #sessions = new Set<Http2Session>()
  readonly #waiting = new WaitingLine()
  readonly #opening = new Set<Dialing>()
  /** How many requests at a time one more connection is expected to take. */
  #expected: number
  #closed = false

  constructor(options: PoolOptions) {
    const { protocol, runtime, attributes } = options
    this.#options = options
    this.#dialer = new Dialer({ ...options, clock: runtime.clock }, this)
    this.#census = new Census(this, runtime.telemetry, attributes)
    this.#expected = protocol === 'http1' ? 1 : Infinity
  }

  /** Open connections. */
  get size(): number {
    return this.#all.size + this.#sessions.size
  }

  /** Open connections without a request. */
  get idle(): number {
    let idle = this.#idle.length
    for (const { active } of this.#sessions) if (active === 0) idle++
    return idle
  }

  /** Callers waiting for a connection. */
  get waiting(): number {
    return this.#waiting.size
  }

  state(): PoolState {
    return this.#census.state()
  }

  /** A way to the endpoint that is free now, if there is one. */
  take(): UpstreamChannel | undefined {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.usable) {
        connection.deadline = Infinity
        return connection
      }
    }
    return this.#sessions.size > 0 ? this.#takeStream() : undefined
  }

  /**
   * Waits for a way to the endpoint, and opens one more connection unless there are as many as allowed.
   *
   * @param onCancel - registers how to give up
   * @returns rejects with {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`, or with {@link RejectedError}
   *   `BANYAN_POOL_FULL` if too many wait already, `BANYAN_NO_ENDPOINT` once the pool is closed
   */
  connect(onCancel: (cancel: () => void) => void): Promise<UpstreamChannel> {
    if (this.#closed) return Promise.reject(this.#takenOut())
    const { maxPending } = this.#options
    if (this.#waiting.size >= maxPending) {
      this.#census.refused()
      return Promise.reject(this.#full(maxPending))
    }
    const channel = this.#waiting.join(onCancel, () => this.#gaveUp())
    this.#openForWaiting()
    return channel
  }

  /** Closes idle connections now and the others after their exchanges; sends away who still waits for one. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close('shutdown')
    for (const session of this.#sessions) session.retire('shutdown')
    this.#waiting.sendAway(this.#takenOut())
    for (const dialing of this.#opening) dialing.cancel('the endpoint was taken out')
  }

  // The connections' news:

  onIdle(connection: UpstreamConnection): void {
    const { sweeper, maxIdle, maxRequests, runtime } = this.#options
    if (this.#closed) {
      connection.close('shutdown')
      return
    }
    if (connection.uses >= maxRequests) {
      connection.close('requests')
      return
    }
    const { retireAt } = connection
    const left = retireAt === Infinity ? Infinity : retireAt - runtime.clock.now()
    if (left <= 0) {
      connection.close('age')
      return
    }
    if (this.#waiting.serve(connection)) return
    const hint = connection.keepAliveHint
    // A second less than the endpoint says, as it closes by its own clock while our request is on the way.
    const rest = hint === undefined ? maxIdle : Math.min(maxIdle, Math.max(0, hint - 1_500))
    connection.rest(sweeper.after(Math.min(rest, left)), left < rest ? 'age' : 'idle')
    this.#idle.push(connection)
  }

  onRoom(session: Http2Session): void {
    while (this.#waiting.size > 0 && this.#fits(session)) this.#waiting.serve(session.reserve())
  }

  onRetired(): void {
    this.#openForWaiting()
  }

  onClosed(connection: UpstreamConnection | Http2Session, reason: CloseReason): void {
    if (connection instanceof Http2Session) {
      // Unknown if it never came to speak HTTP/2: then that is what has failed.
      if (!this.#sessions.delete(connection)) return
    } else {
      this.#all.delete(connection)
      const index = this.#idle.indexOf(connection)
      if (index >= 0) this.#idle.splice(index, 1)
    }
    this.#census.closed(reason)
    this.#openForWaiting()
  }

  /** A stream on the oldest connection that has room, so that later ones come to rest. */
  #takeStream(): UpstreamChannel | undefined {
    for (const session of this.#sessions) if (this.#fits(session)) return session.reserve()
    return undefined
  }

  /** Whether a connection takes one more request; retires it if it has done its share. */
  #fits(session: Http2Session): boolean {
    const { maxRequests, runtime } = this.#options
    if (session.room === 0) return false
    if (session.uses >= maxRequests) session.retire('requests')
    else if (session.retireAt !== Infinity && runtime.clock.now() >= session.retireAt) session.retire('age')
    else return true
    return false
  }

  /** Connections that will take more requests. */
  get #lasting(): number {
    let count = this.#all.size
    for (const { retired } of this.#sessions) if (!retired) count++
    return count
  }

  /** Opens connections until there is one under way for everybody who waits, or as many as allowed. */
  #openForWaiting(): void {
    const { maxConnections } = this.#options
    while (
      !this.#closed &&
      this.#waiting.size > 0 &&
      (this.#opening.size === 0 || this.#opening.size * this.#expected < this.#waiting.size) &&
      this.#lasting + this.#opening.size < maxConnections
    ) {
      this.#open()
    }
  }

  #open(): void {
    const dialing = this.#dialer.dial()
    this.#opening.add(dialing)
    dialing.connection.then(
      (connection) => {
        this.#opening.delete(dialing)
        this.#opened(connection)
      },
      (error: unknown) => {
        this.#opening.delete(dialing)
        this.#census.failed(error as Error)
        // Whoever it was opened for, so that nobody waits for as many attempts as there are others.
        this.#waiting.sendAway(error, this.#expected)
        this.#openForWaiting()
      },
    )
  }

  #opened(connection: UpstreamConnection | Http2Session): void {
    this.#census.opened()
    connection.retireAt = this.#retireAt()
    if (connection instanceof UpstreamConnection) {
      this.#expected = 1
      this.#all.add(connection)
      this.onIdle(connection)
    } else {
      this.#expected = connection.capacity
      this.#sessions.add(connection)
      if (this.#closed) connection.retire('shutdown')
      else this.onRoom(connection)
    }
    // What was known before may have been wrong.
    this.#openForWaiting()
  }

  #retireAt(): number {
    const { maxConnectionAge, runtime } = this.#options
    if (maxConnectionAge === Infinity) return Infinity
    return runtime.clock.now() + maxConnectionAge * (1 - AGE_JITTER * runtime.random.next())
  }

  #takenOut(): RejectedError {
    const { label } = this.#options
    return rejected('BANYAN_NO_ENDPOINT', `${label}: the endpoint was taken out`, label)
  }

  #full(most: number): RejectedError {
    const { label } = this.#options
    return rejected('BANYAN_POOL_FULL', `${label}: ${most} callers wait for a connection already`, label)
  }

  #gaveUp(): UpstreamError {
    return new UpstreamError(
      'BANYAN_UPSTREAM_CONNECT',
      `${this.#options.label}: gave up waiting for a connection`,
      false,
    )
  }
}
