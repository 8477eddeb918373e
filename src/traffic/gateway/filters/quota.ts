import { duration, formatDuration } from '../../../core/duration.js'
import { clientKey } from '../client-key.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import type { QuotaStore } from '../quota-store.js'
import { refusal } from '../refusal.js'
import { rateLimitHeaders, type RateState } from '../../policies/rate-limit.js'
import { claimAt } from './access/claims.js'
import { periodAt, type Period } from './quota/period.js'
import type { QuotaSpec } from './quota/spec.js'

/**
 * Bounds how many requests a client makes in a day or a month. A period begins for everybody at the same time, by the wall
 * clock, so that nodes agree on it and a restart does not shift it. A refused request does not count; one that fails does.
 *
 * A store that cannot be reached lets requests pass: a quota is a matter of fairness, and no reason for an outage.
 *
 * @param name - what counts and headers call it; routes that name the same quota count together
 */
export function quota(name: string, spec: QuotaSpec, context: RouteContext): Filter {
  const { route, runtime, quotaStore: store } = context
  const { clock, telemetry } = runtime
  const period: Period = spec.per === 'month' ? 'month' : duration(spec.per, `quota ${name}: per`)
  const by = spec.by ?? 'identity'
  const attributes = { 'banyan.quota': name, 'banyan.route': route }
  const refused = telemetry.counter('banyan.quota.refused', {
    description: 'Requests refused because their client had used up its quota.',
    unit: '{request}',
    attributes,
  })
  const uncounted = telemetry.counter('banyan.quota.uncounted', {
    description: 'Requests that passed uncounted, as the store could not be reached.',
    unit: '{request}',
    attributes,
  })

  return defineFilter(`${route} quota ${name}`, async (forwarding, next) => {
    const now = clock.wall()
    const { begins, ends } = periodAt(now, period)
    const limit = limitOf(spec, forwarding)
    const key = `${name} ${begins} ${clientKey(by, forwarding)}`
    const counted = await take(store, key, limit, ends)
    if (!counted) {
      uncounted.add(1)
      return next()
    }
    const left = Math.max(0, limit - counted.used)
    const resetAfter = ends - now
    const state: RateState = {
      name,
      limit,
      window: ends - begins,
      remaining: left,
      resetAfter,
      retryAfter: resetAfter,
    }
    const fields = Object.entries(rateLimitHeaders(state))
    if (!counted.taken) {
      refused.add(1)
      throw refusal({
        status: 429,
        kind: 'quota-exceeded',
        detail: `The quota of ${limit} requests for each ${period === 'month' ? 'month' : formatDuration(period)} is used up.`,
        retryAfter: resetAfter,
        fields,
      })
    }
    forwarding.problemFields = [...(forwarding.problemFields ?? []), ...fields]
    const answer = await next()
    for (const [field, value] of fields) answer.fields.append(field, value)
    return answer
  })
}

type Counted = Awaited<ReturnType<QuotaStore['take']>>

async function take(
  store: QuotaStore,
  key: string,
  limit: number,
  ends: number,
): Promise<Counted | undefined> {
  try {
    return await store.take(key, limit, ends)
  } catch {
    return undefined
  }
}

function limitOf({ limit, limitClaim }: QuotaSpec, { identity }: Forwarding): number {
  if (limitClaim === undefined || !identity) return limit
  const own = claimAt(identity.claims, limitClaim)
  return typeof own === 'number' && own >= 0 ? Math.floor(own) : limit
}
