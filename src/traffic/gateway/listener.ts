import type { AddressInfo } from 'node:net'
import type { Clock } from '../../core/clock.js'
import type { Exchange } from '../http/exchange.js'
import type { HttpLimits } from '../http/limits.js'
import { HttpServer } from '../http/server.js'

/** What a listener is opened with. */
export interface ListenerOptions {
  port: number
  host: string
  clock: Clock
  limits: Partial<HttpLimits>
  /** Gets every valid request. */
  serve: (exchange: Exchange) => void
  /** Whether requests have to wait for {@link Listener.release}. */
  held: boolean
}

/** An address where clients come in. */
export class Listener implements AddressInfo {
  readonly address: string
  readonly family: string
  readonly port: number
  readonly #server: HttpServer
  readonly #gate: Gate

  private constructor(server: HttpServer, gate: Gate, { address, family, port }: AddressInfo) {
    this.#server = server
    this.#gate = gate
    this.address = address
    this.family = family
    this.port = port
  }

  /**
   * Starts to listen.
   *
   * @throws Node's error if the address cannot be had
   */
  static async open({ port, host, clock, limits, serve, held }: ListenerOptions): Promise<Listener> {
    const gate = new Gate(serve, held)
    const server = new HttpServer({ clock, limits, onExchange: (exchange) => gate.pass(exchange) })
    return new Listener(server, gate, await server.listen(port, host))
  }

  /** Open client connections. */
  get connectionCount(): number {
    return this.#server.connectionCount
  }

  /** Lets in the requests that have come while it was held, and all others. */
  release(): void {
    this.#gate.open()
  }

  /** Takes no new connections, lets the exchanges in flight finish until `signal` is aborted, cuts the rest. */
  close(signal: AbortSignal = AbortSignal.abort()): Promise<void> {
    return this.#server.close(signal)
  }
}

/** Keeps the requests of a listener that is open but not in force yet. */
class Gate {
  pass: (exchange: Exchange) => void
  readonly #serve: (exchange: Exchange) => void
  readonly #waiting: Exchange[] = []

  constructor(serve: (exchange: Exchange) => void, held: boolean) {
    this.#serve = serve
    this.pass = held ? (exchange) => void this.#waiting.push(exchange) : serve
  }

  open(): void {
    this.pass = this.#serve
    for (const exchange of this.#waiting.splice(0)) if (!exchange.aborted) this.#serve(exchange)
  }
}
