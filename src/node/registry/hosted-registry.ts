import type { Runtime } from '../../core/runtime.js'
import type { EndpointSource } from '../../traffic/gateway/index.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { NodeSpec } from '../spec.js'
import { Registrations } from './registrations.js'
import { RegistrySource } from './registry-source.js'
import type { RegisteredState } from './state.js'

/** The registry of a node: where its gateway finds endpoints, and what the node itself keeps there. */
export class HostedRegistry {
  readonly #source: RegistrySource
  readonly #registrations: Registrations

  constructor(coordinator: HostedCoordinator, runtime: Runtime) {
    this.#source = new RegistrySource(runtime, () => coordinator.outage)
    this.#registrations = new Registrations(runtime)
    coordinator.whenReached((reached) => {
      this.#source.use(reached)
      this.#registrations.use(reached)
    })
  }

  /** Where endpoints are found. */
  get source(): EndpointSource {
    return this.#source
  }

  /** Keeps these instances in the registry from now on, and no others. */
  register({ register = {} }: Pick<NodeSpec, 'register'>): void {
    this.#registrations.follow(register)
  }

  /** What it keeps there, by the name of the entry; undefined if it keeps nothing. */
  get registered(): Readonly<Record<string, RegisteredState>> | undefined {
    return this.#registrations.state()
  }

  /** Takes its instances out of the registry, in good order unless `now` aborts. */
  drain(now?: AbortSignal): Promise<void> {
    return this.#registrations.drain(now)
  }

  async close(): Promise<void> {
    await this.drain(AbortSignal.abort())
    this.#source.close()
  }
}
