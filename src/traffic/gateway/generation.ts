import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Sweeper } from '../http/sweeper.js'
import type { CircuitBreaker } from '../policies/circuit-breaker.js'
import { Route } from './route.js'
import { Router } from './router.js'
import { Service } from './service.js'
import type { GatewaySpec, PolicySpec } from './spec.js'

/** Everything that one specification asks of a gateway. Replaced as a whole: a request sees one generation only. */
export class Generation {
  readonly services: ReadonlyMap<string, Service>
  readonly routes: ReadonlyMap<string, Route>
  readonly router: Router<Route>

  private constructor(
    services: ReadonlyMap<string, Service>,
    routes: ReadonlyMap<string, Route>,
    spec: GatewaySpec,
  ) {
    this.services = services
    this.routes = routes
    this.router = new Router()
    for (const [name, route] of routes) this.router.add(spec.routes[name]!.match, route)
  }

  /**
   * Makes what a specification asks for; reads files and loads libraries that it needs.
   *
   * @throws {@link BanyanError} if it cannot be had; nothing stays open then
   */
  static async build(spec: GatewaySpec, runtime: Runtime, sweeper: Sweeper): Promise<Generation> {
    const policy = (owner: string, name: string | undefined): PolicySpec => {
      if (name === undefined) return {}
      const found = spec.policies?.[name]
      if (!found) throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: unknown policy \`${name}\``)
      return found
    }
    const services = new Map<string, Service>()
    for (const [name, each] of Object.entries(spec.services)) {
      services.set(
        name,
        new Service(name, each, policy(`services.${name}.policy`, each.policy), runtime, sweeper),
      )
    }
    const routes = new Map<string, Route>()
    for (const [name, each] of Object.entries(spec.routes)) {
      const around = policy(`routes.${name}.policy`, each.policy)
      routes.set(
        name,
        await Route.build({ name, spec: each, policy: around, services, gateway: spec, runtime }),
      )
    }
    return new Generation(services, routes, spec)
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

  close(): void {
    for (const service of this.services.values()) service.close()
  }
}
