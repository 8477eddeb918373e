import type { Filter, RouteContext } from './filter.js'
import type { RouteSpec } from './spec.js'

/**
 * The filters that a route asks for, outermost first. The order is fixed, as it decides what is safe: what everybody
 * gets before who may pass, who may pass before what costs work, and what is kept before what is changed.
 *
 * A filter's module, and the library below it, is loaded only if a route asks for it.
 */
export async function buildFilters(spec: RouteSpec, context: RouteContext): Promise<Filter[]> {
  const filters: Filter[] = []
  if (spec.requestId)
    filters.push((await import('./filters/request-id.js')).requestId(spec.requestId, context))
  return filters
}
