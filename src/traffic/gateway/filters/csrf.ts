import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { refusal, type Refusal } from '../refusal.js'
import { originMatcher } from './cors/origins.js'

/** Says why a request is refused; `undefined` if it is not. */
export type CrossOriginCheck = (forwarding: Forwarding) => Refusal | undefined

/** Methods that change nothing (RFC 9110 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Tells requests that a page of another origin has made a browser send from all others, without tokens or cookies, as
 * `CrossOriginProtection` of Go 1.25 does (Valsorda, "Cross-Site Request Forgery", 2025):
 *
 * 1. Safe methods pass, but for a switch of protocols: a WebSocket carries whatever it likes.
 * 2. Where the browser says it (`Sec-Fetch-Site`), only `same-origin` and `none` (typed by the user) pass.
 * 3. Else, an `Origin` must name the host that was asked for. A request without either does not come from a browser of
 *    this decade.
 * 4. Origins that are trusted pass.
 */
export function crossOriginCheck(trust: readonly string[]): CrossOriginCheck {
  const trusts = originMatcher(trust)
  return ({ exchange }) => {
    const { method, fields, host, upgrade } = exchange.request
    if (SAFE.has(method) && upgrade === undefined) return undefined
    const origin = fields.get('origin')
    if (origin !== undefined && trusts(origin)) return undefined
    const site = fields.get('sec-fetch-site')
    if (site !== undefined) return site === 'same-origin' || site === 'none' ? undefined : foreign()
    return origin === undefined || hostOf(origin) === host.toLowerCase() ? undefined : foreign()
  }
}

/** The check for a route whose service knows people by cookies of its own. */
export function csrf(trust: readonly string[], { route, runtime }: RouteContext): Filter {
  const check = crossOriginCheck(trust)
  const refused = runtime.telemetry.counter('banyan.csrf.refused', {
    description: 'Requests that pages of other origins have caused.',
    unit: '{request}',
    attributes: { 'banyan.route': route },
  })
  return defineFilter(`${route} csrf`, (forwarding, next) => {
    const made = check(forwarding)
    if (!made) return next()
    refused.add(1)
    return Promise.reject(made)
  })
}

function foreign(): Refusal {
  return refusal({
    status: 403,
    kind: 'cross-origin',
    detail: 'A page of another origin has caused this request.',
  })
}

/** Host and port of an origin as a request to it names them; `null` and what is no origin are nobody's. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase()
}
