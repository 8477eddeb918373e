import type { EventLog } from '../../log.js'
import { SUBSCRIPTIONS } from '../group/names.js'
import { termsOf, type Terms } from '../guarantees.js'
import type { Settings } from '../options.js'

/** What the process that took part last has said of how it follows the topic and handles messages. */
export interface SubscriptionDescription extends Terms {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
  /** Whether a `where` function leaves messages out. */
  readonly where: boolean
}

interface Described {
  type: 'Described'
  data: SubscriptionDescription
}

/** The stream of a subscription's description. */
export function descriptionStream(name: string): string {
  return `${SUBSCRIPTIONS}-${name}/description`
}

/** Undefined if nobody has left one. */
export async function descriptionOf(
  log: EventLog,
  name: string,
): Promise<SubscriptionDescription | undefined> {
  const last = { backwards: true, limit: 1 }
  for await (const { data } of log.read<Described>({ stream: descriptionStream(name) }, last)) return data
  return undefined
}

/** Leaves word for operators, if what is there says something else. */
export async function describe(log: EventLog, settings: Settings): Promise<void> {
  const { name, selector, where } = settings
  const data: SubscriptionDescription = {
    ...(selector.types && { types: selector.types }),
    ...(selector.tags && { tags: selector.tags }),
    where: where !== undefined,
    ...termsOf(settings),
  }
  if (JSON.stringify(await descriptionOf(log, name)) === JSON.stringify(data)) return
  const stream = descriptionStream(name)
  const result = await log.append({ streams: [{ stream, events: [{ type: 'Described', data }] }] })
  if (result.ok) await log.truncate({ stream, beforeRevision: result.streams[0]!.revision })
}
