/**
 * What of a node has copies elsewhere: databases with followers (`hosted-database.ts`), which it watches, and its event log
 * (`events/log-replica.ts`), told of together (`hosted-replicas.ts`).
 */
import type { Runtime } from '../../core/runtime.js'
import { raceWithTimer } from '../../core/race-with-timer.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { HostedLog } from '../events/hosted-log.js'
import type { NodeSpec } from '../spec.js'
import type { HostedReplicas, PreparedReplicas } from './hosted-replicas.js'
import type { ReplicaControl } from './state.js'

/** How long the start of a node waits for what the coordinator knows of its log, in ms. */
const PATIENCE_MS = 2000

/** The replicas of a node. What watching them takes is loaded only when a configuration asks for some, or there is a log. */
export class ReplicaHost {
  readonly #log: HostedLog | undefined
  readonly #coordinator: HostedCoordinator | undefined
  readonly #runtime: Runtime
  #hosted: HostedReplicas | undefined

  private constructor(
    log: HostedLog | undefined,
    coordinator: HostedCoordinator | undefined,
    runtime: Runtime,
  ) {
    this.#log = log
    this.#coordinator = coordinator
    this.#runtime = runtime
  }

  /** @throws {@link BanyanError} if one of them cannot be had */
  static async open(
    spec: Pick<NodeSpec, 'replicas'>,
    log: HostedLog | undefined,
    coordinator: HostedCoordinator | undefined,
    runtime: Runtime,
  ): Promise<ReplicaHost> {
    const host = new ReplicaHost(log, coordinator, runtime)
    const prepared = await host.prepare(spec)
    prepared?.commit()
    await host.#agreeOnLog(runtime)
    return host
  }

  /** What operators ask for, if there ever was something. */
  get control(): ReplicaControl | undefined {
    return this.#hosted
  }

  /**
   * Makes ready what a configuration asks for; undefined if that is nothing, and never was something.
   *
   * @throws {@link BanyanError} if it cannot be had; nothing has changed then
   */
  async prepare({ replicas = {} }: Pick<NodeSpec, 'replicas'>): Promise<PreparedReplicas | undefined> {
    if (!this.#hosted && Object.keys(replicas).length === 0 && !this.#log?.replica) return undefined
    if (!this.#hosted) {
      const { HostedReplicas } = await import('./hosted-replicas.js')
      const hosted = (this.#hosted = new HostedReplicas(this.#log, this.#runtime))
      this.#coordinator?.whenReached((coordinator) => hosted.agreeOn(coordinator))
    }
    return this.#hosted.prepare(replicas)
  }

  /** Nobody appends to an old leader that is started again, if the coordinator can tell in time that it is one. */
  async #agreeOnLog({ clock }: Runtime): Promise<void> {
    const replica = this.#log?.replica
    if (!replica) return
    let agreed = Promise.resolve()
    this.#coordinator?.whenReached((coordinator) => {
      agreed = replica.agreeOn(coordinator)
    })
    await raceWithTimer(clock, agreed, PATIENCE_MS)
  }

  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
