import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import type { HostedLog } from '../events/hosted-log.js'
import type { ReplicasSpec } from '../spec.js'
import type { HostedDatabase } from './hosted-database.js'
import {
  LOG_NAME,
  type HostedPromotion,
  type HostedReplicasState,
  type PromoteRequest,
  type ReplicaControl,
} from './state.js'

/** What a configuration asks for, ready to be put into force. */
export interface PreparedReplicas {
  commit(): void
  discard(): Promise<void>
}

/** The databases with followers that a configuration asks for, and the event log. Those that stay the same go on when it changes. */
export class HostedReplicas implements ReplicaControl {
  readonly #runtime: Runtime
  readonly #log: HostedLog | undefined
  readonly #databases = new Map<string, HostedDatabase>()
  /** What is being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()
  #coordinator: Coordinator | undefined

  constructor(log: HostedLog | undefined, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Opens what is new of a configuration; `commit` watches those from then on, and no others.
   *
   * @throws {@link BanyanError} if one cannot be had; nothing has changed then
   */
  async prepare(specs: Readonly<Record<string, ReplicasSpec>>): Promise<PreparedReplicas> {
    const opened = new Map<string, HostedDatabase>()
    const discard = async (): Promise<void> => {
      for (const database of opened.values()) await database.close()
    }
    try {
      for (const [name, spec] of Object.entries(specs))
        if (!isDeepStrictEqual(spec, this.#databases.get(name)?.spec)) {
          // With it comes the whole plane, which a log needs nothing of.
          const { HostedDatabase } = await import('./hosted-database.js')
          opened.set(name, await HostedDatabase.open(name, spec, this.#runtime))
        }
    } catch (error) {
      await discard()
      throw error
    }
    return { commit: () => this.#follow(specs, opened), discard }
  }

  /** Obeys what a coordinator says of who leads, as soon as that can be reached. */
  agreeOn(coordinator: Coordinator): void {
    this.#coordinator = coordinator
    for (const database of this.#databases.values()) database.agreeOn(coordinator)
  }

  async list(): Promise<HostedReplicasState[]> {
    const log = await this.#log?.replica?.state()
    const databases = Array.from(this.#databases.values(), ({ state }) => state)
    return [...databases, ...(log ? [log] : [])].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async promote(name: string, request: PromoteRequest): Promise<HostedPromotion | undefined> {
    if (name === LOG_NAME) return this.#log?.replica?.promote(request.force ?? false)
    const database = this.#databases.get(name)
    return database && { kind: 'database', ...(await database.promote(request)) }
  }

  async close(): Promise<void> {
    this.#follow({}, new Map())
    await Promise.all(this.#leaving)
  }

  #follow(specs: Readonly<Record<string, ReplicasSpec>>, opened: ReadonlyMap<string, HostedDatabase>): void {
    for (const [name, database] of this.#databases) {
      if (Object.hasOwn(specs, name) && !opened.has(name)) continue
      this.#databases.delete(name)
      const leaving = database.close()
      this.#leaving.add(leaving)
      void leaving.finally(() => this.#leaving.delete(leaving))
    }
    for (const [name, database] of opened) {
      this.#databases.set(name, database)
      database.begin()
      if (this.#coordinator) database.agreeOn(this.#coordinator)
    }
  }
}
