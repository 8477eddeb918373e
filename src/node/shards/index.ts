/**
 * Applications in several databases, whose moves a node makes: `hosted-shards.ts` keeps those that the configuration asks for,
 * `data-mover.ts` opens the databases of one and makes its moves.
 */
import type { Runtime } from '../../core/runtime.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { NodeSpec } from '../spec.js'
import type { HostedShards } from './hosted-shards.js'
import type { HostedShardsState } from './state.js'

/** Makes the moves that a configuration asks for. What that takes is loaded only then. */
export class ShardsHost {
  readonly #coordinator: HostedCoordinator | undefined
  readonly #runtime: Runtime
  #hosted: HostedShards | undefined

  constructor(coordinator: HostedCoordinator | undefined, runtime: Runtime) {
    this.#coordinator = coordinator
    this.#runtime = runtime
  }

  /** How they are, by name; undefined if there are none. */
  get states(): Readonly<Record<string, HostedShardsState>> | undefined {
    return this.#hosted?.states()
  }

  /** Makes the moves of these from now on, and of no others. */
  async follow({ shards = {} }: Pick<NodeSpec, 'shards'>): Promise<void> {
    const coordinator = this.#coordinator
    if (!this.#hosted) {
      if (Object.keys(shards).length === 0 || !coordinator) return
      const { HostedShards } = await import('./hosted-shards.js')
      this.#hosted = new HostedShards(this.#runtime)
      coordinator.whenReached((reached) => this.#hosted!.use(reached))
    }
    this.#hosted.follow(shards)
  }

  /** Ends what is made here; another node goes on. */
  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
