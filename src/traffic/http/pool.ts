import type { Clock } from '../../core/clock.js'
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
  reject: (error: unknown) => void
}

/** A connection that is being opened. */
interface Opening {
  cancel: (why: string) => void
}

/**
 * The connections to one endpoint. The last one used is the next one used, so that the others can grow old and be
 * closed. Callers who find none free wait in order for whichever comes first, one that becomes free or one opened for
 * them, as in Go's `http.Transport`: a burst does not have to wait for as many handshakes.
 */
export class Pool implements ConnectionOwner {
  readonly #options: PoolOptions
  readonly #idle: UpstreamConnection[] = []
  readonly #all = new Set<UpstreamConnection>()
  readonly #waiting = new Set<Waiter>()
  readonly #opening = new Set<Opening>()
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
   * Waits for a connection, and opens one more unless there are as many as allowed.
   *
   * @param onCancel - registers how to give up
   * @returns rejects with {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`, or with {@link RejectedError}
   *   `BANYAN_NO_ENDPOINT` once the pool is closed
   */
  connect(onCancel: (cancel: () => void) => void): Promise<UpstreamConnection> {
    if (this.#closed) return Promise.reject(this.#takenOut())
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject }
      this.#waiting.add(waiter)
      onCancel(() => {
        if (this.#waiting.delete(waiter)) reject(this.#gaveUp())
      })
      this.#openForWaiting()
    })
  }

  /** Closes idle connections now and the others after their exchange; sends away who still waits for one. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.close()
    for (const waiter of this.#waiting) waiter.reject(this.#takenOut())
    this.#waiting.clear()
    for (const opening of this.#opening) opening.cancel('the endpoint was taken out')
  }

  // The connections' news:

  onIdle(connection: UpstreamConnection): void {
    if (this.#closed) {
      connection.close()
      return
    }
    const waiter = this.#nextWaiting()
    if (waiter) {
      waiter.resolve(connection)
      return
    }
    const { sweeper, maxIdle } = this.#options
    const hint = connection.keepAliveHint
    // A second less than the endpoint says, as it closes by its own clock while our request is on the way.
    connection.deadline = sweeper.after(
      hint === undefined ? maxIdle : Math.min(maxIdle, Math.max(0, hint - 1_500)),
    )
    connection.rested = true
    this.#idle.push(connection)
  }

  onClosed(connection: UpstreamConnection): void {
    this.#all.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#openForWaiting()
  }

  /** Opens connections until there is one under way for everybody who waits, or as many as allowed. */
  #openForWaiting(): void {
    const { maxConnections } = this.#options
    while (
      !this.#closed &&
      this.#opening.size < this.#waiting.size &&
      this.#all.size + this.#opening.size < maxConnections
    ) {
      this.#open()
    }
  }

  #open(): void {
    const { address, label, clock, connectTimeout, sweeper, idleTimeout } = this.#options
    const opening: Opening = { cancel: noop }
    this.#opening.add(opening)
    const opened = openSocket(address, label, (cancel) => {
      opening.cancel = cancel
    })
    const timer = clock.schedule(clock.now() + connectTimeout, () =>
      opening.cancel(`no connection within ${formatDuration(connectTimeout)}`),
    )
    const over = (): void => {
      timer.cancel()
      this.#opening.delete(opening)
    }
    opened.then(
      (socket) => {
        over()
        const connection = new UpstreamConnection(socket, this, sweeper, idleTimeout, label)
        this.#all.add(connection)
        this.onIdle(connection)
      },
      (error: unknown) => {
        over()
        this.#nextWaiting()?.reject(error)
        this.#openForWaiting()
      },
    )
  }

  #nextWaiting(): Waiter | undefined {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      return waiter
    }
    return undefined
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

function noop(): void {
  // nothing to do
}
