/**
 * Subscriptions and topics as operators see and move them, from the log alone: `picture.ts` reads what it says,
 * `status.ts` and `lag.ts` tell how far that is, `change.ts`, `seek.ts` and `remove.ts` move it. Whoever runs a
 * subscription is told through the stream of its group.
 */
export type { DeadLetter } from './dead-letters.js'
export type { SubscriptionDescription } from './description.js'
export type { Counted } from './lag.js'
export type { SeekTarget } from './seek.js'
export type {
  LaneStatus,
  PartitionStatus,
  StatusOptions,
  SubscriptionInfo,
  SubscriptionStatus,
} from './status.js'
export { subscriptions, type Subscriptions, type SubscriptionsOptions } from './subscriptions.js'
export { topics, type TopicInfo, type TopicsOptions } from './topics.js'
