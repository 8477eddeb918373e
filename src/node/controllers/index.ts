/**
 * Resources and controllers of a node: `module.ts` loads what the configuration names, `hosted-kinds.ts` keeps it running,
 * `served-kinds.ts` is what runs: a store in the coordinator, an API of it, and the controllers, of which one node's work.
 */
import type { HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { NodeSpec } from '../spec.js'
import type { HostedKinds } from './hosted-kinds.js'
import type { HostedKindsState } from './state.js'

/** Serves and runs what a configuration asks for. What that takes is loaded only then. */
export class KindsHost {
  readonly #coordinator: HostedCoordinator | undefined
  readonly #runtime: Runtime
  #hosted: HostedKinds | undefined

  constructor(coordinator: HostedCoordinator | undefined, runtime: Runtime) {
    this.#coordinator = coordinator
    this.#runtime = runtime
  }

  /** What answers requests for resources, if there are kinds and the coordinator was reached. */
  get handler(): HttpHandler | undefined {
    return this.#hosted?.handler
  }

  /** How they are; undefined if there are none. */
  get state(): HostedKindsState | undefined {
    return this.#hosted?.state
  }

  /**
   * Loads the modules of a configuration.
   *
   * @returns puts it into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had; nothing has changed then
   */
  async prepare(spec: Pick<NodeSpec, 'kinds' | 'controllers' | 'resources'>): Promise<() => void> {
    const coordinator = this.#coordinator
    const isEmpty = !spec.resources && Object.keys({ ...spec.kinds, ...spec.controllers }).length === 0
    if (!coordinator || (isEmpty && !this.#hosted)) return () => undefined
    const [{ definitionsOf }, { HostedKinds }] = await Promise.all([
      import('./module.js'),
      import('./hosted-kinds.js'),
    ])
    const wanted = { definitions: await definitionsOf(spec), specs: spec.controllers ?? {} }
    return () => {
      if (this.#hosted) {
        this.#hosted.follow(wanted)
        return
      }
      const hosted = new HostedKinds(wanted, this.#runtime)
      this.#hosted = hosted
      coordinator.whenReached((reached) => hosted.use(reached))
    }
  }

  /** Ends what runs here; another node goes on. */
  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
