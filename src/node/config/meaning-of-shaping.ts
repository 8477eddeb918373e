import { planTransform } from '../../traffic/gateway/filters/transform/plan.js'
import type { TransformSpec } from '../../traffic/gateway/filters/transform/spec.js'
import { planAggregate } from '../../traffic/gateway/responders/aggregate/plan.js'
import type { AggregateSpec } from '../../traffic/gateway/responders/aggregate/spec.js'
import { parsePattern } from '../../traffic/gateway/router.js'
import type { MeaningProblem } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** Methods whose repetition does no harm. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** The services that an aggregation asks, with the place where it says so. */
export function servicesOfAggregate(
  route: ConfigInput['routes'][string],
): { service: string; path: string[] }[] {
  return Object.entries(route.aggregate?.branches ?? {}).map(([name, { service }]) => ({
    service,
    path: ['aggregate', 'branches', name, 'service'],
  }))
}

/** Checks the expressions of a transformation. */
export function* checkTransform({ routes }: ConfigInput, name: string): Generator<MeaningProblem> {
  const { transform, match } = routes[name]!
  if (!transform) return
  const { problems } = planTransform(transform as TransformSpec, parsePattern(match.path ?? '/*').names)
  for (const { path, message, at = 'value' } of problems)
    yield { severity: 'error', path: ['routes', name, 'transform', ...path], message, at }
}

/** Checks expressions, names and order of an aggregation. */
export function* checkAggregate(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { aggregate, match, policy } = config.routes[name]!
  if (!aggregate) return
  const path = ['routes', name, 'aggregate']
  const { problems } = planAggregate(aggregate as AggregateSpec, parsePattern(match.path ?? '/*').names)
  for (const problem of problems) {
    const { path: at, message, at: part = 'value' } = problem
    yield { severity: 'error', path: [...path, ...at], message, at: part }
  }
  const around = config.policies?.[policy ?? '']
  for (const [branch, { method = 'GET' }] of Object.entries(aggregate.branches)) {
    if (!(around?.retry ?? around?.hedge) || IDEMPOTENT.has(method)) continue
    yield {
      severity: 'warning',
      path: [...path, 'branches', branch, 'method'],
      message: `the policy \`${policy!}\` may make the whole call twice, and with it this ${method}`,
      at: 'value',
    }
  }
}
