import type { Fields } from '../../../http/fields.js'
import { millisecondsOf, readDirectives } from '../../semantics/cache-control.js'
import { parseHttpDate } from '../../semantics/date.js'

/** What the operator says where answers say nothing. Times in ms. */
export interface Defaults {
  /** Freshness of answers that neither allow nor forbid to be kept; `undefined`: those are not kept. */
  readonly ttl: number | undefined
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
}

/** Who asked, as far as it matters for keeping the answer. */
export interface Asker {
  /** It has shown credentials: the answer may be its own. */
  readonly authorized: boolean
  readonly cookie: boolean
}

/** How long an answer may be used. Times in ms. */
export interface Freshness {
  readonly lifetime: number
  /** After its lifetime: while a new one is being asked for. */
  readonly staleWhileRevalidate: number
  /** After its lifetime: if there is no new one. */
  readonly staleIfError: number
  /** Whether also requests with credentials may get it. */
  readonly forAuthorized: boolean
}

/** Final statuses that are understood here; a part (206) is not. */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501])

/** Statuses of answers that are kept for the operator's default time, without a word of their own. */
const BY_DEFAULT = new Set([200, 301, 308])

/**
 * Whether a shared cache may keep the answer to a GET, and how long it may use it (RFC 9111 3, 4.2; RFC 5861). Nothing
 * is guessed from Last-Modified: what is not said to be fresh is not.
 *
 * @param receivedAt - ms since the Unix epoch
 * @returns `undefined` if it must not be kept
 */
export function freshnessOf(
  status: number,
  fields: Fields,
  asker: Asker,
  defaults: Defaults,
  receivedAt: number,
): Freshness | undefined {
  if (!UNDERSTOOD.has(status)) return undefined
  const control = readDirectives(fields.get('cache-control'))
  if (control.has('no-store') || control.has('private')) return undefined
  // Allowed by the RFC, but whose session it is would be everybody's.
  if (fields.get('set-cookie') !== undefined) return undefined
  const forAuthorized = ['public', 's-maxage', 'must-revalidate'].some((name) => control.has(name))
  if (asker.authorized && !forAuthorized) return undefined

  const stated =
    millisecondsOf(control, 's-maxage') ??
    millisecondsOf(control, 'max-age') ??
    untilExpiry(fields, receivedAt)
  const isSilent = stated === undefined && !control.has('no-cache') && !control.has('public')
  const byDefault =
    isSilent &&
    BY_DEFAULT.has(status) &&
    !asker.authorized &&
    !asker.cookie &&
    fields.get('pragma') === undefined
      ? defaults.ttl
      : undefined
  if (isSilent && byDefault === undefined) return undefined

  const strict = ['must-revalidate', 'proxy-revalidate', 'no-cache'].some((name) => control.has(name))
  // s-maxage stands for proxy-revalidate too (5.2.2.10), unless the answer itself says otherwise.
  const silentDefault = control.has('s-maxage') ? 0 : undefined
  const stale = (name: string, byOperator: number): number =>
    strict ? 0 : (millisecondsOf(control, name) ?? silentDefault ?? byOperator)
  const freshness: Freshness = {
    lifetime: control.has('no-cache') ? 0 : (stated ?? byDefault ?? 0),
    staleWhileRevalidate: stale('stale-while-revalidate', defaults.staleWhileRevalidate),
    staleIfError: stale('stale-if-error', defaults.staleIfError),
    forAuthorized,
  }
  const { lifetime, staleWhileRevalidate, staleIfError } = freshness
  const isValidatable = fields.get('etag') !== undefined || fields.get('last-modified') !== undefined
  return lifetime + staleWhileRevalidate + staleIfError > 0 || isValidatable ? freshness : undefined
}

/** Freshness by Expires; a date that is none is in the past (RFC 9111 5.3). */
function untilExpiry(fields: Fields, receivedAt: number): number | undefined {
  const expires = fields.get('expires')
  if (expires === undefined) return undefined
  const at = parseHttpDate(expires)
  return at === undefined ? 0 : Math.max(0, at - (parseHttpDate(fields.get('date')) ?? receivedAt))
}

/**
 * How old an answer was when it came, in ms (RFC 9111 4.2.3, without the time it was on its way).
 *
 * @param receivedAt - ms since the Unix epoch
 */
export function ageOnArrival(fields: Fields, receivedAt: number): number {
  const told = fields.get('age')
  const date = parseHttpDate(fields.get('date'))
  const apparent = date === undefined ? 0 : receivedAt - date
  // The clocks of two machines are a second apart at best, and a date has whole seconds only.
  const skewed = apparent < 2000 ? 0 : apparent
  return Math.max(
    skewed,
    told !== undefined && /^\d+$/.test(told) ? Math.min(Number(told), 2 ** 31) * 1000 : 0,
  )
}

/** What a client demands of the answer (RFC 9111 5.2.1). Times in ms. */
export interface Demands {
  /** Neither give it what is kept nor keep what it gets. */
  readonly noStore: boolean
  /** Ask the service, whatever is kept. */
  readonly noCache: boolean
  /** Oldest it takes. */
  readonly maxAge: number
  /** Least time that the answer must still be fresh. */
  readonly minFresh: number
  readonly onlyIfCached: boolean
}

const NOTHING: Demands = {
  noStore: false,
  noCache: false,
  maxAge: Infinity,
  minFresh: 0,
  onlyIfCached: false,
}

/**
 * Reads what a client demands.
 *
 * @param honoured - false: clients have no say in how fresh an answer is, but `only-if-cached` stays a question
 */
export function demandsOf(fields: Fields, honoured: boolean): Demands {
  const field = fields.get('cache-control')
  if (field === undefined) {
    return honoured && /no-cache/i.test(fields.get('pragma') ?? '') ? { ...NOTHING, noCache: true } : NOTHING
  }
  const control = readDirectives(field)
  const onlyIfCached = control.has('only-if-cached')
  if (!honoured) return { ...NOTHING, onlyIfCached }
  return {
    noStore: control.has('no-store'),
    noCache: control.has('no-cache'),
    maxAge: millisecondsOf(control, 'max-age') ?? Infinity,
    minFresh: millisecondsOf(control, 'min-fresh') ?? 0,
    onlyIfCached,
  }
}
