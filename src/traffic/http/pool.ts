import type { Clock, Timer } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import { rejected, UpstreamError, type RejectedError } from '../errors.js'
import type { Sweeper } from './sweeper.js'
import { openSocket, UpstreamConnection, type Address, type ConnectionOwner } from './upstream-connection.js'

/** What a pool needs. Times in ms. */
export interface PoolOptions {
  address: Address
  /** What errors and logs call the endpoint. */
  label: string
  clock: Clock
  sweeper: Sweeper
  /** Most connections, open and opening together. */
  maxConnections: number
  connectTimeout: number
  /** Longest silence of the endpoint while it owes bytes. */
  idleTimeout: number
  /** How long a connection may wait unused. */
  maxIdle: number
}

/** Somebody who waits for a connection. */
interface Waiter {
  resolve: (connection: UpstreamConnection) => void
  reject: (error: Error) => void
}

/**
 * The connections to one endpoint. The last one used is the next one used, so that the others can grow old and be
 * closed. At the maximum, callers wait in order.
 */
export class Pool implements ConnectionOwner {
  readonly #options: PoolOptions
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()
  readonly #waiting = new Set<Waiter>()
  #opening = 0
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /** Open connections. */
  get size(): number {
    return this.#all.size
  }

  /** Open connections without a request. */
  get idle(): number {
    return this.#idle.length
  }

  /** Callers waiting for a connection. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** A connection that is free now, if there is one. */
  take(): UpstreamConnection | undefined {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.usable) {
        connection.deadline = Infinity
        return connection
      }
    }
    return undefined
  }

  /**
   * Opens a connection, or waits for one at the maximum.
   *
   * @param onCancel - registers how to give up
   * @returns rejects with {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`, or with {@link RejectedError}
   *   `BANYAN_NO_ENDPOINT` once the pool is closed
   */
  connect(onCancel: (cancel: () => void) => void): Promise<UpstreamConnection> {
    if (this.#closed) return Promise.reject(this.#takenOut())
    if (this.#all.size + this.#opening < this.#options.maxConnections) return this.#open(onCancel)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject }
      this.#waiting.add(waiter)
      onCancel(() => {
        if (this.#waiting.delete(waiter)) reject(this.#gaveUp())
      })
    })
  }

  /** Closes idle connections now and the others after their exchange; sends away who still waits for one. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close()
    for (const waiter of this.#waiting) waiter.reject(this.#takenOut())
    this.#waiting.clear()
  }

  // The connections' news:

  onIdle(connection: UpstreamConnection): void {
    if (this.#closed) {
      connection.close()
      return
    }
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      waiter.resolve(connection)
      return
    }
    const { sweeper, maxIdle } = this.#options
    const hint = connection.keepAliveHint
    // A second less than the endpoint says, as it closes by its own clock while our request is on the way.
    connection.deadline = sweeper.after(
      hint === undefined ? maxIdle : Math.min(maxIdle, Math.max(0, hint - 1_500)),
    )
    this.#idle.push(connection)
  }

  onClosed(connection: UpstreamConnection): void {
    this.#all.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#serveWaiting()
  }

  #open(onCancel: (cancel: () => void) => void): Promise<UpstreamConnection> {
    const { address, label, clock, connectTimeout, sweeper, idleTimeout } = this.#options
    this.#opening++
    let timer: Timer | undefined
    const opened = openSocket(address, label, (cancel) => {
      timer = clock.schedule(clock.now() + connectTimeout, () =>
        cancel(`no connection within ${formatDuration(connectTimeout)}`),
      )
      onCancel(() => cancel('given up'))
    })
    return opened.then(
      (socket) => {
        timer?.cancel()
        this.#opening--
        const connection = new UpstreamConnection(socket, this, sweeper, idleTimeout, label)
        this.#all.add(connection)
        return connection
      },
      (error: unknown) => {
        timer?.cancel()
        this.#opening--
        this.#serveWaiting()
        throw error
      },
    )
  }

  /** A place has become free: opens a connection for the first who waits. */
  #serveWaiting(): void {
    if (this.#closed || this.#all.size + this.#opening >= this.#options.maxConnections) return
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      this.#open(() => undefined).then(waiter.resolve, waiter.reject)
      return
    }
  }

  #takenOut(): RejectedError {
    const { label } = this.#options
    return rejected('BANYAN_NO_ENDPOINT', `${label}: the endpoint was taken out`, label)
  }

  #gaveUp(): UpstreamError {
    return new UpstreamError(
      'BANYAN_UPSTREAM_CONNECT',
      `${this.#options.label}: gave up waiting for a connection`,
      false,
    )
  }
}
