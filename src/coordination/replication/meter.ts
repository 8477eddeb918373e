import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'

/**
 * Why a read was served where it was: a follower was fresh enough at once, or after a wait; the leader was preferred, or no follower
 * was fresh enough in time, or there was none to wait for.
 */
export type Why = 'fresh' | 'waited' | 'preferred' | 'behind' | 'alone'

/** What is refused for what is the matter with the servers, and not with what was asked of them. */
const FAILURES = new Set([
  ...['BANYAN_LEADER_UNKNOWN', 'BANYAN_REPLICA_LOST', 'BANYAN_REPLICAS_BUSY', 'BANYAN_OUTCOME_UNKNOWN'],
  ...['BANYAN_FOLLOWER_BEHIND', 'BANYAN_TOKEN_LOST', 'BANYAN_TOKEN_FOREIGN'],
])

/** What is measured of what is routed, by `banyan.replicas`. */
export class ReplicasMeter {
  readonly #reads: Counter
  readonly #writes: Counter
  readonly #failures: Counter
  readonly #wait: Histogram

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.replicas.reads` | `{read}` | reads that were served, by `banyan.replicas.node` and `banyan.why`, see {@link Why} |
   * | `banyan.replicas.writes` | `{write}` | writes that were committed, by `banyan.replicas.node` |
   * | `banyan.replicas.failures` | `{failure}` | those that failed for the servers, by `banyan.mode`, `read` or `write`, and `error.type` |
   * | `banyan.replicas.wait` | s | how long reads waited for a follower, of those that did |
   */
  constructor({ telemetry }: Runtime, name: string) {
    const attributes = { 'banyan.replicas': name }
    const counter = (metric: string, description: string, unit: string): Counter =>
      telemetry.counter(`banyan.replicas.${metric}`, { description, unit, attributes })
    this.#reads = counter('reads', 'Reads that were served.', '{read}')
    this.#writes = counter('writes', 'Writes that were committed.', '{write}')
    this.#failures = counter('failures', 'Reads and writes that failed for the servers.', '{failure}')
    this.#wait = telemetry.histogram('banyan.replicas.wait', {
      description: 'How long reads waited for a follower.',
      unit: 's',
      attributes,
    })
  }

  served(node: string, why: Why): void {
    this.#reads.add(1, { 'banyan.replicas.node': node, 'banyan.why': why })
  }

  committed(node: string): void {
    this.#writes.add(1, { 'banyan.replicas.node': node })
  }

  failed(mode: 'read' | 'write', error: unknown): void {
    if (error instanceof BanyanError && FAILURES.has(error.code))
      this.#failures.add(1, { 'banyan.mode': mode, 'error.type': error.code })
  }

  /** @param ms - for a follower that is fresh enough, whether there was one in the end or not */
  waited(ms: number): void {
    this.#wait.record(ms / 1000)
  }
}
