import { checkOptions, type OptionKinds } from '../../../core/options.js'
import type { EventShape, Metadata, Recorded } from '../../log.js'
import { settingsOf, subscriptionOptions, type SubscriptionOptions } from '../../pubsub/options.js'
import { callOptions, mustRun, type AnySaga, type CallOptions, type StepContext } from '../definition.js'
import { checkName, policySubscriptionOf } from '../names.js'

/** What a policy is told besides the event. */
export interface PolicyContext extends StepContext {
  /** Of this reaction: `reserveStock/` and the id of the event. */
  readonly id: string
  /**
   * For everything that it leads to, as `metadata` of commands and events: the same correlation and trace, caused by the event,
   * done by the same actor; with `policy`, its name.
   */
  readonly metadata: Metadata
}

/** Whenever an event of these is appended, this is done. */
export interface PolicyDefinition<Event extends EventShape = EventShape>
  extends CallOptions, Pick<SubscriptionOptions<Event>, 'topic' | 'types' | 'tags' | 'where' | 'from'> {
  /** Begins with a letter, has letters, digits, dots and underscores; no saga on this log has the same. */
  readonly name: string
  /**
   * Reacts to an event. Called at least once for each, under one `idempotencyKey`; what it returns is not kept. An error that is
   * `terminal`, and the last of `attempts`, parks the reaction.
   */
  run(event: Recorded<Event>, context: PolicyContext): unknown
}

/** Any policy, whatever it reacts to. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each takes what it takes
export type AnyPolicy = PolicyDefinition<any>

const policyOptions: OptionKinds = {
  ...callOptions,
  name: { kind: 'string', doc: 'what it is called' },
  topic: subscriptionOptions.topic,
  types: subscriptionOptions.types,
  tags: subscriptionOptions.tags,
  where: subscriptionOptions.where,
  from: subscriptionOptions.from,
  run: { kind: 'code', type: 'function', doc: 'what it does' },
}

/**
 * Defines a policy: whenever an event of a topic is appended, something is done, by a service that decides so for itself
 * (choreography, where a {@link saga} is orchestration). Each event makes one reaction, which is a saga of one step: it is
 * run, listed, shown, retried and skipped as sagas are.
 *
 * Guarantees: each event that is selected makes one reaction, for ever; that one ends completed, or is parked with the
 * reason. It is called at least once, with an idempotency key that is the same each time. There is no order among reactions.
 *
 * @param definition.from - where a new policy begins, as of a subscription: default `end`, with what is appended from its
 *   first run on
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function policy<Event extends EventShape = EventShape>(
  definition: PolicyDefinition<Event>,
): PolicyDefinition<Event> {
  checkOptions<object>('a policy', policyOptions, definition)
  checkName(definition.name, 'a policy')
  mustRun(`policy ${definition.name}`, definition)
  settingsOf(selectionOf(definition))
  return definition
}

/** What its subscription is asked for. */
export function selectionOf(definition: AnyPolicy): SubscriptionOptions {
  const { name, topic, types, tags, where, from }: SubscriptionOptions = definition
  return {
    name: policySubscriptionOf(name),
    topic,
    ...(types && { types }),
    ...(tags && { tags }),
    ...(where && { where }),
    ...(from !== undefined && { from }),
  }
}

/** Sagas follow no topic. */
export function isPolicy(definition: AnySaga | AnyPolicy): definition is AnyPolicy {
  return 'topic' in definition
}
