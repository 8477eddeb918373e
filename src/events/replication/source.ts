import type { Page, Query } from '../driver.js'
import type { Position } from '../log.js'
import type { Epoch, ReplicaState, ShippedCommit, StreamTruncation } from '../replica.js'

/** What a follower asks its leader. `overHttp` asks over HTTP; {@link leaderOf} answers. */
export interface Leader {
  /** Its name for people, such as its address. */
  readonly name: string
  /**
   * What the follower does not have yet; waits for something if there is nothing.
   *
   * @throws `BANYAN_FOLLOWER_FOREIGN`, `BANYAN_FOLLOWER_DIVERGED`, `BANYAN_FOLLOWER_AHEAD`, `BANYAN_FOLLOWER_GAP`,
   *   `BANYAN_LOG_FENCED`, `BANYAN_UNSUPPORTED`; `BANYAN_LOG_UNAVAILABLE` if it cannot be reached
   */
  pull(request: PullRequest, signal: AbortSignal): Promise<Pulled>
  state(signal: AbortSignal): Promise<ReplicaState>
  /** Stops taking appends, for good, for a leader of a higher epoch. @returns what it is then */
  giveWay(request: GiveWayRequest, signal: AbortSignal): Promise<ReplicaState>
  /** A page of it, for reads that cannot wait for the follower. */
  read(query: Query, signal: AbortSignal): Promise<Page>
}

/** What a follower has, and wants. */
export interface PullRequest {
  /** Id of its log; none if it has nothing yet. */
  readonly log?: string
  /** Its own, so that a leader learns of the next one. None if it has nothing yet. */
  readonly epochs: readonly Epoch[]
  readonly after: Position
  /** The event at that position, if it is still there. */
  readonly last?: { readonly commit: string; readonly checksum: number }
  /** Number of the last truncation that it has. */
  readonly truncation: number
  /** Events, about. */
  readonly limit: number
  /** ms to wait for something. */
  readonly wait: number
}

/** What a leader answers. */
export interface Pulled {
  /** Of the leader. */
  readonly state: ReplicaState
  readonly upTo: Position
  readonly commits: readonly ShippedCommit[]
  readonly truncations: readonly StreamTruncation[]
  /** There was nothing more when it was answered. */
  readonly end: boolean
}

/** Why a leader has to give way. */
export interface GiveWayRequest {
  /** Id of the log. */
  readonly log: string
  /** The epoch that it leads, and that which takes its place. */
  readonly epoch: number
  readonly to: number
  /** Id of that epoch. */
  readonly id: string
}
