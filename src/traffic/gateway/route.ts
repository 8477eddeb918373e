import { duration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import { BanyanError } from '../../core/errors.js'
import type { BulkheadSnapshot } from '../policies/bulkhead.js'
import type { BreakerSnapshot } from '../policies/circuit-breaker.js'
import type { Handler, Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { compileEdits, type CompiledEdits } from './heads.js'
import { buildPolicies, type BuiltPolicies, type RateStores } from './policies.js'
import type { Filter, Purge, RouteContext } from './filter.js'
import { buildFilters } from './filters.js'
import { maintenance, maintenanceOf } from './filters/maintenance.js'
import { identityKey } from './identity-key.js'
import type { Assembly } from './part.js'
import type { Found, Location } from './router.js'
import type { Service } from './service.js'
import type { Responder } from './responder.js'
import { buildResponder } from './responders.js'
import type { GatewaySpec, PolicySpec, RouteSpec } from './spec.js'
import { RequestInstruments } from './telemetry/instruments.js'
import type { RequestOutcome } from './telemetry/outcome.js'
import { rateLimitState, type RateLimitState } from './telemetry/rate-limit-state.js'
import { RouteRecord, type RouteActivity } from './telemetry/route-record.js'

interface Share {
  /** `undefined` where the route answers by itself. */
  service: Service | undefined
  run: Handler<UpstreamAnswer>
  /** Sum of the weights up to and with this one. */
  upTo: number
}

/** What a route is made of. */
export interface RouteOptions {
  name: string
  spec: RouteSpec
  /** Around the service's own. */
  policy: PolicySpec
  services: ReadonlyMap<string, Service>
  authenticators: RouteContext['authenticators']
  quotaStore: RouteContext['quotaStore']
  fencing: RouteContext['fencing']
  events: RouteContext['events']
  /** Where rates are counted together with other processes. */
  rateStores: RateStores | undefined
  gateway: GatewaySpec
  runtime: Runtime
  /** Gives the parts of the route of that name before this one, as far as they stay the same. */
  assembly: Assembly
}

/** What has no other owner than the route: its filters, or what answers in place of a service. */
interface Extras {
  filters: readonly Filter[]
  responder: Responder | undefined
  /** The services that they have asked for. */
  uses: ReadonlyMap<string, Service | undefined>
}

/** What `banyan status` shows of a route. */
export interface RouteState extends RouteActivity {
  /** The route's own policies, around those of its service. */
  breaker: BreakerSnapshot | undefined
  bulkhead: BulkheadSnapshot | undefined
  rateLimit: RateLimitState | undefined
}

/** A route ready to serve: where its requests go, under which policies, with which edits. */
export class Route {
  readonly name: string
  /** The path that it matches, as OpenTelemetry writes it: `/orders/{id}`. */
  readonly pattern: string
  readonly requestEdits: CompiledEdits | undefined
  readonly responseEdits: CompiledEdits | undefined
  readonly upgrade: boolean
  /** Whether requests may be made twice without harm, where that is said. */
  readonly idempotent: boolean | undefined
  /** Longest silence of an endpoint while it owes bytes, in ms, where that is said. */
  readonly idleTimeout: number | undefined
  /** Whether TRACE, which shows a caller what others have added to its request, is named by the route itself. */
  readonly allowsTrace: boolean
  /** Whether it answers the CORS preflights for its requests. */
  readonly answersPreflights: boolean
  readonly policies: BuiltPolicies
  readonly #spec: RouteSpec
  readonly #filters: readonly Filter[]
  readonly #shares: readonly Share[]
  readonly #runtime: Runtime
  readonly #record: RouteRecord
  readonly #instruments: RequestInstruments

  private constructor(
    { name, spec, services, runtime }: RouteOptions,
    { built, inner }: RoutePolicies,
    { filters, responder }: Extras,
    record: RouteRecord,
  ) {
    this.name = name
    this.#spec = spec
    this.#filters = filters
    this.#runtime = runtime
    this.#record = record
    this.pattern = templateOf(spec.match.path)
    const attributes = { 'banyan.route': name, 'http.route': this.pattern }
    this.#instruments = new RequestInstruments(runtime.telemetry, attributes)
    this.policies = built
    this.requestEdits = compileEdits(spec.headers?.request)
    this.responseEdits = compileEdits(spec.headers?.response)
    this.upgrade = spec.upgrade ?? true
    this.idempotent = spec.idempotent
    this.idleTimeout =
      spec.idleTimeout === undefined ? undefined : duration(spec.idleTimeout, `routes.${name}.idleTimeout`)
    this.allowsTrace = [spec.match.method].flat().includes('TRACE')
    this.answersPreflights = spec.cors !== undefined
    const around = (innermost: Handler<UpstreamAnswer>, service?: Service): Handler<UpstreamAnswer> =>
      [...filters, ...identityKey(built, service?.policies), ...built.around, ...inner].reduceRight<Handler>(
        (next, each) => each.wrap(next),
        innermost,
      ) as Handler<UpstreamAnswer>
    if (responder) {
      this.#shares = [{ service: undefined, run: around(responder), upTo: 1 }]
      return
    }
    const targets = typeof spec.to === 'string' ? [{ service: spec.to }] : (spec.to ?? [])
    let total = 0
    this.#shares = targets.map(({ service: to, weight = 1 }: { service: string; weight?: number }) => {
      const service = services.get(to)
      if (!service)
        throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${name}.to: unknown service \`${to}\``)
      total += weight
      return { service, run: around(service.run, service), upTo: total }
    })
    if (this.#shares.length === 0)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${name}: it says nowhere to go; give it \`to\``)
  }

  /**
   * Makes a route. Of the route of that name before it, it takes over the record, the policies if they are the same,
   * and the filters if nothing of what they are made from has changed.
   */
  static async build(options: RouteOptions): Promise<Route> {
    const { name, spec, policy, services, authenticators, quotaStore, events, fencing, gateway, assembly } =
      options
    const part = `routes.${name}`
    const record = await assembly.part(
      `${part} record`,
      undefined,
      ({ runtime }) => new RouteRecord(name, runtime),
    )
    const policies = await assembly.part(`${part} policies`, policy, ({ runtime }): RoutePolicies => {
      const built = buildPolicies(policy, name, runtime, options.rateStores)
      return { built, inner: built.perEndpoint(name).policies }
    })
    // What routes share by name stands beside them; which of it a filter has read is not known.
    const shared = {
      ...gateway,
      services: undefined,
      routes: undefined,
      policies: undefined,
      maintenance: undefined,
    }
    const extras = await assembly.part(
      `${part} extras`,
      // Closing a route for a while must not cost it what its filters keep.
      // A document of all routes changes with each of them.
      [
        { ...spec, maintenance: undefined },
        shared,
        spec.openapiDocument && [gateway.routes, gateway.services],
      ],
      async ({ runtime, onClose }): Promise<Extras> => {
        const uses = new RecordedServices(services)
        const context: RouteContext = {
          route: name,
          runtime,
          services: uses,
          authenticators,
          quotaStore,
          events,
          fencing,
          gateway,
          onClose,
        }
        const filters = await buildFilters(spec, context)
        return { filters, responder: await buildResponder(spec, context), uses: uses.asked }
      },
      ({ uses }) => [...uses].every(([each, service]) => services.get(each) === service),
    )
    const closed = maintenanceOf(spec.maintenance, gateway.maintenance)
    const outermost = closed ? [maintenance(closed, name)] : []
    return new Route(options, policies, { ...extras, filters: [...outermost, ...extras.filters] }, record)
  }

  /**
   * Forgets kept answers.
   *
   * @returns how many that were; `undefined` if the route keeps none
   */
  purge(which: Purge): number | undefined {
    const keepers = this.#filters.filter((each) => each.purge)
    if (keepers.length === 0) return undefined
    return keepers.reduce((sum, each) => sum + each.purge!(which), 0)
  }

  /** Chooses a service by weight. */
  choose(): Share {
    const shares = this.#shares
    if (shares.length === 1) return shares[0]!
    const point = this.#runtime.random.next() * shares.at(-1)!.upTo
    return shares.find(({ upTo }) => point < upTo) ?? shares.at(-1)!
  }

  /** The target that the service gets to see. */
  targetOf(found: Found<Route>, location: Location): string {
    const path = this.#spec.rewrite?.path ?? this.#spec.redirect?.path
    if (path === undefined) return location.path + location.query
    const filled = path.replace(/:([A-Za-z_]\w*)/g, (whole, name: string) => {
      const value = found.parameters[name]
      return value === undefined ? whole : encodeURIComponent(value)
    })
    const joined =
      filled.endsWith('/') && found.rest !== '' ? filled.slice(0, -1) + found.rest : filled + found.rest
    return (joined || '/') + location.query
  }

  /** The Host that the service gets to see. */
  hostOf(host: string): string {
    return this.#spec.rewrite?.host ?? host
  }

  /** A request has come. */
  begin(): void {
    this.#record.active++
  }

  /** Counts an answer whose head came at `now`, `ms` after the head of its request. */
  record(status: number, now: number, ms: number): void {
    this.#record.count(status, now, ms)
  }

  /** The answer to a request is out, or given up. */
  end(outcome: RequestOutcome): void {
    this.#record.active--
    if (outcome.reason !== undefined) this.#record.problem(outcome.reason, outcome.error)
    this.#instruments.record(outcome)
  }

  state(): RouteState {
    const { breaker, bulkhead, rateLimit } = this.policies
    return {
      ...this.#record.state(),
      breaker: breaker?.snapshot(),
      bulkhead: bulkhead?.snapshot(),
      rateLimit: rateLimit && rateLimitState(rateLimit),
    }
  }
}

/** A pattern of ours with its parts in braces. */
function templateOf(path = '/*'): string {
  return path.replace(/\/:([^/]+)/g, '/{$1}')
}

interface RoutePolicies {
  built: BuiltPolicies
  /** Inside all of `built.around`. */
  inner: readonly Policy<unknown>[]
}

/** The services, and which of them were asked for. */
class RecordedServices extends Map<string, Service> {
  readonly asked = new Map<string, Service | undefined>()

  override get(name: string): Service | undefined {
    const service = super.get(name)
    this.asked.set(name, service)
    return service
  }
}
