import type { LogDriver, StoredEvent } from './driver.js'
import { eventError } from './errors.js'
import type { Position } from './log.js'

/**
 * The part of a driver that lets its log be followed, and be a follower: optional. Whoever follows has each event at the
 * same position and revision, and no event that the leader has truncated.
 *
 * Laws, which `logConformance` checks:
 *
 * 1. A log has an id, made with it, which its copies keep; and epochs, which rise: each begins behind a position.
 * 2. What is not a leader's refuses appends, truncations and holds, in every process, also after a restart.
 * 3. `apply` is atomic: position, events, truncations and epochs change together, durably, or nothing does.
 */
export interface Replica {
  /** What the log is, as of one moment. */
  state(): Promise<ReplicaState>
  /** What was answered to those of these commits of which events were removed, and which are still known. */
  outcomes(ids: readonly string[]): Promise<readonly KnownOutcome[]>
  /** Up to `limit` streams that were truncated behind the `number`th truncation, by their number. */
  truncations(after: number, limit: number): Promise<readonly StreamTruncation[]>
  /**
   * Takes over what a leader has shipped.
   *
   * @returns false if the log does not end at `shipment.after`, as another process has applied something: nothing was done
   * @throws `BANYAN_UNSUPPORTED` if the log is not a follower; what the engine throws: nothing was done
   */
  apply(shipment: Shipment): Promise<boolean>
  /**
   * Changes what the log is.
   *
   * @param from - what it must be: role and the number of the epoch
   * @returns what it is then, or is if it was not as expected
   */
  become(change: RoleChange, from: { role: Role; epoch: number }): Promise<ReplicaState>
}

/** A driver that brings it. */
export interface ReplicatedDriver extends LogDriver {
  readonly replica: Replica
}

export function isReplicated(driver: LogDriver): driver is ReplicatedDriver {
  return 'replica' in driver && driver.replica !== undefined
}

/**
 * `leader`: takes appends; what every log is that was never anything else. `follower`: a copy, which only `apply` changes.
 * `fenced`: was the leader, and another log took its place.
 */
export type Role = 'leader' | 'follower' | 'fenced'

/** What was the time of one leader. */
export interface Epoch {
  /** From 1; each promotion begins the next. */
  readonly epoch: number
  /** What was in the log before it. */
  readonly after: Position
  /** Tells it from an epoch of the same number that began elsewhere. */
  readonly id: string
}

export interface ReplicaState {
  /** Id of the log, the same in all of its copies. */
  readonly log: string
  readonly role: Role
  /** Rising; at least one. */
  readonly epochs: readonly Epoch[]
  /** The higher epoch for which it gave way, if it is fenced and knows. */
  readonly fencedBy?: number
  /** Id of that epoch. */
  readonly fencedFor?: string
  /** Whom a follower follows, or a leader has followed until it was promoted. */
  readonly leader?: string
  readonly head: Position
  /** Number of the last truncation. */
  readonly truncation: number
  readonly holds: readonly { readonly name: string; readonly position: Position }[]
}

export interface RoleChange {
  readonly role: Role
  /** In place of those it has; for a log without events also `log` may change. */
  readonly epochs?: readonly Epoch[]
  readonly log?: string
  readonly leader?: string
  readonly fencedBy?: number
  readonly fencedFor?: string
}

/** What was answered to a commit. */
export interface KnownOutcome {
  readonly id: string
  readonly digest: number
  /** Of its last event. */
  readonly position: Position
  /** The last revision of each of its streams. */
  readonly revisions: readonly number[]
}

/** What was removed of a stream, in all. */
export interface StreamTruncation {
  /** Rises with each truncation of any stream; a stream has that of its last one. */
  readonly number: number
  readonly stream: string
  readonly category: string
  /** Below it nothing is left. */
  readonly firstRevision: number
  /** Whether ids were forgotten along with the events, see `Truncation`. */
  readonly forget: boolean
}

/** A part of a log on its way to a follower. */
export interface Shipment {
  readonly after: Position
  /** All that the leader has up to here is in it. */
  readonly upTo: Position
  readonly commits: readonly ShippedCommit[]
  /** To be done after the commits, in order. A stream may be truncated further than the follower has it. */
  readonly truncations: readonly StreamTruncation[]
  /** Those of the leader. */
  readonly epochs: readonly Epoch[]
  readonly holds: ReplicaState['holds']
}

export interface ShippedCommit {
  readonly id: string
  readonly digest: number
  /** Only if events of it were removed: what was answered to it. */
  readonly outcome?: KnownOutcome
  /** In order of their positions. */
  readonly events: readonly StoredEvent[]
}

/** The epoch that a log is in. */
export function epochOf({ epochs }: Pick<ReplicaState, 'epochs'>): number {
  return epochs.at(-1)!.epoch
}

/** Why a log that is no leader is not written to. */
export function notLeader(state: Pick<ReplicaState, 'role' | 'leader' | 'fencedBy' | 'epochs'>): Error {
  const epoch = epochOf(state)
  if (state.role === 'fenced')
    return eventError(
      'BANYAN_LOG_FENCED',
      `this log was the leader in epoch ${epoch}, and gave way` +
        (state.fencedBy === undefined ? '' : ` to the leader of epoch ${state.fencedBy}`) +
        '; nothing was done. Append to the new leader',
    )
  return eventError(
    'BANYAN_READ_ONLY',
    `this log is a copy that follows ${state.leader ?? 'another log'}; nothing was done. Append to the leader`,
  )
}
