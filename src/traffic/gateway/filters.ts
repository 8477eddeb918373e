import type { Filter, RouteContext } from './filter.js'
import type { RouteSpec, ServiceSpec } from './spec.js'

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
  if (spec.compress) filters.push((await import('./filters/compress.js')).compress(spec.compress, context))
  const { match, cors, csrf, access, quota } = spec
  if (cors) {
    const methods = [match.method ?? []].flat()
    filters.push((await import('./filters/cors.js')).cors(cors, methods, context))
  }
  if (csrf !== undefined && csrf !== false)
    filters.push((await import('./filters/csrf.js')).csrf(trustedOrigins(spec), context))
  if (access) {
    const { crossOriginCheck } = await import('./filters/csrf.js')
    // Browsers add some credentials to whatever they send: there the check is not a matter of choice.
    const check = csrf === undefined ? crossOriginCheck(trustedOrigins(spec)) : undefined
    filters.push(await (await import('./filters/access.js')).access(access, context, check))
  }
  if (quota !== undefined) {
    const { quotas } = await import('./filters/quotas.js')
    filters.push(...quotas(quota, context))
  }
  if (spec.fencing !== undefined)
    filters.push(await (await import('./filters/fencing.js')).fencing(spec.fencing, context))
  if (spec.cache) {
    const compresses = spec.compress !== undefined
    filters.push((await import('./filters/cache.js')).cache(spec.cache, context, compresses))
  }
  const document = spec.openapi ?? documentOfServices(spec, context)
  if (document !== undefined) filters.push((await import('./filters/openapi.js')).openapi(document, context))
  if (spec.transform)
    filters.push((await import('./filters/transform.js')).transform(spec.transform, context))
  if (spec.mirror) filters.push((await import('./filters/mirror.js')).mirror([spec.mirror].flat(), context))
  return filters
}

/** The document of the services that a route goes to; they have the same one, or none. */
function documentOfServices({ to }: RouteSpec, { gateway, services }: RouteContext): ServiceSpec['openapi'] {
  const names = typeof to === 'string' ? [to] : (to ?? []).map(({ service }) => service)
  // Asked for, so that the filter is made anew when the service changes.
  for (const name of names) services.get(name)
  return gateway.services[names[0] ?? '']?.openapi
}

/** Origins whose pages may cause requests: those that are named, and those that may use credentials from afar anyway. */
function trustedOrigins({ csrf, cors }: RouteSpec): readonly string[] {
  const named = typeof csrf === 'object' ? (csrf.trust ?? []) : []
  return [...named, ...(cors?.credentials && cors.origins !== '*' ? cors.origins : [])]
}
