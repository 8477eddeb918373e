import { clientKey, needsIdentity } from './client-key.js'
import { defineFilter, type Filter } from './filter.js'
import type { BuiltPolicies } from './policies.js'

/**
 * Gives a call the key of whoever asks, for rate limits that count by that. Stands between the filters, which find it
 * out, and the policies, which count; none if nothing counts so.
 */
export function identityKey(route: BuiltPolicies, service: BuiltPolicies | undefined): Filter[] {
  const by = (route.rateLimit ? route : service)?.rateLimitBy
  if (by === undefined || !needsIdentity(by)) return []
  return [
    defineFilter('identity key', (forwarding, next, call) => {
      call.key = clientKey(by, forwarding)
      return next()
    }),
  ]
}
