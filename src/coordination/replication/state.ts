import type { Role } from './judge.js'

/** A server, for operators; what JSON can hold. */
export interface ReplicaState {
  readonly node: string
  /** Where it is. */
  readonly place: string
  readonly role: Role
  /** Whether it is used: for writes and reads as the leader, for reads as a follower. */
  readonly healthy: boolean
  /** Why it is not, or what to see to. */
  readonly problem?: string
  readonly timeline?: number
  /** As PostgreSQL writes it. Of a follower, what it has received. */
  readonly received?: string
  /** Of a follower, up to where reads see; of a leader, where it is. */
  readonly replayed?: string
  /** How much a follower lacks of what the leader was last seen to have. */
  readonly lagBytes?: number
  /** How long ago the leader had what a follower still lacks, at most, in ms. Undefined: longer than it was looked at. */
  readonly lagMs?: number
  /** Of an old leader: whether it accepts no writes any more. */
  readonly fenced?: boolean
  /** Transactions of this router that are under way there. */
  readonly inFlight: number
}

/** What a router sees; what JSON can hold. */
export interface ReplicasState {
  readonly name: string
  /** Who takes writes. */
  readonly leader?: string
  /** Why nobody does. */
  readonly problem?: string
  readonly cluster?: string
  /** The newest that anybody has told of. */
  readonly timeline?: number
  /** In the order in which they were given. */
  readonly nodes: readonly ReplicaState[]
}

/** Whether those who watch would see something new: positions and lags always are. */
export function isSameState(a: ReplicasState, b: ReplicasState): boolean {
  return summary(a) === summary(b)
}

function summary({ leader, problem, cluster, timeline, nodes }: ReplicasState): string {
  const each = nodes.map(({ node, role, healthy, problem, timeline, fenced }) => [
    ...[node, role, healthy, problem, timeline, fenced],
  ])
  return JSON.stringify([leader, problem, cluster, timeline, each])
}
