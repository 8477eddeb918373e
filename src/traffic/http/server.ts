import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Clock } from '../../core/clock.js'
import type { HttpError } from './http-error.js'
import { defaultHttpLimits, type HttpLimits } from './limits.js'
import type { Entrance } from './entrance.js'
import type { Exchange } from './exchange.js'
import { ServerConnection, type Connection, type ConnectionHost } from './server-connection.js'
import { Sweeper } from './sweeper.js'

/** How many connections are looked at for an idle one: accepting must stay cheap in a flood. */
const IDLE_SEARCH = 100

/** What a server needs. */
export interface HttpServerOptions {
  clock: Clock
  /** Default {@link defaultHttpLimits}. */
  limits?: Partial<HttpLimits>
  /** Gets every valid request as soon as its head is there. Must lead to an answer. */
  onExchange: (exchange: Exchange) => void
  /** Observes requests that were refused because they are not valid. */
  onInvalid?: (error: HttpError) => void
}

/** Accepts connections and reads requests from them, one at a time on each. Knows no routes and no policies. */
export class HttpServer implements ConnectionHost {
  /** May be set anew at any time; what a connection reads heads by is what held when it was accepted. */
  limits: HttpLimits
  readonly sweeper: Sweeper
  readonly onExchange: (exchange: Exchange) => void
  readonly onInvalid: ((error: HttpError) => void) | undefined
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  /** Sockets on which it is not clear yet what is spoken. */
  readonly #entering = new Set<Socket>()
  /** What new sockets pass first; without it HTTP/1 is spoken at once. */
  #entrance: Entrance | undefined = undefined
  #draining = false
  #onDrained: (() => void) | undefined = undefined
  #closed: Promise<void> | undefined = undefined

  constructor(options: HttpServerOptions) {
    this.limits = { ...defaultHttpLimits, ...options.limits }
    this.sweeper = new Sweeper(options.clock)
    this.onExchange = options.onExchange
    this.onInvalid = options.onInvalid
    this.#server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) =>
      this.#accept(socket),
    )
  }

  /** True once the server takes no new connections: answers then close theirs. */
  get draining(): boolean {
    return this.#draining
  }

  /** Open client connections. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Lets the sockets that come from now on pass something else; those that are open do not notice. */
  set entrance(entrance: Entrance | undefined) {
    this.#entrance = entrance
  }

  /** Where it listens, once it does. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo
  }

  /** Starts to listen. Rejects with Node's error (`EADDRINUSE`, `EACCES`) if it cannot. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ port, host, backlog: 4096 }, () => {
        this.#server.off('error', reject)
        resolve(this.address)
      })
    })
  }

  /**
   * Stops: no new connections, idle ones are closed, exchanges in flight may finish until `signal` says otherwise.
   * Resolves when no connection is left.
   */
  async close(signal: AbortSignal): Promise<void> {
    // Once, however often it is asked for: a later caller may only be less patient.
    this.#closed ??= this.#drain()
    const cut = (): void => {
      for (const connection of this.#connections) connection.destroy()
    }
    signal.addEventListener('abort', cut, { once: true })
    if (signal.aborted) cut()
    await this.#closed
    signal.removeEventListener('abort', cut)
  }

  /** For connections: one has closed. */
  forget(connection: Connection): void {
    this.#connections.delete(connection)
    if (this.#connections.size === 0) this.#onDrained?.()
  }

  async #drain(): Promise<void> {
    this.#draining = true
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
    for (const socket of this.#entering) socket.destroy()
    for (const connection of this.#connections) connection.closeWhenIdle()
    if (this.#connections.size > 0) await drained
    await closed
  }

  #accept(socket: Socket): void {
    const full = this.#connections.size + this.#entering.size >= this.limits.connections
    if (this.#draining || (full && !this.#makeRoom())) {
      socket.destroy()
      return
    }
    if (!this.#entrance) {
      this.#connections.add(new ServerConnection(this, socket))
      return
    }
    this.#entering.add(socket)
    socket.once('close', () => this.#entering.delete(socket))
    this.#entrance(socket, this, (connection) => {
      this.#entering.delete(socket)
      this.#connections.add(connection)
    })
  }

  /** Closes one connection that waits for a request, if there is one among those that were opened first. */
  #makeRoom(): boolean {
    let looked = 0
    for (const connection of this.#connections) {
      if (connection.idle) {
        connection.destroy()
        this.#connections.delete(connection)
        return true
      }
      if (++looked === IDLE_SEARCH) return false
    }
    return false
  }
}
