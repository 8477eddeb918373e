import type { EventLog } from '../log.js'
import { created } from './group/create.js'
import { describe } from './manage/description.js'
import { clearDeleted } from './manage/remove.js'
import { settingsOf, type SubscriptionOptions } from './options.js'

/**
 * Makes sure that there is a subscription, without taking part in it: messages count for it from then on.
 *
 * @throws `BANYAN_SUBSCRIPTION_MISMATCH`, `BANYAN_INVALID_OPTIONS`, and what the log throws
 */
export async function createSubscription(log: EventLog, options: SubscriptionOptions): Promise<void> {
  const settings = settingsOf(options)
  await clearDeleted(log, settings)
  await created(log, settings)
  // Operators see less without it.
  await describe(log, settings).catch(() => undefined)
}
