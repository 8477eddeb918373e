import type { HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import {
  controller,
  garbageCollector,
  kubernetesApi,
  informers,
  openResources,
  type Controller,
  type ResourceDefinition,
} from '../../coordination/index.js'
import { qualifiedPlural } from '../../coordination/resources/define.js'
import type { ControllerSpec } from '../spec.js'
import type { Definitions } from './module.js'
import type { HostedControllerState, HostedKindsState } from './state.js'

/** A controller, and what goes wrong in it. */
class HostedController {
  readonly #controller: Controller
  readonly #resource: string
  /** By key. */
  readonly #problems = new Map<string, string>()

  constructor(running: Controller, resource: ResourceDefinition) {
    this.#controller = running
    this.#resource = qualifiedPlural(resource)
    running.on('run', ({ key, outcome, error }) => {
      if (outcome === 'failed')
        this.#problems.set(key, error instanceof Error ? error.message : String(error))
      else if (outcome !== 'conflict') this.#problems.delete(key)
    })
  }

  get state(): HostedControllerState {
    const [first] = this.#problems
    return {
      resource: this.#resource,
      ...this.#controller.state,
      failing: this.#problems.size,
      ...(first && { problem: `${first[0]}: ${first[1]}` }),
    }
  }

  close(): Promise<void> {
    return this.#controller.close()
  }
}

/** The resources of some kinds in a coordinator, an API of them, and the controllers that work on them. */
export class ServedKinds {
  readonly handler: HttpHandler
  readonly #kinds: readonly string[]
  readonly #controllers = new Map<string, HostedController>()
  readonly #closing = new AbortController()
  readonly #close: () => Promise<void>

  constructor(
    definitions: Definitions,
    specs: Readonly<Record<string, ControllerSpec>>,
    coordinator: Coordinator,
    runtime: Runtime,
  ) {
    const { kinds } = definitions
    const api = openResources(coordinator, {})
    const caches = informers(api, { runtime })
    const election = { coordinator }
    const collector = garbageCollector(api, kinds, { election, informers: caches, runtime })
    this.#kinds = kinds.map(qualifiedPlural)
    this.handler = kubernetesApi(api, { definitions: kinds, closing: this.#closing.signal, runtime })
    for (const [name, definition] of definitions.controllers) {
      const { concurrency, resync } = specs[name]!
      const running = controller({
        ...definition,
        ...(concurrency !== undefined && { concurrency }),
        ...(resync !== undefined && { resync }),
        ...{ name, api, informers: caches, election, runtime },
      })
      this.#controllers.set(name, new HostedController(running, definition.resource))
    }
    this.#close = async () => {
      await Promise.all([collector, ...this.#controllers.values()].map((each) => each.close()))
      await caches.close()
      await api.close()
    }
  }

  get state(): HostedKindsState {
    const controllers = Array.from(this.#controllers, ([name, { state }]) => [name, state] as const)
    return { kinds: this.#kinds, controllers: Object.fromEntries(controllers) }
  }

  /** Ends watches, begins nothing more, and waits for what is under way; another node goes on. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#close()
  }
}
