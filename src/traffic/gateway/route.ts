import type { Histogram } from '../../core/telemetry.js'
import type { Runtime } from '../../core/runtime.js'
import { BanyanError } from '../../core/errors.js'
import type { Handler } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { compileEdits, type CompiledEdits } from './heads.js'
import { buildPolicies, type BuiltPolicies } from './policies.js'
import type { Filter, RouteContext } from './filter.js'
import { buildFilters } from './filters.js'
import { Meter, type Readings } from './meter.js'
import type { Found, Location } from './router.js'
import type { Service } from './service.js'
import { buildResponder, type Responder } from './responder.js'
import type { GatewaySpec, PolicySpec, RouteSpec } from './spec.js'

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
  gateway: GatewaySpec
  runtime: Runtime
}

/** What `banyan status` shows of a route. */
export interface RouteState extends Readings {
  /** Requests answered since the start. */
  requests: number
}

/** A route ready to serve: where its requests go, under which policies, with which edits. */
export class Route {
  readonly name: string
  readonly requestEdits: CompiledEdits | undefined
  readonly responseEdits: CompiledEdits | undefined
  readonly upgrade: boolean
  readonly policies: BuiltPolicies
  #requests = 0
  readonly #meter = new Meter()
  readonly #spec: RouteSpec
  readonly #shares: readonly Share[]
  readonly #runtime: Runtime
  readonly #durations: (Histogram | undefined)[] = []

  private constructor(options: RouteOptions, filters: readonly Filter[], responder: Responder | undefined) {
    const { name, spec, policy, services, runtime } = options
    this.name = name
    this.#spec = spec
    this.#runtime = runtime
    this.requestEdits = compileEdits(spec.headers?.request)
    this.responseEdits = compileEdits(spec.headers?.response)
    this.upgrade = spec.upgrade ?? true
    this.policies = buildPolicies(policy, name, runtime)
    const layers = [...filters, ...this.policies.around, ...this.policies.perEndpoint(name).policies]
    const around = (innermost: Handler<UpstreamAnswer>): Handler<UpstreamAnswer> =>
      layers.reduceRight<Handler>((next, each) => each.wrap(next), innermost) as Handler<UpstreamAnswer>
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
      return { service, run: around(service.run), upTo: total }
    })
    if (this.#shares.length === 0)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${name}: it says nowhere to go; give it \`to\``)
  }

  /** Makes a route with its filters; see {@link buildFilters}. */
  static async build(options: RouteOptions): Promise<Route> {
    const { name, spec, services, gateway, runtime } = options
    const context: RouteContext = { route: name, runtime, services, gateway }
    return new Route(options, await buildFilters(spec, context), await buildResponder(spec, context))
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

  /** Counts an answer that came at `now`, `ms` after the head of its request. */
  record(status: number, now: number, ms: number): void {
    this.#requests++
    this.#meter.count(now, ms, status >= 500)
    const histogram = (this.#durations[status] ??= this.#runtime.telemetry.histogram(
      'http.server.request.duration',
      {
        description: 'Time from the head of a request to the head of its answer.',
        unit: 's',
        attributes: { 'http.route': this.name, 'http.response.status_code': status },
      },
    ))
    histogram.record(ms / 1000)
  }

  state(): RouteState {
    return { requests: this.#requests, ...this.#meter.read(this.#runtime.clock.now()) }
  }
}
