import { BanyanError } from '../../../core/errors.js'
import type { Filter, RouteContext } from '../filter.js'
import { quota } from './quota.js'
import type { QuotaSpec } from './quota/spec.js'

/**
 * The quotas of a route, in its order: shared ones by name, and its own.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if one of that name is not there
 */
export function quotas(spec: string | QuotaSpec | (string | QuotaSpec)[], context: RouteContext): Filter[] {
  const { route, gateway } = context
  return [spec].flat().map((each, index) => {
    // A name of a configuration has no blank in it, so a route's own is never that of a shared one.
    if (typeof each !== 'string')
      return quota(index === 0 ? `${route} quota` : `${route} quota ${index + 1}`, each, context)
    const shared = gateway.quotas?.[each]
    if (shared) return quota(each, shared, context)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${route}.quota: unknown quota \`${each}\``)
  })
}
