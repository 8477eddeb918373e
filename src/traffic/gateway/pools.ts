import { duration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import { Pool } from '../http/pool.js'
import type { Sweeper } from '../http/sweeper.js'
import { Connector, type Address } from '../http/upstream/connector.js'
import { UpstreamTls } from '../http/upstream/tls.js'
import type { ServiceSpec } from './spec.js'

/** How long an unused connection is kept when the endpoint does not say, in ms. */
const MAX_IDLE_MS = 30_000

/** Opens the pools of a service's endpoints: all with the same bounds and the same certificates. */
export class Pools {
  readonly #service: string
  readonly #spec: ServiceSpec
  readonly #sweeper: Sweeper
  readonly #tls: UpstreamTls

  /**
   * @param service - its name
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if a certificate or key is missing or not valid
   */
  constructor(service: string, spec: ServiceSpec, runtime: Runtime, sweeper: Sweeper) {
    this.#service = service
    this.#spec = spec
    this.#sweeper = sweeper
    this.#tls = new UpstreamTls(spec.tls ?? {}, (message) =>
      runtime.telemetry.log('error', 'changed certificates cannot be used; those before stay in use', {
        'banyan.service': service,
        'exception.message': message,
      }),
    )
  }

  /**
   * @param name - what metrics call the endpoint
   * @param runtime - reports what happens to the connections
   */
  open(address: Address, name: string, runtime: Runtime): Pool {
    const service = this.#service
    const spec = this.#spec
    const { protocol = 'http1', maxConnectionAge } = spec
    return new Pool({
      address,
      protocol,
      tls: this.#tls,
      label: `${service} ${name}`,
      attributes: { 'banyan.service': service, 'server.address': name },
      runtime,
      sweeper: this.#sweeper,
      maxConnections: spec.maxConnections ?? 1024,
      maxPending: spec.maxPending ?? 4096,
      maxConnectionAge:
        maxConnectionAge === undefined ? Infinity : duration(maxConnectionAge, 'maxConnectionAge'),
      maxRequests: spec.maxRequestsPerConnection ?? Infinity,
      connectTimeout: duration(spec.connectTimeout ?? '1s', 'connectTimeout'),
      idleTimeout: duration(spec.idleTimeout ?? '60s', 'idleTimeout'),
      maxIdle: MAX_IDLE_MS,
    })
  }

  /**
   * Opens connections for who speaks HTTP/2 on them by itself.
   *
   * @param label - what errors call the endpoint
   */
  connector(address: Address, label: string): Connector {
    return new Connector(address, label, 'http2', this.#tls)
  }
}
