import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { balancer } from '../balancing/balancer.js'
import type { Balancer } from '../balancing/candidate.js'
import { rejected } from '../errors.js'
import { Pool } from '../http/pool.js'
import type { Sweeper } from '../http/sweeper.js'
import type { Address } from '../http/upstream-connection.js'
import type { Bulkhead } from '../policies/bulkhead.js'
import type { BreakerSnapshot } from '../policies/circuit-breaker.js'
import type { Handler } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { Endpoint, type EndpointState } from './endpoint.js'
import type { OutgoingWork } from './outgoing-work.js'
import { buildPolicies, type BuiltPolicies } from './policies.js'
import type { PolicySpec, ServiceSpec } from './spec.js'

/** How long an unused connection is kept when the endpoint does not say, in ms. */
const MAX_IDLE_MS = 30_000

/** What `banyan status` shows of a service. */
export interface ServiceState {
  endpoints: EndpointState[]
  breaker: BreakerSnapshot | undefined
  bulkhead: ReturnType<Bulkhead['snapshot']> | undefined
}

/** A named upstream with its endpoints, their connections and its policies. */
export class Service {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  readonly policies: BuiltPolicies
  /** A call of this service under its policies. */
  readonly run: Handler<UpstreamAnswer>
  readonly #balancer: Balancer<Endpoint>

  constructor(name: string, spec: ServiceSpec, policy: PolicySpec, runtime: Runtime, sweeper: Sweeper) {
    this.name = name
    this.policies = buildPolicies(policy, name, runtime)
    this.endpoints = spec.endpoints.map((entry) => {
      const { url, weight = 1 } = typeof entry === 'string' ? { url: entry } : entry
      const label = `${name} ${url}`
      return new Endpoint({
        service: name,
        url,
        weight,
        runtime,
        pool: new Pool({
          address: parseEndpoint(url),
          label,
          clock: runtime.clock,
          sweeper,
          maxConnections: spec.maxConnections ?? 1024,
          connectTimeout: duration(spec.connectTimeout ?? '1s', 'connectTimeout'),
          idleTimeout: duration(spec.idleTimeout ?? '60s', 'idleTimeout'),
          maxIdle: MAX_IDLE_MS,
        }),
        ...this.policies.perEndpoint(label),
      })
    })
    this.#balancer = balancer(spec.balance ?? 'least-request', this.endpoints, runtime.random)
    const choose: Handler = (call) => this.#choose(call)
    this.run = this.policies.around.reduceRight<Handler>(
      (next, each) => each.wrap(next),
      choose,
    ) as Handler<UpstreamAnswer>
  }

  state(): ServiceState {
    const { breaker, bulkhead } = this.policies
    return {
      endpoints: this.endpoints.map((endpoint) => endpoint.state()),
      breaker: breaker?.snapshot(),
      bulkhead: bulkhead?.snapshot(),
    }
  }

  /** Takes no more requests; connections close as their exchanges end. */
  close(): void {
    for (const { pool } of this.endpoints) pool.close()
  }

  #choose(call: Parameters<Handler>[0]): Promise<UpstreamAnswer> {
    const work = call.subject as OutgoingWork
    const endpoint = this.#balancer.pick(work.last as Endpoint | undefined)
    if (endpoint === undefined) return Promise.reject(this.#refuse())
    work.last = endpoint
    return endpoint.run(call)
  }

  #refuse(): BanyanError {
    // By state, not `ready()`: while a breaker ramps up, every such question is a draw of its own.
    const waits = this.endpoints.flatMap(({ breaker }) =>
      breaker && breaker.state !== 'closed' ? [breaker.retryAfter()] : [],
    )
    if (waits.length === 0)
      return rejected('BANYAN_NO_ENDPOINT', `${this.name}: no endpoint takes requests`, this.name)
    const message = `${this.name}: the circuit breakers of all ${waits.length} endpoints refuse calls`
    return rejected('BANYAN_BREAKER_OPEN', message, this.name, Math.min(...waits))
  }
}

/**
 * Reads an endpoint's URL.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not `http(s)://host[:port]`
 */
export function parseEndpoint(url: string): Address {
  const match = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^/?#@:[\]]+)(?::(\d{1,5}))?\/?$/i.exec(url)
  const secure = match?.[1]!.toLowerCase() === 'https'
  const port = Number(match?.[3] ?? (secure ? 443 : 80))
  if (!match || port < 1 || port > 65_535) {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `endpoint \`${url}\` must be http(s)://host:port, without a path`,
    )
  }
  const host = match[2]!.replace(/^\[|\]$/g, '')
  return { host, port, tls: secure }
}
