import { BanyanError } from '../../core/errors.js'
import { parseDuration } from '../../core/duration.js'
import { keyFunction } from '../events/key-expression.js'
import type { SubscriptionSpec } from '../spec.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** What it says of a name that is not there. */
type Unknown = (kind: string, name: string, known: readonly string[]) => string

/** Whether messages are sent to a service. */
export function isPushedTo(config: ConfigInput, service: string): boolean {
  return Object.values(subscriptionsOf(config)).some(({ push }) => push?.service === service)
}

/** `topics`: there is a log, and names can be those of topics. */
export function* checkTopics({ topics, events }: ConfigInput): Generator<MeaningProblem> {
  if (!topics) return
  if (!events) yield error(['topics'], NO_LOG, 'key')
  for (const name of Object.keys(topics))
    if (name.includes('-')) yield error(['topics', name], 'must not have a `-`: a topic is a category', 'key')
}

/** `subscriptions.<name>`: there is a log, and what it names is there. */
export function* checkSubscription(
  config: ConfigInput,
  name: string,
  unknown: Unknown,
): Generator<MeaningProblem> {
  const { events, topics, workers = 1 } = config
  const { topic, types = [], key, push } = subscriptionsOf(config)[name]!
  const path = ['subscriptions', name]
  if (!events) yield error(path, NO_LOG, 'key')
  if (topics && topic !== '*' && !Object.hasOwn(topics, topic))
    yield error([...path, 'topic'], unknown('topic', topic, Object.keys(topics)))
  const known = topics?.[topic]?.types
  for (const [index, type] of types.entries())
    if (known && !known.includes(type))
      yield error([...path, 'types', index], unknown(`type of the topic \`${topic}\``, type, known))
  if (key !== undefined) {
    try {
      keyFunction(key)
    } catch (failure) {
      if (!(failure instanceof BanyanError)) throw failure
      yield error([...path, 'key'], failure.message)
    }
  }
  if (push) yield* checkPush(config, name, unknown)
  else if (workers !== 1)
    yield error(
      path,
      'needs `push`, or `workers: 1`: of several processes each has its own messages, and clients cannot choose which they ask',
      'key',
    )
}

function* checkPush(config: ConfigInput, name: string, unknown: Unknown): Generator<MeaningProblem> {
  const { push, deadline = '30s' } = subscriptionsOf(config)[name]!
  const { service, url, path: target, host } = push!
  const path = ['subscriptions', name, 'push']
  if (service === undefined && url === undefined)
    yield error(path, 'must say where to: `service` or `url`', 'key')
  if (url !== undefined)
    for (const [key, value] of Object.entries({ service, path: target, host }))
      if (value !== undefined) yield error([...path, key], 'contradicts `url`, which says all of it', 'key')
  if (service === undefined) return
  const found = Object.hasOwn(config.services, service) ? config.services[service] : undefined
  if (!found) {
    yield error([...path, 'service'], unknown('service', service, Object.keys(config.services)))
    return
  }
  const { fallback, timeout } = config.policies?.[found.policy ?? ''] ?? {}
  if (fallback)
    yield error(
      [...path, 'service'],
      `its policy \`${found.policy!}\` has a \`fallback\`: that would acknowledge messages which nobody has got`,
    )
  if (timeout !== undefined && parseDuration(timeout)! > (parseDuration(deadline) ?? Infinity))
    yield warning(
      [...path, 'service'],
      `the \`timeout\` of its policy \`${found.policy!}\` is longer than the \`deadline\` of the subscription, and never ends a try`,
    )
}

/** The schema of most of it comes from a table, which says nothing of types. */
function subscriptionsOf({ subscriptions = {} }: ConfigInput): Readonly<Record<string, SubscriptionSpec>> {
  return subscriptions as unknown as Readonly<Record<string, SubscriptionSpec>>
}

const NO_LOG = 'there is no event log; say at the top which one: `events: { driver: sqlite, path: ./data }`'

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string): MeaningProblem {
  return { severity: 'warning', path, message, at: 'value' }
}
