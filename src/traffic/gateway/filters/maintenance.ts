import { duration } from '../../../core/duration.js'
import { defineFilter, type Filter } from '../filter.js'
import { fixedAnswer } from '../fixed-answer.js'
import { trustNetworks } from '../forwarded.js'
import { refusal } from '../refusal.js'
import type { MaintenanceSpec } from './maintenance/spec.js'

/** Answers 503 in place of everything inside (RFC 9110 15.6.4), but for those who are let through. */
export function maintenance(spec: MaintenanceSpec | true, route: string): Filter {
  const { retryAfter, body, headers = {}, allow = [] } = spec === true ? {} : spec
  const isAllowed = trustNetworks(allow)
  const wait = retryAfter === undefined ? undefined : duration(retryAfter, 'retryAfter')
  const own = body === undefined ? undefined : fixedAnswer({ status: 503, headers, body })
  return defineFilter(`${route} maintenance`, (forwarding, next) => {
    if (isAllowed(forwarding.clientAddress)) return next()
    if (!own) {
      return Promise.reject(
        refusal({
          status: 503,
          kind: 'maintenance',
          detail: 'This is being worked on and will be back.',
          ...(wait === undefined ? {} : { retryAfter: wait }),
        }),
      )
    }
    const answer = own()
    answer.fields.append('Cache-Control', 'no-store')
    if (wait !== undefined) answer.fields.append('Retry-After', String(Math.max(1, Math.ceil(wait / 1000))))
    return Promise.resolve(answer)
  })
}

/** What is in force on a route: its own word, else that of the whole gateway. */
export function maintenanceOf(
  own: boolean | MaintenanceSpec | undefined,
  whole: boolean | MaintenanceSpec | undefined,
): true | MaintenanceSpec | undefined {
  const spec = own ?? whole
  if (spec === undefined || spec === false) return undefined
  return spec === true || spec.on !== false ? spec : undefined
}
