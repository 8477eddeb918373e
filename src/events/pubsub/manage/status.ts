import type { Clock } from '../../../core/clock.js'
import type { EventLog, Position } from '../../log.js'
import { isGone } from '../../owner.js'
import type { GroupState } from '../group/state.js'
import { guaranteesOf, type Guarantees } from '../guarantees.js'
import type { Head, LaneRecord } from '../ledger/state.js'
import { descriptionOf, type SubscriptionDescription } from './description.js'
import { LagCount, type Counted } from './lag.js'
import { pictureOf, type Picture } from './picture.js'

/** A subscription of a log. */
export interface SubscriptionInfo {
  readonly name: string
  readonly topic: string
  readonly isPaused: boolean
  /** Processes that take part; not those that are known to have ended. */
  readonly members: readonly string[]
  /** How many processes can work on it at the same time. */
  readonly partitions: number
  /** The shard map that says who works on which; undefined: they are shared evenly. */
  readonly assignment?: string
}

/** How far a subscription is. */
export interface SubscriptionStatus extends SubscriptionInfo {
  /**
   * Messages that wait to be handled; those that parked lanes hold back do not. Where {@link SubscriptionDescription.key} or
   * {@link SubscriptionDescription.where} is a function, as many as it may be.
   */
  readonly waiting: Counted
  /** How long the oldest of them has been waiting, ms; 0 if none waits. */
  readonly age: number
  /** How many lanes do not simply go on: by what they wait for. */
  readonly stalled: Readonly<Record<LaneRecord['state'], number>>
  /** Of those lanes the first, parked ones before others. */
  readonly lanes: readonly LaneStatus[]
  readonly owners: readonly PartitionStatus[]
  /** Undefined if no process has said. */
  readonly description?: SubscriptionDescription
  /** What that promises. */
  readonly guarantees?: Guarantees
}

/** A partition of a subscription. */
export interface PartitionStatus {
  readonly partition: number
  /** The process that works on it; undefined if none does. */
  readonly owner?: string
  /** Everything up to here is settled, or belongs to a lane that does not simply go on. */
  readonly cursor: Position
}

/** A lane that does not simply go on: the messages of a key, or one without a key. */
export interface LaneStatus {
  /** Its name: the key (with another `@` in front if it begins with one), or `@position` of a message without a key. */
  readonly lane: string
  readonly key?: string
  readonly partition: number
  /** Its messages up to here are settled. */
  readonly after: Position
  /** `behind`: its messages are read when its turn comes; `retrying`: at `due`; `parked`: a dead letter, until somebody redrives or skips it. */
  readonly state: LaneRecord['state']
  /** The message that failed. */
  readonly head?: Head
  /** How often it was tried without success. */
  readonly attempts: number
  /** When it is tried again, ms since the epoch. */
  readonly due?: number
  /** Why it failed the last time. */
  readonly reason?: string
  /** When, ms since the epoch. */
  readonly failed?: number
  /** Messages behind it that wait for it; only of parked lanes, and undefined if a `key` function decides. */
  readonly heldBack?: Counted
}

/** How much to look at. */
export interface StatusOptions {
  /** How far to count what waits. Default 10,000. */
  count?: number
  /** How many lanes to tell of. Default 100. */
  lanes?: number
  signal?: AbortSignal
}

/** How far to count what one lane holds back. */
const HELD_BACK = 1000

const URGENCY: Record<LaneRecord['state'], number> = { parked: 0, retrying: 1, behind: 2 }

/** @throws `BANYAN_SUBSCRIPTION_UNKNOWN` */
export async function statusOf(
  log: EventLog,
  clock: Clock,
  name: string,
  { count = 10_000, lanes = 100, signal }: StatusOptions,
): Promise<SubscriptionStatus> {
  const picture = await pictureOf(log, name)
  const description = await descriptionOf(log, name)
  const counter = new LagCount(log, picture, description, signal)
  const { waiting, oldest } = await counter.lag(count)
  const stalled = lanesOf(picture).filter(({ record }) => !counter.idle.has(record))
  const told: LaneStatus[] = []
  for (const { partition, record } of stalled.slice(0, lanes)) {
    const heldBack = record.state === 'parked' ? await counter.heldBack(record, HELD_BACK) : undefined
    told.push({ ...record, partition, ...(heldBack && { heldBack }) })
  }
  return {
    ...infoOf(name, picture.group),
    waiting,
    age: oldest === undefined ? 0 : Math.max(0, clock.wall() - oldest),
    stalled: {
      parked: stalled.filter(({ record }) => record.state === 'parked').length,
      retrying: stalled.filter(({ record }) => record.state === 'retrying').length,
      behind: stalled.filter(({ record }) => record.state === 'behind').length,
    },
    lanes: told,
    owners: picture.ledgers.map(({ owner, cursor }, partition) => ({
      partition,
      ...(owner !== undefined && !isGone(owner) && { owner }),
      cursor,
    })),
    ...(description && {
      description,
      guarantees: guaranteesOf(description, picture.ledgers.length, log.capabilities),
    }),
  }
}

export function infoOf(
  name: string,
  { topic, isPaused, members, partitions, terms }: GroupState,
): SubscriptionInfo {
  const present = members.filter((member) => !isGone(member))
  const assignment = terms?.assignment
  return {
    name,
    topic,
    isPaused,
    members: present,
    partitions: partitions.length,
    ...(assignment !== undefined && { assignment }),
  }
}

/** Lanes with a record, the most urgent first. */
export function lanesOf({ ledgers }: Picture): { partition: number; record: LaneRecord }[] {
  const all = ledgers.flatMap(({ lanes }, partition) =>
    [...lanes.values()].map((record) => ({ partition, record })),
  )
  return all.sort(
    ({ record: a }, { record: b }) =>
      URGENCY[a.state] - URGENCY[b.state] ||
      (a.failed ?? 0) - (b.failed ?? 0) ||
      (a.after < b.after ? -1 : 1),
  )
}
