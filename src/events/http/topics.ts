import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import type { CloudEvent } from '../cloudevents/index.js'
import { categoryOf } from '../names.js'
import { checkTopic } from '../pubsub/topic.js'
import { problem } from './problem.js'

/** What is said of a topic. */
export interface TopicRules {
  /** Types that are published there; default any. */
  types?: readonly string[]
}

/** A topic that a request publishes to. */
export interface PublishTarget {
  readonly name: string
  readonly types: readonly string[] | undefined
}

/**
 * The topic that a path names.
 *
 * @param known - the topics that there are; default any
 * @throws a problem of 400 if it cannot be one, of 404 if there is none of that name
 */
export function publishTarget(
  name: string,
  known: Readonly<Record<string, TopicRules>> | undefined,
): PublishTarget {
  try {
    checkTopic(name)
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    throw problem(400, 'invalid-path', `The topic cannot be one: ${error.message}.`)
  }
  if (!known) return { name, types: undefined }
  if (!Object.hasOwn(known, name)) {
    const near = suggest(name, Object.keys(known))
    const hint = near === undefined ? '.' : `, did you mean \`${near}\`?`
    throw problem(404, 'topic-unknown', `There is no topic ${JSON.stringify(name)}${hint}`)
  }
  return { name, types: known[name]!.types }
}

/**
 * Whether what is appended to a stream may be published to its topic: whoever follows the topic gets it, whichever way it
 * has come.
 *
 * @throws a problem of 422
 */
export function checkTypes(
  known: Readonly<Record<string, TopicRules>> | undefined,
  stream: string,
  events: readonly { readonly type: string }[],
): void {
  const topic = categoryOf(stream)
  const types = known && Object.hasOwn(known, topic) ? known[topic]!.types : undefined
  const other = types && events.find(({ type }) => !types.includes(type))
  if (!other) return
  throw problem(
    422,
    'unknown-event-type',
    `The type ${JSON.stringify(other.type)} cannot go to ${JSON.stringify(stream)}: to the topic ${topic} go ${types.join(', ')}.`,
  )
}

/**
 * The stream of a message: that of its key, which is the `partitionkey` of the CloudEvent, or that of all without one.
 *
 * @throws a problem of 400 or 422
 */
export function streamOfTopic({ name, types }: PublishTarget, cloud: CloudEvent, index: number): string {
  if (types && !types.includes(cloud.type))
    throw problem(
      422,
      'unknown-event-type',
      `CloudEvent ${index} has the type ${JSON.stringify(cloud.type)}; to the topic ${name} go ${types.join(', ')}.`,
    )
  const key = cloud['partitionkey']
  if (key === undefined) return name
  if (typeof key === 'string' && key !== '') return `${name}-${key}`
  throw problem(
    400,
    'invalid-cloudevent',
    `\`partitionkey\` of CloudEvent ${index} must be text that is not empty.`,
  )
}
