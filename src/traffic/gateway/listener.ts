import type { AddressInfo } from 'node:net'
import type { Runtime } from '../../core/runtime.js'
import { EntranceKeeper, type PreparedEntrance } from '../http/entrance-keeper.js'
import type { Exchange } from '../http/exchange.js'
import { defaultHttpLimits, type HttpLimits } from '../http/limits.js'
import type { ListenerSpec } from '../http/listener-spec.js'
import { HttpServer } from '../http/server.js'
import { invalidCounter } from './telemetry/instruments.js'

/** What a listener is opened with. */
export interface ListenerOptions {
  port: number
  host: string
  /** What is spoken there. */
  spec: ListenerSpec
  runtime: Runtime
  /** Called when something else is spoken there. */
  onChange: () => void
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
  readonly #keeper: EntranceKeeper

  private constructor(
    server: HttpServer,
    gate: Gate,
    keeper: EntranceKeeper,
    { address, family, port }: AddressInfo,
  ) {
    this.#server = server
    this.#gate = gate
    this.#keeper = keeper
    this.address = address
    this.family = family
    this.port = port
  }

  /**
   * Starts to listen.
   *
   * @throws Node's error if the address cannot be had
   * @throws {@link BanyanError} `BANYAN_CERTIFICATE` if a certificate or key is missing or not valid
   */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { port, host, spec, runtime, onChange, limits, serve, held } = options
    const gate = new Gate(serve, held)
    const handshakeTimeout = limits.headTimeout ?? defaultHttpLimits.headTimeout
    const keeper = await EntranceKeeper.open(spec, { runtime, name: `${host}:${port}`, handshakeTimeout })
    const { clock } = runtime
    const onInvalid = invalidCounter(runtime.telemetry)
    const server = new HttpServer({ clock, limits, onExchange: (exchange) => gate.pass(exchange), onInvalid })
    keeper.start((entrance) => {
      server.entrance = entrance
      onChange()
    })
    try {
      return new Listener(server, gate, keeper, await server.listen(port, host))
    } catch (error) {
      keeper.close()
      throw error
    }
  }

  /** What is spoken there. */
  get spec(): ListenerSpec {
    return this.#keeper.spec
  }

  /** The versions of HTTP that clients can choose from, as ALPN calls them. */
  get protocols(): readonly string[] {
    const { tls, http2 = true, h2c = false } = this.spec
    if (tls) return http2 ? ['h2', 'http/1.1'] : ['http/1.1']
    return h2c ? ['h2c', 'http/1.1'] : ['http/1.1']
  }

  /**
   * Speaks something else to the clients that come from now on, or shows them other certificates; the files are read
   * again in any case. Connections that are open live on.
   *
   * @throws {@link BanyanError} as {@link Listener.open}; nothing has changed then
   */
  async update(spec: ListenerSpec): Promise<void> {
    const change = await this.prepare(spec)
    change.commit()
  }

  /**
   * Reads everything for an update without putting it into force, for those who change more than a listener together.
   * What is prepared and not committed can be forgotten.
   *
   * @throws {@link BanyanError} as {@link Listener.open}
   */
  prepare(spec: ListenerSpec): Promise<PreparedEntrance> {
    return this.#keeper.prepare(spec)
  }

  /** Open client connections. */
  get connectionCount(): number {
    return this.#server.connectionCount
  }

  /** Bounds on what clients may ask; the size of heads is bounded anew for new connections only. */
  set limits(limits: Partial<HttpLimits>) {
    this.#server.limits = { ...defaultHttpLimits, ...limits }
  }

  /** Lets in the requests that have come while it was held, and all others. */
  release(): void {
    this.#gate.open()
  }

  /** Takes no new connections, lets the exchanges in flight finish until `signal` is aborted, cuts the rest. */
  close(signal: AbortSignal = AbortSignal.abort()): Promise<void> {
    this.#keeper.close()
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
