import { formatDuration } from '../../../core/duration.js'
import type { Clock } from '../../../core/clock.js'
import type { Sweeper } from '../sweeper.js'
import { UpstreamConnection, type ConnectionOwner } from '../upstream-connection.js'
import { Connector, type Address, type UpstreamProtocol } from './connector.js'
import { Http2Session, type SessionOwner } from './http2-session.js'
import type { UpstreamTls } from './tls.js'

/** What a dialer needs. Times in ms. */
export interface DialerOptions {
  address: Address
  protocol: UpstreamProtocol
  /** For an address with TLS. */
  tls: UpstreamTls | undefined
  /** What errors and logs call the endpoint. */
  label: string
  clock: Clock
  sweeper: Sweeper
  connectTimeout: number
  /** Longest silence of the endpoint while it owes bytes. */
  idleTimeout: number
  /** How long a connection may wait unused. */
  maxIdle: number
}

/** A connection that is being opened. */
export interface Dialing {
  readonly connection: Promise<UpstreamConnection | Http2Session>
  cancel(why: string): void
}

/** Opens connections to one endpoint and makes them ready for requests. */
export class Dialer {
  readonly #options: DialerOptions
  readonly #owner: ConnectionOwner & SessionOwner
  readonly #connector: Connector

  constructor(options: DialerOptions, owner: ConnectionOwner & SessionOwner) {
    const { address, label, protocol, tls } = options
    this.#options = options
    this.#owner = owner
    this.#connector = new Connector(address, label, protocol, tls)
  }

  /** Its `connection` rejects with an `UpstreamError` `BANYAN_UPSTREAM_CONNECT`, in time. */
  dial(): Dialing {
    const { clock, connectTimeout } = this.#options
    let give: (why: string) => void = () => undefined
    const cancelled = (cancel: (why: string) => void): void => {
      give = cancel
    }
    const timer = clock.schedule(clock.now() + connectTimeout, () =>
      give(`no connection within ${formatDuration(connectTimeout)}`),
    )
    const connection = this.#open(cancelled)
    const over = (): void => timer.cancel()
    connection.then(over, over)
    return { connection, cancel: (why) => give(why) }
  }

  async #open(
    cancelled: (cancel: (why: string) => void) => void,
  ): Promise<UpstreamConnection | Http2Session> {
    const { address, label, clock, sweeper, idleTimeout, maxIdle } = this.#options
    const owner = this.#owner
    const { socket, protocol } = await this.#connector.connect(cancelled)
    if (protocol === 'http1') return new UpstreamConnection(socket, owner, sweeper, idleTimeout, label)
    const scheme = address.tls ? 'https' : 'http'
    const { host, port } = address
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
    return Http2Session.open(
      { socket, scheme, authority, owner, clock, sweeper, label, idleTimeout, maxIdle },
      cancelled,
    )
  }
}
