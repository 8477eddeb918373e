import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import type { EventLog, Position } from '../../log.js'
import { readGroup } from '../group/create.js'
import { appendToGroup, changeGroup, redriveLanes, skipHead } from './change.js'
import { deadLettersOf, type DeadLetter } from './dead-letters.js'
import { namesOf } from './picture.js'
import { removeSubscription } from './remove.js'
import { seekTo, type SeekTarget } from './seek.js'
import {
  infoOf,
  statusOf,
  type StatusOptions,
  type SubscriptionInfo,
  type SubscriptionStatus,
} from './status.js'

/**
 * Subscriptions as operators see and move them. All of it stands in the log: whether a process runs a subscription, and
 * which, does not matter; one that does follows at once.
 *
 * Methods with a `name` throw `BANYAN_SUBSCRIPTION_UNKNOWN` if there is no such subscription, and what the log throws.
 */
export interface Subscriptions {
  /** All of them, by name. */
  list(options?: { signal?: AbortSignal }): AsyncIterable<SubscriptionInfo>
  /** How far a subscription is, what waits, and which lanes do not simply go on. */
  status(name: string, options?: StatusOptions): Promise<SubscriptionStatus>
  /** The messages that were given up, the oldest failure first. */
  deadLetters(name: string, options?: { signal?: AbortSignal }): AsyncIterable<DeadLetter>
  /**
   * Lets parked lanes go on with the message that failed, as if it had never been tried; what it held back follows in
   * order.
   *
   * @param lanes - names of lanes, as the status tells them
   * @returns those that were parked and go on
   */
  redrive(name: string, lanes: readonly string[] | 'all'): Promise<readonly string[]>
  /**
   * Lets a parked lane go on behind the message that failed: that is never handled.
   *
   * @param position - of that message, so that no other one is skipped
   * @throws `BANYAN_CONFLICT`: the lane is not parked with this message any more
   */
  skip(name: string, lane: string, position: Position): Promise<void>
  /**
   * Moves a subscription to another place of the log, all partitions in one commit. Messages behind that place come, also
   * those that were handled; dead letters before it stay.
   *
   * @returns the position behind which it goes on
   * @throws `BANYAN_POSITION_TRUNCATED`: events behind that place were removed; `BANYAN_POSITION_AHEAD`,
   *   `BANYAN_INVALID_POSITION`
   */
  seek(name: string, to: SeekTarget): Promise<Position>
  /** Begins no deliveries any more, in any process, until it is resumed; what is being handled is finished. */
  pause(name: string): Promise<void>
  resume(name: string): Promise<void>
  /**
   * Deletes a subscription: how far it is, its dead letters, and what it keeps from being truncated. The same name can be
   * taken again, and is a new subscription then.
   *
   * @param options.force - also if processes take part that are not known to have ended. Default false.
   * @throws `BANYAN_SUBSCRIPTION_IN_USE`
   */
  delete(name: string, options?: { force?: boolean }): Promise<void>
}

/** Options of {@link subscriptions}. */
export interface SubscriptionsOptions {
  /** Time; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<SubscriptionsOptions> = {
  runtime: { kind: 'code', type: 'object', doc: 'time' },
}

/** The subscriptions of a log, for operators. */
export function subscriptions(log: EventLog, options: SubscriptionsOptions = {}): Subscriptions {
  checkOptions('subscriptions', OPTIONS, options)
  const { clock } = options.runtime ?? systemRuntime
  return {
    async *list({ signal } = {}) {
      for await (const name of namesOf(log, signal)) {
        const { state } = await readGroup(log, name)
        if (state.isCreated) yield infoOf(name, state)
      }
    },
    status: (name, how = {}) => statusOf(log, clock, name, how),
    deadLetters: (name, { signal } = {}) => deadLettersOf(log, name, signal),
    redrive: (name, lanes) => redriveLanes(log, name, lanes),
    skip: (name, lane, position) => skipHead(log, name, lane, position),
    seek: (name, to) => seekTo(log, name, to),
    pause: (name) => setPaused(log, name, true),
    resume: (name) => setPaused(log, name, false),
    delete: (name, { force = false } = {}) => removeSubscription(log, name, force),
  }
}

async function setPaused(log: EventLog, name: string, isPaused: boolean): Promise<void> {
  await changeGroup(log, name, async (picture) => {
    if (picture.group.isPaused === isPaused) return true
    const event = { type: isPaused ? 'Paused' : 'Resumed', data: {} } as const
    return (await appendToGroup(log, picture, [event])) && true
  })
}
