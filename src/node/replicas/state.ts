import type { Promotion as ReplicaPromotion, ReplicasState } from '../../coordination/index.js'
import type { FollowerStatus, Promotion as FollowerPromotion } from '../../events/index.js'

/** What the event log of the node goes by among the replicas that it shows. */
export const LOG_NAME = 'events'

/** A database with followers that the node watches; what JSON can hold. */
export interface DatabaseReplicasState extends ReplicasState {
  readonly kind: 'database'
  /** Whether a coordinator says who leads; without, nobody is promoted from here. */
  readonly agreed: boolean
}

/** A copy of the log of the node that asks it for what is new. */
export interface LogFollowerState {
  /** What it calls itself, or who it was authenticated as. */
  readonly name: string
  /** Up to here it has everything. */
  readonly position: string
  /** Positions that it did not have when it was last heard of. */
  readonly behind: number
  readonly epoch: number
  /** ms since it was last heard of. */
  readonly contact: number
}

/** The event log of the node as one of several copies. */
export interface LogReplicaState {
  readonly kind: 'log'
  readonly name: typeof LOG_NAME
  /** `leader`: takes appends. `follower`: a copy that only reads. `fenced`: gave way to another leader. */
  readonly role: 'leader' | 'follower' | 'fenced'
  /** The id of the log, the same in all copies. */
  readonly log: string
  readonly epoch: number
  /** The epoch for which it gave way, if that is known. */
  readonly fencedBy?: number
  readonly position: string
  /** Of a follower: how it is. */
  readonly following?: Omit<FollowerStatus, 'log' | 'epoch' | 'position' | 'problem'> & {
    /** Reads that were answered here, and by the leader. */
    readonly reads: { readonly here: number; readonly leader: number }
  }
  /** What to see to. */
  readonly problem?: string
  /** Who has asked for what is new in the last minute, by name. */
  readonly followers: readonly LogFollowerState[]
}

export type HostedReplicasState = DatabaseReplicasState | LogReplicaState

/** What an operator says about a promotion. */
export interface PromoteRequest {
  /** Of a database: who shall lead. Default: the follower that has received most. */
  readonly to?: string
  /** Whether to go on if the leader cannot hand over: what it has not sent is lost. Default false. */
  readonly force?: boolean
}

export type HostedPromotion =
  | ({ readonly kind: 'database' } & ReplicaPromotion)
  | ({ readonly kind: 'log'; readonly how: FollowerPromotion['kind'] } & Omit<FollowerPromotion, 'kind'>)

/** What operators see of replicas, and do to them. */
export interface ReplicaControl {
  /** In the order of their names. */
  list(): Promise<readonly HostedReplicasState[]>
  /** @throws {@link BanyanError} that says why not; of what is not there, undefined */
  promote(name: string, request: PromoteRequest): Promise<HostedPromotion | undefined>
}
