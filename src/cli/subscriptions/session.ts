import type { Subscriptions, TopicInfo } from '../../events/index.js'
import { subscriptions, topics } from '../../events/pubsub/manage/index.js'
import type { PlaceOptions } from '../events/place.js'
import { onLog, type Session } from '../events/session.js'

/** What a command on subscriptions has. */
export interface SubscriptionsSession extends Session {
  readonly manage: Subscriptions
  /** The topics of the log. */
  readonly topics: () => AsyncIterable<TopicInfo>
}

/** As {@link onLog}; a running node is asked for its subscriptions, as not all that it takes goes over its log. */
export async function onSubscriptions(
  where: PlaceOptions,
  work: (session: SubscriptionsSession) => Promise<void>,
): Promise<void> {
  await onLog(where, async (session) => {
    const { log, place, signal } = session
    if ('admin' in place) {
      const { nodeSubscriptions, nodeTopics } = await import('./node-subscriptions.js')
      const { admin } = place
      await work({ ...session, manage: nodeSubscriptions(admin), topics: () => nodeTopics(admin, signal) })
    } else await work({ ...session, manage: subscriptions(log), topics: () => topics(log, { signal }) })
  })
}
