import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { redact } from '../config/redact.js'
import type { ShardsSpec } from '../spec.js'
import { DataMover } from './data-mover.js'
import type { HostedShardsState } from './state.js'

/** The applications in several databases that a configuration names. Those that stay the same go on when it changes. */
export class HostedShards {
  readonly #runtime: Runtime
  readonly #movers = new Map<string, DataMover>()
  /** What is being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()
  #coordinator: Coordinator | undefined
  #wanted: Readonly<Record<string, ShardsSpec>> = {}

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Makes moves there from now on. */
  use(coordinator: Coordinator): void {
    this.#coordinator = coordinator
    this.follow(this.#wanted)
  }

  /** Makes the moves of these and of no others. */
  follow(wanted: Readonly<Record<string, ShardsSpec>>): void {
    this.#wanted = wanted
    const coordinator = this.#coordinator
    if (!coordinator) return
    for (const [name, mover] of this.#movers) {
      if (isDeepStrictEqual(mover.spec, wanted[name])) continue
      this.#movers.delete(name)
      const leaving = mover.close()
      this.#leaving.add(leaving)
      void leaving.finally(() => this.#leaving.delete(leaving))
    }
    for (const [name, spec] of Object.entries(wanted))
      if (!this.#movers.has(name))
        this.#movers.set(name, new DataMover(name, spec, coordinator, this.#runtime))
  }

  /** By name; undefined if there are none. */
  states(): Record<string, HostedShardsState> | undefined {
    const entries = Object.entries(this.#wanted)
    if (entries.length === 0) return undefined
    return Object.fromEntries(
      entries.map(([name, { databases }]) => [
        name,
        {
          databases: redact(databases) as Record<string, string>,
          ...(this.#movers.get(name)?.state() ?? UNREACHED),
        },
      ]),
    )
  }

  async close(): Promise<void> {
    this.follow({})
    await Promise.all(this.#leaving)
  }
}

const UNREACHED = { ready: false, moves: 0, stuck: 0, problem: 'the coordinator was not reached yet' }
