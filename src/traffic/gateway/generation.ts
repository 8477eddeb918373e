import type { Clock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Sweeper } from '../http/sweeper.js'
import type { CircuitBreaker } from '../policies/circuit-breaker.js'
import type { RequestHead } from '../http/message.js'
import type { Authenticator } from './filters/access/authenticator.js'
import type { EndpointSource } from '../discovery/endpoint-source.js'
import type { Resolver } from '../discovery/resolver.js'
import { parseEndpoint } from './address.js'
import { trustNetworks, type Trust } from './forwarded.js'
import { dropOwn, ownFields } from './own-fields.js'
import { Assembly, type Part, type PartContext } from './part.js'
import { preflightRoute } from './preflight.js'
import type { RateStores } from './policies.js'
import type { QuotaStore } from './quota-store.js'
import type { FencingProvider } from './filters/fencing/spec.js'
import type { EventsProvider } from './responders/events/spec.js'
import { Route } from './route.js'
import { Router, type Found, type Location } from './router.js'
import { Service } from './service.js'
import type { GatewaySpec, PolicySpec } from './spec.js'

/** What a generation is made of. */
export interface GenerationOptions {
  spec: GatewaySpec
  /** Addresses and CIDR blocks of proxies whose word on clients is believed. */
  trust: readonly string[]
  runtime: Runtime
  sweeper: Sweeper
  quotaStore: QuotaStore
  /** Where rates are counted together with other processes. */
  rateStores?: RateStores | undefined
  /** Makes what answers from the event log. */
  events?: EventsProvider | undefined
  /** Makes what lets requests in by their fencing tokens. */
  fencing?: FencingProvider | undefined
  /** Asks other servers about who asks us. */
  fetch: typeof fetch
  /** Finds the addresses of endpoints. Default: the system's. */
  resolver?: Resolver | undefined
  /** Where endpoints are looked for that are registered. */
  source?: EndpointSource | undefined
  /** The one in force; what it shares with the specification is taken over with its state. */
  previous?: Generation | undefined
}

/**
 * Everything that one specification asks of a gateway. Replaced as a whole: a request sees one generation only, from
 * its route to its last try.
 */
export class Generation {
  readonly services: ReadonlyMap<string, Service>
  readonly routes: ReadonlyMap<string, Route>
  readonly router: Router<Route>
  readonly trust: Trust
  /** Requests that have not come to their answer; what they may still need stays open. */
  #calls = 0
  #retired = false
  #onOver: (() => void) | undefined = undefined
  /** Fields of requests that only the gateway itself may set, in lower case. */
  readonly ownFields: readonly string[] | undefined
  readonly #answersPreflights: boolean
  readonly #spec: GatewaySpec
  readonly #clock: Clock
  readonly #parts: ReadonlyMap<string, Part>

  private constructor(
    services: ReadonlyMap<string, Service>,
    routes: ReadonlyMap<string, Route>,
    parts: ReadonlyMap<string, Part>,
    { spec, trust, runtime }: GenerationOptions,
  ) {
    this.services = services
    this.routes = routes
    this.trust = trustNetworks(trust)
    this.router = new Router()
    for (const [name, route] of routes) this.router.add(spec.routes[name]!.match, route)
    this.ownFields = ownFields(spec)
    this.#answersPreflights = [...routes.values()].some(({ answersPreflights }) => answersPreflights)
    this.#spec = spec
    this.#clock = runtime.clock
    this.#parts = parts
    for (const part of parts.values()) part.hold()
  }

  /**
   * Makes what a specification asks for; reads files and loads libraries that it needs. Changes nothing of what is in
   * force: that is {@link Generation.begin}.
   *
   * @throws {@link BanyanError} if it cannot be had; nothing stays open then
   */
  static async build(options: GenerationOptions): Promise<Generation> {
    const { spec, runtime, sweeper, resolver, source, rateStores, previous } = options
    const assembly = new Assembly(runtime, previous ? previous.#parts : new Map())
    try {
      const services = new Map<string, Service>()
      for (const [name, each] of Object.entries(spec.services)) {
        const policy = policyOf(spec, `services.${name}.policy`, each.policy)
        for (const entry of each.endpoints ?? []) parseEndpoint(typeof entry === 'string' ? entry : entry.url)
        const make = ({ runtime: own, onClose }: PartContext): Service => {
          const { zone } = spec
          const service = new Service({
            name,
            spec: each,
            policy,
            runtime: own,
            sweeper,
            zone,
            resolver,
            source,
            rateStores,
          })
          onClose(() => service.close())
          return service
        }
        // Of a service that is the same but for its endpoints, those that stay are kept as well: see `begin`.
        const basis = [{ ...each, endpoints: undefined, registry: undefined }, policy, spec.zone]
        services.set(name, await assembly.part(`services.${name}`, basis, make))
      }
      const authenticators = await buildAuthenticators(spec, assembly, options.fetch)
      const routes = new Map<string, Route>()
      for (const [name, each] of Object.entries(spec.routes)) {
        const policy = policyOf(spec, `routes.${name}.policy`, each.policy)
        routes.set(
          name,
          await Route.build({
            name,
            spec: each,
            policy,
            services,
            authenticators,
            gateway: spec,
            runtime,
            assembly,
            quotaStore: options.quotaStore,
            events: options.events,
            fencing: options.fencing,
            rateStores,
          }),
        )
      }
      return new Generation(services, routes, assembly.parts, options)
    } catch (error) {
      assembly.discard()
      throw error
    }
  }

  /** The route of a request. What clients have put into fields of ours is out of it then. */
  find(request: RequestHead, location: Location): Found<Route> | undefined {
    if (this.ownFields) dropOwn(request.fields, this.ownFields)
    const preflight =
      this.#answersPreflights && request.method === 'OPTIONS'
        ? preflightRoute(this.router, request, location)
        : undefined
    return preflight ?? this.router.find(request, location)
  }

  /** Every breaker by its name: the service's, or the service's and the endpoint's URL. */
  get breakers(): ReadonlyMap<string, CircuitBreaker> {
    const owners = [...this.services.values(), ...this.routes.values()]
    const shared = owners.flatMap(({ policies }) => policies.breaker ?? [])
    const own = [...this.services.values()].flatMap(({ endpoints }) =>
      endpoints.flatMap(({ breaker }) => breaker ?? []),
    )
    return new Map([...shared, ...own].map((breaker) => [breaker.name, breaker]))
  }

  /**
   * Comes into force. What an operator has forced on a breaker of the one before stays forced on the breaker that takes
   * its name.
   *
   * @param previous - the one that this takes over from; it is `retire`d next
   */
  begin(previous: Generation | undefined): void {
    const parts = new Set(this.#parts.values())
    for (const part of previous ? previous.#parts.values() : []) if (!parts.has(part)) part.hide()
    for (const part of parts) part.show()
    for (const [name, service] of this.services) {
      service.update(this.#spec.services[name]!)
      service.start()
    }
    const old = previous?.breakers
    for (const [name, breaker] of this.breakers) {
      const before = old?.get(name)
      if (before && before !== breaker) carryOverride(before, breaker, this.#clock)
    }
  }

  /** A request begins its way to an answer here. */
  enter(): void {
    this.#calls++
  }

  /** It has come to its answer, or to its end without one. */
  leave(): void {
    if (--this.#calls === 0 && this.#retired) this.#end()
  }

  /**
   * Gets no more requests. Once those it has are answered, it gives back what no other generation has.
   *
   * @param onOver - called then, at once if there are none
   */
  retire(onOver?: () => void): void {
    this.#retired = true
    this.#onOver = onOver
    if (this.#calls === 0) this.#end()
  }

  /** Gives everything back, whoever still uses it. */
  close(): void {
    for (const part of this.#parts.values()) part.close()
  }

  #end(): void {
    for (const part of this.#parts.values()) part.release()
    this.#onOver?.()
  }
}

/** Makes the authenticators of a specification; the module that does is loaded only if there are any. */
async function buildAuthenticators(
  { authenticators = {} }: GatewaySpec,
  assembly: Assembly,
  fetching: typeof fetch,
): Promise<ReadonlyMap<string, Authenticator>> {
  const built = new Map<string, Authenticator>()
  for (const [name, each] of Object.entries(authenticators)) {
    const { buildAuthenticator } = await import('./filters/access/authenticators.js')
    const make = ({ runtime }: PartContext): Promise<Authenticator> =>
      buildAuthenticator(each, { name, runtime, fetch: fetching })
    built.set(name, await assembly.part(`authenticators.${name}`, each, make))
  }
  return built
}

function policyOf(spec: GatewaySpec, owner: string, name: string | undefined): PolicySpec {
  if (name === undefined) return {}
  const found = spec.policies?.[name]
  if (!found) throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: unknown policy \`${name}\``)
  return found
}

function carryOverride(from: CircuitBreaker, to: CircuitBreaker, clock: Clock): void {
  const { override, until } = from.snapshot()
  if (!override) return
  const left = until === undefined ? undefined : Math.max(0, until - clock.wall())
  to.force({ ...override, ...(left === undefined ? {} : { for: left }) })
}
