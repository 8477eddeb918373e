import { suggest } from '../../core/suggest.js'
import type { NodeSpec } from '../../node/spec.js'
import { askAdmin } from '../admin-client.js'
import { append, type AppendOptions } from '../events/append.js'
import type { Place } from '../events/place.js'
import { printable } from '../events/show/printable.js'
import { UsageError } from '../usage-error.js'

/** Options of `banyan topics publish`. */
export interface PublishOptions extends Omit<AppendOptions, 'expect' | 'batch'> {
  key?: string
}

/** `banyan topics publish`: one message. */
export async function publish(
  topic: string,
  type: string,
  data: string | undefined,
  { key, ...options }: PublishOptions,
): Promise<void> {
  if (topic === '' || topic.includes('-') || topic.startsWith('$'))
    throw new UsageError(
      `a topic is a name without a dash that does not begin with $, got ${JSON.stringify(topic)}`,
    )
  const stream = key === undefined ? topic : `${topic}-${key}`
  await append(stream, type, data, options, (place) => mustBeKnown(topic, type, place))
}

/** As clients of the node are answered, where `topics` say which there are. */
async function mustBeKnown(topic: string, type: string, place: Place): Promise<void> {
  const topics = 'admin' in place ? await topicsOf(place.admin) : place.topics
  if (!topics) return
  const known = Object.hasOwn(topics, topic) ? topics[topic] : undefined
  if (!known) {
    const near = suggest(topic, Object.keys(topics))
    throw new UsageError(
      `${place.name} has no topic ${printable(topic)}${near === undefined ? '' : `, did you mean ${near}?`}`,
    )
  }
  if (known.types && !known.types.includes(type))
    throw new UsageError(
      `the type ${printable(type)} does not go to the topic ${topic}, but ${known.types.join(', ')}`,
    )
}

async function topicsOf(admin: string): Promise<NodeSpec['topics']> {
  const { config } = (await askAdmin(admin, '/api/config')) as { config: Pick<NodeSpec, 'topics'> }
  return config.topics
}
