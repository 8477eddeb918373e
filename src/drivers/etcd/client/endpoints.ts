import { backoffWait, type Growth } from '../../../core/backoff.js'
import { sleep } from '../../../core/clock.js'
import type { Maybe } from '../../../core/maybe.js'
import { Connection } from './connection.js'
import { EtcdError, reasonOf } from './fault.js'
import type { EtcdSettings, Surroundings } from './settings.js'

/** How long one endpoint may take to connect before the next one is tried. */
const CONNECT_WITHIN_MS = 2000
/** Between two rounds through all endpoints. */
const ROUNDS: Growth = { base: 25, factor: 2, max: 1000 }

/**
 * The connection that all calls take. When it breaks, or was given up, the next endpoint that can be reached takes its
 * place; the first one is drawn, so that many clients do not all take the same.
 */
export class Endpoints {
  readonly #settings: EtcdSettings
  readonly #runtime: Surroundings
  readonly #closing = new AbortController()
  #current: Connection | undefined
  #connecting: Promise<Connection> | undefined
  #waiting = 0
  #next: number
  #lastError: unknown

  constructor(settings: EtcdSettings, runtime: Surroundings) {
    this.#settings = settings
    this.#runtime = runtime
    this.#next = Math.floor(runtime.random.next() * settings.endpoints.length)
  }

  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** For messages. */
  get place(): string {
    return this.#settings.endpoints.join()
  }

  get count(): number {
    return this.#settings.endpoints.length
  }

  /**
   * A connection that is up.
   *
   * @param timeout - ms
   * @throws EtcdError `unavailable` if there is none in time; the reason of the signal
   */
  connection(timeout: number, signal?: AbortSignal): Maybe<Connection> {
    if (this.#current?.isReady) return this.#current
    return this.#wait(timeout, signal)
  }

  /** Says that another endpoint may be better. */
  leave(connection: Connection): void {
    if (this.count === 1) return
    connection.close()
    if (this.#current === connection) this.#current = undefined
  }

  /** Says that nothing is heard on a connection. */
  abandon(connection: Connection): void {
    connection.abandon()
    if (this.#current === connection) this.#current = undefined
  }

  close(): void {
    this.#closing.abort()
    this.#current?.close()
  }

  /** Why the last try failed, to append to a message. */
  get #why(): string {
    if (!(this.#lastError instanceof Error)) return ''
    const { cause } = this.#lastError
    // Without an error of the socket: which endpoint does not answer.
    return `: ${reasonOf(cause instanceof Error ? cause : this.#lastError)}`
  }

  async #wait(timeout: number, signal: AbortSignal | undefined): Promise<Connection> {
    signal?.throwIfAborted()
    this.#waiting++
    let stop: (() => void) | undefined
    const stopped = new Promise<never>((_, reject) => {
      const abort = (): void => reject(signal?.reason)
      const timer = this.#runtime.clock.schedule(this.#runtime.clock.now() + timeout, () =>
        reject(
          new EtcdError(
            'unavailable',
            `etcd at ${this.place} cannot be reached within ${Math.round(timeout)} ms${this.#why}`,
            undefined,
            this.#lastError,
          ),
        ),
      )
      signal?.addEventListener('abort', abort, { once: true })
      stop = () => {
        timer.cancel()
        signal?.removeEventListener('abort', abort)
      }
    })
    try {
      this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined))
      return await Promise.race([this.#connecting, stopped])
    } finally {
      stop?.()
      this.#waiting--
    }
  }

  /** Goes round until somebody answers, or nobody waits any more. */
  async #connect(): Promise<Connection> {
    // The endpoint that was lost may be there again at once; with more of them it is the last to be asked.
    this.#current?.close()
    this.#current = undefined
    this.#lastError = undefined
    const { endpoints } = this.#settings
    for (let failures = 0; !this.closing.aborted && (failures === 0 || this.#waiting > 0);) {
      const endpoint = endpoints[this.#next % endpoints.length]!
      this.#next = (this.#next + 1) % endpoints.length
      const connection = new Connection(endpoint, this.#settings, this.#runtime.clock)
      try {
        await this.#within(CONNECT_WITHIN_MS, (signal) => connection.connect(signal))
        this.#current = connection
        return connection
      } catch (error) {
        this.#lastError = error
        connection.close()
      }
      failures++
      if (failures % endpoints.length === 0) {
        const { clock, random } = this.#runtime
        const wait = backoffWait(ROUNDS, failures / endpoints.length, 'equal', random)
        await sleep(clock, wait, this.closing).catch(() => undefined)
      }
    }
    throw new EtcdError(
      'unavailable',
      `etcd at ${this.place} cannot be reached${this.#why}`,
      undefined,
      this.#lastError,
    )
  }

  async #within<Result>(ms: number, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const over = new AbortController()
    const { clock } = this.#runtime
    const timer = clock.schedule(clock.now() + ms, () => over.abort())
    const close = (): void => over.abort()
    this.closing.addEventListener('abort', close, { once: true })
    try {
      return await work(over.signal)
    } finally {
      timer.cancel()
      this.closing.removeEventListener('abort', close)
    }
  }
}
