import type { Message, PullOptions } from '../pubsub/index.js'
import type { Deliveries } from './deliveries.js'
import { problem } from './problem.js'
import type { Scope } from './scope.js'

/** A subscription whose messages clients take. */
export interface PulledSubscription {
  readonly topic: string
  /** How long handling a message may take, in ms. */
  readonly deadline: number
  /** Those that are with clients. */
  readonly deliveries: Deliveries
  pull(options: PullOptions): Promise<readonly Message[]>
}

/** @returns undefined if there is none of that name that clients take messages from */
export type FindSubscription = (name: string) => PulledSubscription | undefined

/** @throws a problem of 404 if there is none of that name, of 403 if it is not open to clients */
export function findSubscription(
  name: string,
  { findSubscription: find, scope }: { findSubscription: FindSubscription; scope: Scope },
): PulledSubscription {
  const found = find(name)
  if (!found)
    throw problem(
      404,
      'subscription-unknown',
      `There is no subscription ${JSON.stringify(name)} here whose messages are pulled.`,
    )
  scope.checkSubscription(name, found.topic)
  return found
}
