import { parseDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { systemRuntime } from '../../core/runtime.js'
import { suggest } from '../../core/suggest.js'
import { buildPolicies } from '../../traffic/gateway/policies.js'
import type { PolicySpec } from '../../traffic/gateway/spec.js'
import { parseAddress } from '../address.js'
import type { Path } from './problem.js'
import type { ConfigInput } from './schema.js'

/** Something in a well-shaped configuration that cannot work, or most likely is not meant. */
export interface MeaningProblem {
  severity: 'error' | 'warning'
  path: Path
  at: 'key' | 'value'
  message: string
}

/** Checks what a schema cannot: names that must exist, things that contradict each other. */
export function checkMeaning(config: ConfigInput): MeaningProblem[] {
  return [
    ...checkListeners(config),
    ...checkServices(config),
    ...checkRoutes(config),
    ...checkPolicies(config),
  ]
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'key'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}

function* checkListeners(config: ConfigInput): Generator<MeaningProblem> {
  const taken = new Map<string, string>()
  const listeners: [Path, string | number][] = Array.isArray(config.listen)
    ? config.listen.map((each, index): [Path, string | number] => [['listen', index], each])
    : [[['listen'], config.listen]]
  if (config.admin !== false && config.admin !== undefined) listeners.push([['admin'], config.admin])
  for (const [path, each] of listeners) {
    const { host, port } = parseAddress(each)
    const key = `${host}:${port}`
    const other = port === 0 ? undefined : taken.get(key)
    if (other) yield error(path, `the address ${key} is taken by \`${other}\` already`)
    taken.set(key, path.join('.'))
  }
}

function* checkServices(config: ConfigInput): Generator<MeaningProblem> {
  if (Object.keys(config.services).length === 0)
    yield error(['services'], 'there must be one service at least')
  const used = new Set(
    Object.values(config.routes).flatMap(({ to }) =>
      typeof to === 'string' ? to : to.map(({ service }) => service),
    ),
  )
  for (const [name, service] of Object.entries(config.services)) {
    const path = ['services', name]
    yield* checkPolicyName(config, [...path, 'policy'], service.policy)
    const seen = new Set<string>()
    let total = 0
    for (const [index, endpoint] of service.endpoints.entries()) {
      const { url, weight = 1 } = typeof endpoint === 'string' ? { url: endpoint } : endpoint
      if (seen.has(url)) yield error([...path, 'endpoints', index], `the endpoint ${url} stands twice`)
      seen.add(url)
      total += weight
    }
    if (total === 0)
      yield error([...path, 'endpoints'], 'the weights of all endpoints are 0: none would take a request')
    if (!used.has(name)) yield warning(path, `the service \`${name}\` is used by no route`)
  }
}

function* checkRoutes(config: ConfigInput): Generator<MeaningProblem> {
  if (Object.keys(config.routes).length === 0) yield error(['routes'], 'there must be one route at least')
  const matches = new Map<string, string>()
  for (const [name, route] of Object.entries(config.routes)) {
    const path = ['routes', name]
    yield* checkPolicyName(config, [...path, 'policy'], route.policy)
    const key = canonical(route.match)
    const twin = matches.get(key)
    if (twin)
      yield error(
        [...path, 'match'],
        `matches the same requests as the route \`${twin}\`, which would take them all`,
        'key',
      )
    matches.set(key, name)
    const shares = typeof route.to === 'string' ? [{ service: route.to, weight: 1 }] : route.to
    for (const [index, { service }] of shares.entries()) {
      const at = typeof route.to === 'string' ? [...path, 'to'] : [...path, 'to', index, 'service']
      if (!Object.hasOwn(config.services, service))
        yield error(at, unknown('service', service, Object.keys(config.services)))
      yield* checkStacking(config, name, service)
    }
    if (shares.every(({ weight = 1 }) => weight === 0))
      yield error([...path, 'to'], 'the weights of all services are 0')
    const names = new Set((route.match.path ?? '').match(/:\w+/g))
    for (const part of route.rewrite?.path?.match(/:[A-Za-z_]\w*/g) ?? []) {
      if (!names.has(part))
        yield error(
          [...path, 'rewrite', 'path'],
          `\`${part}\` is no part of the matched path \`${route.match.path ?? '/*'}\``,
        )
    }
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

function* checkPolicies(config: ConfigInput): Generator<MeaningProblem> {
  const used = new Set(
    [...Object.values(config.services), ...Object.values(config.routes)].map(({ policy }) => policy),
  )
  for (const [name, policy] of Object.entries(config.policies ?? {})) {
    const path = ['policies', name]
    yield* checkPolicy(path, policy)
    if (!used.has(name)) yield warning(path, `the policy \`${name}\` is used nowhere`)
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

type PolicyInput = NonNullable<ConfigInput['policies']>[string]

function* checkPolicy(path: Path, policy: PolicyInput): Generator<MeaningProblem> {
  const { timeout, tryTimeout, retry, breaker, fallback } = policy
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
  yield error(path, unknown('policy', name, Object.keys(config.policies ?? {})))
}

function unknown(kind: string, name: string, known: string[]): string {
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
