import { isDeepStrictEqual } from 'node:util'
import type { Timer } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import {
  discover,
  type Coordinator,
  type Discovery,
  type Instance,
  type Outage,
} from '../../coordination/index.js'
import { parseEndpoint } from '../../traffic/gateway/address.js'
import type {
  EndpointSource,
  FollowedEndpoints,
  FollowedState,
  FoundEndpoint,
  RegistryQuery,
} from '../../traffic/gateway/index.js'

/** Changes that follow each other within this time are taken together, in ms: a gateway has more to do than to keep lists. */
const TOGETHER = 10

/**
 * The registry as a gateway looks for endpoints there. Who asks for the same shares what is known, so that a change of the
 * configuration need not wait for the registry.
 */
export class RegistrySource implements EndpointSource {
  readonly #runtime: Runtime
  readonly #outage: () => Outage | undefined
  readonly #shared = new Map<string, SharedEndpoints>()
  #coordinator: Coordinator | undefined

  /** @param outage - why there is no coordinator, while there is none */
  constructor(runtime: Runtime, outage: () => Outage | undefined) {
    this.#runtime = runtime
    this.#outage = outage
  }

  /** Looks there from now on. */
  use(coordinator: Coordinator): void {
    this.#coordinator = coordinator
    for (const shared of this.#shared.values()) shared.use(coordinator)
  }

  follow({ service, tag = [] }: RegistryQuery, onChange: () => void): FollowedEndpoints {
    const tags = [tag].flat().toSorted()
    const key = JSON.stringify([service, tags])
    let shared = this.#shared.get(key)
    if (!shared) {
      shared = new SharedEndpoints(service, tags, this.#runtime)
      if (this.#coordinator) shared.use(this.#coordinator)
      this.#shared.set(key, shared)
    }
    return this.#handle(key, shared, onChange)
  }

  close(): void {
    for (const shared of this.#shared.values()) shared.close()
  }

  #handle(key: string, shared: SharedEndpoints, onChange: () => void): FollowedEndpoints {
    shared.listeners.add(onChange)
    return {
      get endpoints() {
        return shared.endpoints
      },
      state: () => shared.state(this.#outage()),
      close: () => {
        shared.listeners.delete(onChange)
        if (shared.listeners.size > 0) return
        this.#shared.delete(key)
        shared.close()
      },
    }
  }
}

/** The endpoints that one question finds. */
class SharedEndpoints {
  readonly listeners = new Set<() => void>()
  endpoints: readonly FoundEndpoint[] | undefined
  readonly #service: string
  readonly #tags: readonly string[]
  readonly #runtime: Runtime
  /** Addresses that cannot be endpoints; said once. */
  readonly #refused = new Set<string>()
  #discovery: Discovery | undefined
  #lookedAt = -Infinity
  #timer: Timer | undefined

  constructor(service: string, tags: readonly string[], runtime: Runtime) {
    this.#service = service
    this.#tags = tags
    this.#runtime = runtime
  }

  use(coordinator: Coordinator): void {
    const discovery = discover(coordinator, this.#service, { tag: this.#tags, healthy: false })
    this.#discovery = discovery
    discovery.on('change', () => {
      if (this.endpoints) this.#lookSoon(discovery)
    })
    discovery.ready.then(
      () => this.#look(discovery),
      () => undefined,
    )
  }

  state(outage: Outage | undefined): FollowedState {
    const { problem, since } = this.#discovery?.stale ?? outage ?? {}
    return {
      service: this.#service,
      known: this.endpoints !== undefined,
      doubted: this.#discovery?.doubted ?? 0,
      ...(problem !== undefined && { problem }),
      ...(since !== undefined && { since }),
    }
  }

  close(): void {
    this.#timer?.cancel()
    void this.#discovery?.close()
  }

  /** The first of several changes at once, the others together. */
  #lookSoon(discovery: Discovery): void {
    const { clock } = this.#runtime
    if (this.#timer) return
    if (clock.now() - this.#lookedAt >= TOGETHER) this.#look(discovery)
    else
      this.#timer = clock.schedule(this.#lookedAt + TOGETHER, () => {
        this.#timer = undefined
        this.#look(discovery)
      })
  }

  #look(discovery: Discovery): void {
    this.#lookedAt = this.#runtime.clock.now()
    const endpoints = this.#endpointsOf(discovery.instances())
    if (isDeepStrictEqual(endpoints, this.endpoints)) return
    this.endpoints = endpoints
    for (const listener of [...this.listeners]) listener()
  }

  /**
   * Those that are well enough; all that do not go if none is: a check that is wrong everywhere must not take the service
   * down.
   */
  #endpointsOf(instances: readonly Instance[]): readonly FoundEndpoint[] {
    const staying = instances.filter(({ draining }) => !draining)
    const well = staying.filter(({ state }) => state !== 'critical')
    const byUrl = new Map<string, FoundEndpoint>()
    for (const { address, weight, zone } of well.length > 0 ? well : staying)
      if (this.#isEndpoint(address)) byUrl.set(address, { url: address, weight, zone })
    return [...byUrl.values()]
  }

  #isEndpoint(address: string): boolean {
    try {
      parseEndpoint(address)
      return true
    } catch {
      if (!this.#refused.has(address))
        this.#runtime.telemetry.log('warn', 'an address in the registry cannot be an endpoint', {
          'banyan.service': this.#service,
          address,
        })
      this.#refused.add(address)
      return false
    }
  }
}
