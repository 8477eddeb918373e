import type { EventLog, RecordedEvent } from '../../log.js'
import { settingsOf, type Settings, type SubscriptionOptions } from '../../pubsub/options.js'
import { takePart, type Subscription } from '../../pubsub/subscription.js'
import { startHere } from '../here.js'
import { startOf } from '../journal.js'
import { selectionOf, type AnyPolicy } from './policy.js'
import { isWanted, metadataOf, reactionId } from './reaction.js'

/** Starts the reactions of a policy. */
export interface ReactionStarter {
  readonly subscription: Subscription
  /** From here on. */
  begin(): void
}

/**
 * Starts a reaction to each event of a policy, under the id of the event: one that comes again starts nothing.
 *
 * @param options - how it is shared among processes
 * @throws `BANYAN_SUBSCRIPTION_MISMATCH`, and what the log throws
 */
export async function startReactions(
  log: EventLog,
  policy: AnyPolicy,
  options: Pick<SubscriptionOptions, 'partitions' | 'takeover' | 'drain' | 'runtime'>,
): Promise<ReactionStarter> {
  const { name, where } = policy
  const settings: Settings = {
    ...settingsOf({
      ...selectionOf(policy),
      ...(where && { where: (event: RecordedEvent) => mayBeWanted(where, event) }),
      ...options,
      // To start one takes no longer than to append: it can wait for the one before of its stream, and then it is known how
      // many wait. What the reactions do waits for nobody.
      park: 'message',
      attempts: 1_000_000_000,
      backoff: { base: '1s', max: '1m' },
    }),
    // What cannot be read yet is a matter of the reaction, where somebody sees it.
    faults: 'give',
  }
  const subscription = await takePart(log, settings)
  const begin = (): void => {
    subscription.handle(async (event) => {
      const { stream, revision } = event
      const started = {
        ...{ format: 1 as const, saga: name, version: 1, reaction: true as const },
        input: { stream, revision },
      }
      const [id, metadata] = [reactionId(name, event.id), metadataOf(event)]
      if ((await startHere(log, id, started, metadata)) !== undefined) return
      const start = startOf(id, started, settings.runtime, metadata)
      await log.append({ streams: start.map((append) => ({ ...append, expected: 'none' })) })
    })
  }
  return { subscription, begin }
}

/** What says neither yes nor no is a matter of the reaction, too: it asks again, and is parked. */
function mayBeWanted(where: NonNullable<AnyPolicy['where']>, event: RecordedEvent): boolean {
  try {
    return isWanted(where, event)
  } catch {
    return true
  }
}
