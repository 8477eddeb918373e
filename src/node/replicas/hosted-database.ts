import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Telemetry } from '../../core/telemetry.js'
import { showReplicas } from '../../coordination/replication/gauges.js'
import {
  openReplicas,
  promoteReplica,
  type Coordinator,
  type Promotion,
  type Replicas,
  type ReplicaState,
} from '../../coordination/index.js'
import type { ReplicasSpec } from '../spec.js'
import type { DatabaseReplicasState, PromoteRequest } from './state.js'

/** A few, as it only looks. */
const CONNECTIONS = 2

/** A database with followers that this node watches, and fences old leaders of. */
export class HostedDatabase {
  readonly spec: ReplicasSpec
  readonly #name: string
  readonly #runtime: Runtime
  #hide: (() => void) | undefined
  #coordinator: Coordinator | undefined
  #replicas: Replicas<unknown>
  /** Changes of what it is opened with, one after the other. */
  #changing: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(name: string, spec: ReplicasSpec, replicas: Replicas<unknown>, runtime: Runtime) {
    this.spec = spec
    this.#name = name
    this.#runtime = runtime
    this.#replicas = replicas
  }

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`, `BANYAN_DRIVER_MISSING` */
  static async open(name: string, spec: ReplicasSpec, runtime: Runtime): Promise<HostedDatabase> {
    const replicas = await openReplicas({
      ...spec,
      ...{ name, runtime: quiet(runtime), connections: CONNECTIONS },
    })
    return new HostedDatabase(name, spec, replicas, runtime)
  }

  /** Shows its gauges, in the place of those of another of that name. */
  begin(): void {
    this.#hide = showReplicas(
      this.#runtime.telemetry,
      this.#name,
      Object.keys(this.spec.nodes),
      () => this.#replicas.state,
    )
  }

  /** Obeys what a coordinator says of who leads from now on. */
  agreeOn(coordinator: Coordinator): void {
    this.#changing = this.#changing
      .then(() => this.#agree(coordinator))
      .catch((error: unknown) => {
        this.#runtime.telemetry.log(
          'error',
          `the replicas ${this.#name} cannot be agreed on: ${String(error)}`,
        )
      })
  }

  get state(): DatabaseReplicasState {
    return { kind: 'database', agreed: this.#coordinator !== undefined, ...this.#replicas.state }
  }

  /** @throws {@link BanyanError} `BANYAN_PROMOTION_REFUSED`; what the coordinator and the servers throw */
  async promote({ to, force = false }: PromoteRequest): Promise<Promotion> {
    if (!this.#coordinator)
      throw refused(
        this.#name,
        'this node has no coordinator, or has not reached it yet: without, nobody could keep others from writing to the old leader. Say which one with `coordination`',
      )
    const { nodes } = this.#replicas.state
    return promoteReplica(this.#coordinator, this.#replicas, { to: to ?? this.#best(nodes), force })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#hide?.()
    await this.#changing
    await this.#replicas.close()
  }

  async #agree(coordinator: Coordinator): Promise<void> {
    if (this.#closed) return
    const before = this.#replicas
    this.#replicas = await openReplicas({
      ...this.spec,
      ...{ name: this.#name, runtime: quiet(this.#runtime), connections: CONNECTIONS, coordinator },
    })
    this.#coordinator = coordinator
    await before.close()
  }

  /** The follower that has received most. */
  #best(nodes: readonly ReplicaState[]): string {
    const [best] = nodes
      .filter(({ role, replayed }) => role === 'follower' && replayed !== undefined)
      .sort((a, b) => (a.lagBytes ?? Infinity) - (b.lagBytes ?? Infinity))
    if (best) return best.node
    throw refused(this.#name, 'none of its servers that can be reached is a follower')
  }
}

/** What is opened may never come into force: its gauges are shown when it does. */
function quiet(runtime: Runtime): Runtime {
  const { telemetry } = runtime
  const quiet: Telemetry = {
    counter: (...of) => telemetry.counter(...of),
    histogram: (...of) => telemetry.histogram(...of),
    gauge: () => () => undefined,
    get traces() {
      return telemetry.traces
    },
    span: (...of) => telemetry.span(...of),
    log: (...of) => telemetry.log(...of),
  }
  return { ...runtime, telemetry: quiet }
}

function refused(name: string, why: string): Error {
  return new BanyanError('BANYAN_PROMOTION_REFUSED', `nobody of ${name} was promoted: ${why}`)
}
