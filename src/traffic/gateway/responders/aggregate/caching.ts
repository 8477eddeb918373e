import { createHash } from 'node:crypto'
import type { Fields } from '../../../http/fields.js'
import { millisecondsOf, readDirectives, type Directives } from '../../semantics/cache-control.js'
import { parseHttpDate } from '../../semantics/date.js'

/** Directives that hold for the whole if one part has them, in the order they are written. */
const CONTAGIOUS = [
  'private',
  'no-cache',
  'must-revalidate',
  'proxy-revalidate',
  'must-understand',
  'no-transform',
]

/**
 * `Cache-Control` of an answer made of several: no more than each of them allows. A part that says nothing leaves the
 * time to the one who keeps it, which nobody may do for the others: then it is `no-cache`.
 *
 * @returns `undefined` if none of them says anything
 */
export function strictest(answers: readonly Fields[]): string | undefined {
  const silent = (fields: Fields): boolean =>
    fields.get('cache-control') === undefined && fields.get('expires') === undefined
  if (answers.every(silent)) return undefined
  const parts = answers.map((fields) => ({ fields, directives: readDirectives(fields.get('cache-control')) }))
  const has = (name: string): boolean => parts.some(({ directives }) => directives.has(name))
  if (has('no-store')) return 'no-store'
  const result = CONTAGIOUS.filter(has)
  if (!has('private') && parts.every(({ directives }) => directives.has('public'))) result.push('public')
  const ages = parts.map(({ fields, directives }) => secondsLeft(fields, directives, 'max-age'))
  const age = least(ages)
  if (age !== undefined) result.push(`max-age=${age}`)
  else if (!result.includes('no-cache')) result.push('no-cache')
  if (has('s-maxage')) {
    const shared = least(
      parts.map(
        ({ fields, directives }, index) => secondsLeft(fields, directives, 's-maxage') ?? ages[index],
      ),
    )
    if (shared !== undefined) result.push(`s-maxage=${shared}`)
  }
  return result.join(', ')
}

/** A strong entity tag (RFC 9110 8.8.3): the same for the same bytes, and for no others. */
export function entityTag(data: Buffer): string {
  return `"${createHash('sha256').update(data).digest('base64url').slice(0, 27)}"`
}

/** How much longer an answer is fresh, from what it says and how old it is. */
function secondsLeft(
  fields: Fields,
  directives: Directives,
  name: 'max-age' | 's-maxage',
): number | undefined {
  const lifetime = millisecondsOf(directives, name) ?? (name === 'max-age' ? untilExpires(fields) : undefined)
  if (lifetime === undefined) return undefined
  const age = /^\d{1,9}$/.exec(fields.get('age') ?? '')
  return Math.max(0, Math.floor(lifetime / 1000) - Number(age?.[0] ?? 0))
}

/** `Expires` against `Date` (RFC 9111 4.2.1), in ms; what cannot be read has passed. */
function untilExpires(fields: Fields): number | undefined {
  const expires = fields.get('expires')
  if (expires === undefined) return undefined
  const from = parseHttpDate(fields.get('date'))
  const to = parseHttpDate(expires)
  return from === undefined || to === undefined ? 0 : Math.max(0, to - from)
}

/** The least of them; `undefined` if one is not known. */
function least(values: readonly (number | undefined)[]): number | undefined {
  return values.every((value) => value !== undefined) ? Math.min(...values) : undefined
}
