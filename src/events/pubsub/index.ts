/**
 * Pub/sub: topics of the log, and subscriptions whose messages are handled in order for each key, at the same time across
 * keys. `lanes/` is what decides that, without I/O; `ledger/` writes how far a partition is; `group/` shares partitions
 * among processes; `engine/` brings the three together; `push/` sends
 * messages to an HTTP endpoint.
 */
export { pubSub, type EventChannel, type Interest, type PubSubOptions, type Topics } from './channel.js'
export { deadLetter, type HandleOptions } from './consume.js'
export type { Guarantees } from './guarantees.js'
export type { Fencing, Handler, HandlerContext, HandlerResult, Message, Middleware, Nack } from './message.js'
export type { DeliveryGuarantee, SubscriptionOptions } from './options.js'
export {
  push,
  verifyWebhook,
  type Push,
  type PushInit,
  type PushOptions,
  type PushStatus,
  type Send,
  type VerifiedWebhook,
  type VerifyWebhookOptions,
  type WebhookHeaders,
} from './push/index.js'
export { subscribe, type LocalStatus, type PullOptions, type Subscription } from './subscription.js'
export { topic, type NewMessage, type Published, type Topic } from './topic.js'
