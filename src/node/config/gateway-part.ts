import type { MeaningProblem } from './problem.js'
import type { ConfigInput, ConfigText } from './schema/config.js'

/** What only a gateway has, which needs routes and somewhere to listen. */
const GATEWAY = ['listen', 'routes', 'authenticators', 'quotas', 'maintenance'] as const

/** What else a node can be for; what belongs to one of them says itself that it is missing. */
const OTHERS = [
  ...['events', 'topics', 'subscriptions', 'projections', 'outboxes', 'cdc', 'sagas'],
  ...['coordination', 'register', 'shards', 'replicas', 'resources', 'kinds', 'controllers'],
] as const

/** What is missing of a gateway; a node need not be one if it is for something else. */
export function missingOfGateway(value: unknown): Omit<MeaningProblem, 'severity'>[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const given = new Set(Object.entries(value).flatMap(([key, each]) => (each === undefined ? [] : [key])))
  const isOther = OTHERS.some((key) => given.has(key))
  if (isOther && !GATEWAY.some((key) => given.has(key))) return []
  const { routes, resources } = value as { routes?: unknown; resources?: unknown }
  // They may come from there, and may all be deleted there.
  if (resources !== undefined) return []
  const isEmpty = typeof routes === 'object' && routes !== null && Object.keys(routes).length === 0
  return [
    ...(['listen', 'routes'] as const)
      .filter((key) => !given.has(key))
      .map((key) => wrong(key, 'is missing')),
    ...(isEmpty ? [wrong('routes', 'there must be one route at least')] : []),
  ]
}

function wrong(key: string, message: string): Omit<MeaningProblem, 'severity'> {
  return { path: [key], at: 'value', message }
}

/** A configuration with the parts of a gateway that it has none of. */
export function withGateway({ listen = [], services = {}, routes = {}, ...rest }: ConfigText): ConfigInput {
  return { ...rest, listen, services, routes }
}
