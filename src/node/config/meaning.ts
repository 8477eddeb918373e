import { bytes, type Bytes } from '../../core/bytes.js'
import { parseDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { systemRuntime } from '../../core/runtime.js'
import { suggest } from '../../core/suggest.js'
import { buildPolicies } from '../../traffic/gateway/policies.js'
import type { PolicySpec } from '../../traffic/gateway/spec.js'
import { checkAccess, checkAuthenticator } from './meaning-of-access.js'
import { checkAggregate, checkTransform, servicesOfAggregate } from './meaning-of-shaping.js'
import { withGateway } from './gateway-part.js'
import { checkEvents, checkEventsOfRoute } from './meaning-of-events.js'
import { checkSubscription, checkTopics, isPushedTo } from './meaning-of-pubsub.js'
import { checkRegistration, checkRegistryOfService } from './meaning-of-registry.js'
import { checkOutbox } from './meaning-of-outboxes.js'
import { checkCapture } from './meaning-of-cdc.js'
import { checkProjection } from './meaning-of-projections.js'
import { checkSaga } from './meaning-of-sagas.js'
import { checkCoordinated } from './meaning-of-controllers.js'
import { checkShards } from './meaning-of-shards.js'
import { checkCoordination, checkFencing } from './meaning-of-coordination.js'
import { checkHealth } from './meaning-of-health.js'
import { checkFollow, checkReplicas } from './meaning-of-replicas.js'
import { checkListeners } from './meaning-of-listeners.js'
import { checkUpstreams } from './meaning-of-upstreams.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** Checks what a schema cannot: names that must exist, things that contradict each other. */
export function checkMeaning(config: ConfigInput): MeaningProblem[] {
  return checksOf(config).flatMap((check) => [...check])
}

/** The errors of meaning in what can be understood of a misshapen configuration: every error at once. */
export function checkMeaningOfMisshapen(value: unknown): MeaningProblem[] {
  if (typeof value !== 'object' || value === null) return []
  return checksOf(withGateway(value)).flatMap(errorsUntilStuck)
}

/** One check for each thing, so that one that gets stuck leaves the others their say. */
function checksOf(config: ConfigInput): Generator<MeaningProblem>[] {
  const { services, routes, policies } = config
  return [
    checkListeners(config),
    checkServices(config),
    ...namesOf(services).map((name) => checkService(config, name)),
    ...namesOf(services).map((name) => checkHealth(config, name)),
    ...namesOf(services).map((name) => checkUpstreams(config, name)),
    ...namesOf(services).map((name) => checkRegistryOfService(config, name)),
    checkRoutes(config),
    ...namesOf(config.register).map((name) => checkRegistration(config, name)),
    checkEvents(config),
    ...namesOf(routes).map((name) => checkEventsOfRoute(config, name)),
    ...namesOf(routes).map((name) => checkFencing(config, name)),
    checkFollow(config),
    ...namesOf(config.replicas).map((name) => checkReplicas(config, name)),
    checkTopics(config),
    ...namesOf(config.subscriptions).map((name) => checkSubscription(config, name, unknown)),
    ...namesOf(config.projections).map((name) => checkProjection(config, name)),
    ...namesOf(config.outboxes).map((name) => checkOutbox(config, name)),
    ...namesOf(config.cdc).map((name) => checkCapture(config, name)),
    ...namesOf(config.sagas).map((name) => checkSaga(config, name)),
    checkCoordination(config),
    ...(['kinds', 'controllers'] as const).flatMap((part) =>
      namesOf(config[part]).map((name) => checkCoordinated(config, part, name)),
    ),
    ...namesOf(config.shards).map((name) => checkShards(config, name)),
    ...namesOf(routes).map((name) => checkRoute(config, name)),
    ...namesOf(policies).map((name) => checkPolicy(config, name)),
    ...namesOf(config.authenticators).map((name) => checkAuthenticator(config, name)),
  ]
}

function errorsUntilStuck(check: Iterable<MeaningProblem>): MeaningProblem[] {
  const errors: MeaningProblem[] = []
  try {
    for (const problem of check) if (problem.severity === 'error') errors.push(problem)
  } catch (failure) {
    // What the schema has told already: a part is missing or of another kind, or an address cannot be read.
    if (!(failure instanceof TypeError || failure instanceof BanyanError)) throw failure
  }
  return errors
}

function namesOf(record: object | undefined): string[] {
  return isObject(record) ? Object.keys(record) : []
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'key'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}

function* checkServices({ services, routes }: ConfigInput): Generator<MeaningProblem> {
  const isNeeded =
    !isObject(routes) ||
    Object.values(routes).some(
      ({ files, respond, redirect, events }) => !(files ?? respond ?? redirect ?? events),
    )
  if (isNeeded && isObject(services) && Object.keys(services).length === 0)
    yield error(['services'], 'there must be one service at least')
}

function* checkService(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { policy, endpoints = [] } = config.services[name]!
  const path = ['services', name]
  yield* checkPolicyName(config, [...path, 'policy'], policy)
  const seen = new Set<string>()
  for (const [index, endpoint] of endpoints.entries()) {
    const { origin } = new URL(urlOf(endpoint))
    if (seen.has(origin)) yield error([...path, 'endpoints', index], `the endpoint ${origin} stands twice`)
    seen.add(origin)
  }
  if (endpoints.length > 0 && endpoints.every((endpoint) => weightOf(endpoint) === 0))
    yield error([...path, 'endpoints'], 'the weights of all endpoints are 0: none would take a request')
  const isUsed = Object.values(config.routes).some((route) =>
    [...sharesOf(route), ...servicesOfAggregate(route), ...mirrorsOf(route)].some(
      ({ service }) => service === name,
    ),
  )
  if (!isUsed && !isPushedTo(config, name)) yield warning(path, `the service \`${name}\` is used by no route`)
}

type Endpoint = NonNullable<ConfigInput['services'][string]['endpoints']>[number]
type Route = ConfigInput['routes'][string]

function urlOf(endpoint: Endpoint): string {
  return typeof endpoint === 'string' ? endpoint : endpoint.url
}

function weightOf(endpoint: Endpoint): number {
  return typeof endpoint === 'string' ? 1 : (endpoint.weight ?? 1)
}

function sharesOf({ to }: Route): { service: string; weight?: number | undefined }[] {
  return typeof to === 'string' ? [{ service: to }] : (to ?? [])
}

function mirrorsOf({ mirror }: Route): { service: string }[] {
  return [mirror ?? []].flat()
}

/** What can answer the requests of a route; each has exactly one. */
const RESPONDERS = ['to', 'redirect', 'aggregate', 'files', 'respond', 'openapiDocument', 'events'] as const

function* checkRoutes({ routes }: ConfigInput): Generator<MeaningProblem> {
  if (!isObject(routes)) return
  const matches = new Map<string, string>()
  for (const [name, { match }] of Object.entries(routes)) {
    if (!isObject(match)) continue
    const key = canonical(match)
    const twin = matches.get(key)
    if (twin)
      yield error(
        ['routes', name, 'match'],
        `matches the same requests as the route \`${twin}\`, which would take them all`,
        'key',
      )
    else matches.set(key, name)
  }
}

function* checkRoute(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const route = config.routes[name]!
  const path = ['routes', name]
  yield* checkPolicyName(config, [...path, 'policy'], route.policy)
  const given = RESPONDERS.filter((key) => Object.hasOwn(route, key))
  if (given.length === 0) yield error(path, `must say where it goes: ${RESPONDERS.join(', ')}`, 'key')
  for (const key of given.slice(1))
    yield error([...path, key], `contradicts \`${given[0]}\`: one of both answers`, 'key')
  const { bytes: all = '64MB', entryBytes } = typeof route.cache === 'object' ? route.cache : {}
  if (entryBytes !== undefined && bytes(entryBytes as Bytes) > bytes(all as Bytes) / 4)
    yield error([...path, 'cache', 'entryBytes'], 'must be a quarter of `bytes` at most')
  for (const [index, { service }] of mirrorsOf(route).entries()) {
    const at = Array.isArray(route.mirror) ? [...path, 'mirror', index] : [...path, 'mirror']
    if (isObject(config.services) && !Object.hasOwn(config.services, service))
      yield error([...at, 'service'], unknown('service', service, namesOf(config.services)))
  }
  const shares = sharesOf(route)
  for (const [index, { service }] of shares.entries()) {
    if (typeof service !== 'string') continue
    const at = typeof route.to === 'string' ? [...path, 'to'] : [...path, 'to', index, 'service']
    if (isObject(config.services) && !Object.hasOwn(config.services, service))
      yield error(at, unknown('service', service, namesOf(config.services)))
    yield* checkStacking(config, name, service)
  }
  for (const { service, path: at } of servicesOfAggregate(route)) {
    if (!Object.hasOwn(config.services, service))
      yield error([...path, ...at], unknown('service', service, namesOf(config.services)))
    yield* checkStacking(config, name, service)
  }
  yield* checkAggregate(config, name)
  yield* checkTransform(config, name)
  for (const [index, each] of (route.openapiDocument?.routes ?? []).entries()) {
    if (!Object.hasOwn(config.routes, each))
      yield error(
        [...path, 'openapiDocument', 'routes', index],
        unknown('route', each, namesOf(config.routes)),
      )
  }
  yield* checkAccess(config, name, unknown)
  if (shares.length > 0 && shares.every(({ weight = 1 }) => weight === 0))
    yield error([...path, 'to'], 'the weights of all services are 0')
  const { match, rewrite } = route
  for (const method of [match.method ?? []].flat()) {
    if (method !== method.toUpperCase())
      yield warning(
        [...path, 'match', 'method'],
        `methods are told apart by case: \`${method}\` is not \`${method.toUpperCase()}\``,
        'value',
      )
  }
  const names = new Set((match.path ?? '').match(/:\w+/g))
  for (const part of rewrite?.path?.match(/:[A-Za-z_]\w*/g) ?? []) {
    if (!names.has(part))
      yield error(
        [...path, 'rewrite', 'path'],
        `\`${part}\` is no part of the matched path \`${match.path ?? '/*'}\``,
      )
  }
}

/** Policies of a route stand around those of its service; some make no sense twice. */
function* checkStacking(
  config: ConfigInput,
  routeName: string,
  serviceName: string,
): Generator<MeaningProblem> {
  const routePolicy = config.routes[routeName]?.policy
  const servicePolicy = config.services[serviceName]?.policy
  const outer = config.policies?.[routePolicy ?? '']
  const inner = config.policies?.[servicePolicy ?? '']
  if (!outer || !inner) return
  const path = ['routes', routeName, 'policy']
  for (const each of ['retry', 'hedge'] as const) {
    if (outer[each] && inner[each]) {
      yield error(
        path,
        `\`${each}\` stands in \`${routePolicy!}\` and in \`${servicePolicy!}\` of the service \`${serviceName}\`: the tries would multiply`,
      )
    }
  }
  const bys = [outer, inner].map(({ rateLimit }) => (rateLimit?.['by'] as string | undefined) ?? 'client')
  if (outer.rateLimit && inner.rateLimit && bys[0] !== bys[1]) {
    yield error(
      path,
      `the rate limits of \`${routePolicy!}\` and \`${servicePolicy!}\` count by different keys (${bys.join(', ')}); a request has one key`,
    )
  }
}

/**
 * Makes the policies as a node would, to hear what they refuse themselves. That has less of a place, so it is asked
 * only of a configuration that is fine otherwise.
 */
export function* checkBuild(config: ConfigInput): Generator<MeaningProblem> {
  for (const [name, policy] of Object.entries(config.policies ?? {})) {
    try {
      buildPolicies(policy as PolicySpec, name, systemRuntime).perEndpoint(name)
    } catch (failure) {
      if (!(failure instanceof BanyanError)) throw failure
      yield error(['policies', name], failure.message, 'key')
    }
  }
}

function* checkPolicy(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const path = ['policies', name]
  const { timeout, tryTimeout, retry, breaker, fallback } = config.policies![name]!
  const isUsed = [config.services, config.routes].some((users) =>
    Object.values(users).some(({ policy }) => policy === name),
  )
  if (!isUsed) yield warning(path, `the policy \`${name}\` is used nowhere`)
  if (
    timeout !== undefined &&
    tryTimeout !== undefined &&
    parseDuration(tryTimeout)! > parseDuration(timeout)!
  ) {
    yield error([...path, 'tryTimeout'], 'is longer than `timeout`, and so would never end a try')
  }
  if (retry && timeout === undefined)
    yield warning([...path, 'retry'], '`retry` without `timeout`: nothing bounds how long a client waits')
  if (breaker?.['window'] && Object.keys(breaker['window']).length > 1) {
    yield error([...path, 'breaker', 'window'], 'takes either `time` or `calls`, not both')
  }
  if (breaker?.['slowCallRate'] !== undefined && breaker['slowCall'] === undefined) {
    yield error([...path, 'breaker', 'slowCallRate'], 'needs `slowCall`, which says what is slow')
  }
  if (
    fallback &&
    fallback.body === undefined &&
    fallback.status === undefined &&
    fallback.staleFor === undefined
  ) {
    yield error([...path, 'fallback'], 'needs `body`, `status` or `staleFor`', 'key')
  }
}

function* checkPolicyName(
  config: ConfigInput,
  path: Path,
  name: string | undefined,
): Generator<MeaningProblem> {
  if (name === undefined || Object.hasOwn(config.policies ?? {}, name)) return
  yield error(path, unknown('policy', name, namesOf(config.policies)))
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const near = suggest(name, known)
  const hint = near
    ? `, did you mean \`${near}\`?`
    : known.length > 0
      ? `; known are ${known.join(', ')}`
      : '; there is none yet'
  return `unknown ${kind} \`${name}\`${hint}`
}

/** A match as text, the same for matches that take the same requests. */
function canonical(match: ConfigInput['routes'][string]['match']): string {
  const sorted = (entries: Record<string, string> | undefined, fold: boolean): unknown =>
    Object.entries(entries ?? {})
      .map(([name, value]) => [fold ? name.toLowerCase() : name, value])
      .sort()
  return JSON.stringify([
    [match.host ?? '*']
      .flat()
      .map((host) => host.toLowerCase())
      .sort(),
    (match.path ?? '/*').replace(/:\w+/g, ':'),
    [match.method ?? []].flat().sort(),
    sorted(match.headers, true),
    sorted(match.query, false),
  ])
}
