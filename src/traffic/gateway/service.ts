import { isDeepStrictEqual } from 'node:util'
import type { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { systemResolver, type Resolver } from '../discovery/resolver.js'
import type { EndpointSource, FollowedState } from '../discovery/endpoint-source.js'
import type { ResolutionState } from '../discovery/resolution.js'
import { rejected } from '../errors.js'
import { SlowStart } from '../health/slow-start.js'
import type { Sweeper } from '../http/sweeper.js'
import type { Address } from '../http/upstream/connector.js'
import type { Bulkhead } from '../policies/bulkhead.js'
import type { BreakerSnapshot } from '../policies/circuit-breaker.js'
import type { Handler } from '../policy.js'
import { parseEndpoint } from './address.js'
import type { UpstreamAnswer } from './answer.js'
import { DeferredGauges } from './deferred-gauges.js'
import { Endpoint, type EndpointState, type Place } from './endpoint.js'
import { EndpointSet, type EndpointPlaces } from './endpoint-set.js'
import type { OutgoingWork } from './outgoing-work.js'
import { buildPolicies, type BuiltPolicies, type RateStores } from './policies.js'
import { Pools } from './pools.js'
import { ServiceHealth, type HealthCounts } from './service-health.js'
import type { PolicySpec, ServiceSpec } from './spec.js'
import { rateLimitState, type RateLimitState } from './telemetry/rate-limit-state.js'

/** What a service is made of. */
export interface ServiceOptions {
  name: string
  spec: ServiceSpec
  policy: PolicySpec
  runtime: Runtime
  sweeper: Sweeper
  /** Zone of this node. */
  zone?: string | undefined
  /** Finds the addresses of endpoints that are to be resolved. Default: the system's. */
  resolver?: Resolver | undefined
  /** Where endpoints are looked for that are registered. Default: nowhere, and a service that asks for it is an error. */
  source?: EndpointSource | undefined
  /** Where rates are counted together with other processes. Default: this process counts alone. */
  rateStores?: RateStores | undefined
}

/** What `banyan status` shows of a service. */
export interface ServiceState {
  endpoints: EndpointState[]
  /** How many endpoints are in which state; each counts once. */
  health: HealthCounts
  /** Whether too few endpoints are available, so that all of them are used. */
  panic: boolean
  /** Share of the requests that stays in the node's own zone, where zones matter. */
  ownZoneShare: number | undefined
  /** What the names in URLs stand for, by URL. */
  names: Record<string, ResolutionState>
  /** Where its endpoints are looked for, if they are registered. */
  registry: FollowedState | undefined
  breaker: BreakerSnapshot | undefined
  bulkhead: ReturnType<Bulkhead['snapshot']> | undefined
  rateLimit: RateLimitState | undefined
}

/** A named upstream with its endpoints, their connections and its policies. */
export class Service {
  readonly name: string
  readonly policies: BuiltPolicies
  /** A call of this service under its policies. */
  readonly run: Handler<UpstreamAnswer>
  readonly #spec: ServiceSpec
  readonly #runtime: Runtime
  readonly #pools: Pools
  readonly #slowStart: SlowStart | undefined
  readonly #health: ServiceHealth
  readonly #endpoints: EndpointSet
  #places: EndpointPlaces

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(options: ServiceOptions) {
    const { name, spec, policy, runtime, sweeper, zone, resolver = systemResolver } = options
    this.name = name
    this.#spec = spec
    this.#places = placesOf(spec)
    this.#runtime = runtime
    this.#pools = new Pools(name, spec, runtime, sweeper)
    this.policies = buildPolicies(policy, name, runtime, options.rateStores)
    this.#slowStart = spec.slowStart && new SlowStart(spec.slowStart)
    this.#health = new ServiceHealth(name, spec, {
      runtime,
      openPool: (address, label, silent) => this.#pools.open(address, label, silent),
      connector: (address, label) => this.#pools.connector(address, label),
      addressOf,
      onChange: () => this.#endpoints.refresh(),
    })
    this.#endpoints = new EndpointSet(this.#places, {
      service: name,
      balance: spec.balance ?? 'least-request',
      zone,
      zones: spec.zones ?? {},
      panicBelow: spec.panicBelow ?? 0.5,
      runtime,
      resolver,
      source: options.source,
      make: (place) => this.#makeEndpoint(place),
      begin: (endpoint) => endpoint.check?.start(),
      forget: (endpoint) => this.#health.forget(endpoint),
    })
    this.#health.showGauges(() => this.#endpoints)
    const choose: Handler = (call) => this.#choose(call)
    this.run = this.policies.around.reduceRight<Handler>(
      (next, each) => each.wrap(next),
      choose,
    ) as Handler<UpstreamAnswer>
  }

  /** Those there are now; names that are resolved make them come and go. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints.all
  }

  /** Whether the registry has not said yet where its endpoints are, and there are no others. */
  get waits(): boolean {
    return this.#endpoints.waits
  }

  /** Begins active checks, the resolution of names, and to follow the registry. May be called again. */
  start(): void {
    this.#endpoints.start()
  }

  /**
   * Takes another list of endpoints, or another place to look for them. Those that stand in both keep their connections, counts, breakers and health; new
   * ones start slowly; the others get no more requests, and close when those they have are over.
   *
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`; nothing has changed then
   */
  update(spec: ServicePlaces): void {
    const places = placesOf(spec)
    if (isDeepStrictEqual(places, this.#places)) return
    for (const entry of places.endpoints) parseEndpoint(typeof entry === 'string' ? entry : entry.url)
    this.#endpoints.update(places)
    this.#places = places
  }

  state(): ServiceState {
    const { breaker, bulkhead, rateLimit } = this.policies
    const endpoints = this.#endpoints
    return {
      endpoints: endpoints.all.map((endpoint) => endpoint.state(endpoints.takers.includes(endpoint))),
      health: this.#health.counts(endpoints.all),
      panic: endpoints.panic,
      ownZoneShare: endpoints.ownZoneShare,
      names: endpoints.resolutions(),
      registry: endpoints.followed,
      breaker: breaker?.snapshot(),
      bulkhead: bulkhead?.snapshot(),
      rateLimit: rateLimit && rateLimitState(rateLimit),
    }
  }

  /** Takes no more requests; connections close as their exchanges end. */
  close(): void {
    this.#health.close()
    this.#endpoints.close()
  }

  #choose(call: Parameters<Handler>[0]): Promise<UpstreamAnswer> {
    const work = call.subject as OutgoingWork
    const endpoint = this.#endpoints.pick(work)
    if (endpoint === undefined) return Promise.reject(this.#refuse())
    work.last = endpoint
    return endpoint.run(call)
  }

  #refuse(): BanyanError {
    // By state, not `ready()`: while a breaker ramps up, every such question is a draw of its own.
    const waits = this.#endpoints.takers.flatMap(({ breaker }) =>
      breaker && breaker.state !== 'closed' ? [breaker.retryAfter()] : [],
    )
    if (waits.length === 0)
      return rejected('BANYAN_NO_ENDPOINT', `${this.name}: no endpoint takes requests`, this.name)
    const message = `${this.name}: the circuit breakers of all ${waits.length} endpoints refuse calls`
    return rejected('BANYAN_BREAKER_OPEN', message, this.name, Math.min(...waits))
  }

  #makeEndpoint(place: Place): Endpoint {
    const { name } = place
    const label = `${this.name} ${name}`
    // Gauges of an endpoint go with it.
    const gauges = new DeferredGauges(this.#runtime.telemetry)
    gauges.show()
    const runtime: Runtime = { ...this.#runtime, telemetry: gauges }
    const endpoint = new Endpoint({
      service: this.name,
      place,
      runtime,
      pool: this.#pools.open(addressOf(place), name, runtime),
      ...this.policies.perEndpoint(label, runtime),
      outliers: this.#health.outliers,
      slowStart: this.#slowStart,
      measures: this.#spec.balance === 'peak-ewma',
      onDrain: () => gauges.hide(),
    })
    this.#health.watch(endpoint)
    return endpoint
  }
}

/** Where a service is: the part of its specification that changes without anything else. */
type ServicePlaces = Pick<ServiceSpec, 'endpoints' | 'registry'>

function placesOf({ endpoints = [], registry }: ServicePlaces): EndpointPlaces {
  return { endpoints, query: typeof registry === 'string' ? { service: registry } : registry }
}

/** Where connections to an endpoint go; TLS keeps to the name. */
function addressOf({ url, address }: Pick<Place, 'url' | 'address'>): Address {
  const parsed = parseEndpoint(url)
  return address === undefined ? parsed : { ...parsed, address }
}
