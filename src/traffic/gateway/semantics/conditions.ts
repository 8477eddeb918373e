import type { Fields } from '../../http/fields.js'
import { parseHttpDate } from './date.js'

/** What a representation can be recognised by. */
export interface Validators {
  /** With its quotes, and `W/` if it is weak. */
  readonly etag: string | undefined
  /** ms since the Unix epoch, whole seconds. */
  readonly lastModified: number | undefined
}

/** The entity tags of a list, as they are written. */
function tagsOf(list: string): string[] {
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []
}

const opaque = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag)

/** RFC 9110 8.8.3.2: equal but for weakness. */
export function sameWeakly(a: string, b: string): boolean {
  return opaque(a) === opaque(b)
}

/** RFC 9110 8.8.3.2: equal, and neither is weak. */
export function sameStrongly(a: string, b: string): boolean {
  return a === b && !a.startsWith('W/')
}

/**
 * Whether the client has what it asks for already, by If-None-Match or else If-Modified-Since: the part of
 * {@link precondition} that a cache evaluates (RFC 9111 4.3.2).
 */
export function isUnchanged(request: Fields, { etag, lastModified }: Validators): boolean {
  const noneMatch = request.get('if-none-match')
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return true
    return etag !== undefined && tagsOf(noneMatch).some((tag) => sameWeakly(tag, etag))
  }
  const since = parseHttpDate(request.get('if-modified-since'))
  return since !== undefined && lastModified !== undefined && lastModified <= since
}

/**
 * Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 13.2.2.
 *
 * @returns the status to answer with; `undefined` to go on
 */
export function precondition(request: Fields, validators: Validators): 304 | 412 | undefined {
  const { etag, lastModified } = validators
  const match = request.get('if-match')
  const unmodified = parseHttpDate(request.get('if-unmodified-since'))
  if (match !== undefined) {
    const met =
      match.trim() === '*' || (etag !== undefined && tagsOf(match).some((tag) => sameStrongly(tag, etag)))
    if (!met) return 412
  } else if (unmodified !== undefined && lastModified !== undefined && lastModified > unmodified) {
    return 412
  }
  return isUnchanged(request, validators) ? 304 : undefined
}

/**
 * Whether a range may be given: without If-Range, or if that names just this representation (RFC 9110 13.1.5).
 *
 * @param now - ms since the Unix epoch; a date proves nothing within the second in which it was made
 */
export function rangeApplies(
  ifRange: string | undefined,
  { etag, lastModified }: Validators,
  now: number,
): boolean {
  if (ifRange === undefined) return true
  if (ifRange.includes('"')) return etag !== undefined && sameStrongly(ifRange.trim(), etag)
  const date = parseHttpDate(ifRange)
  return date !== undefined && date === lastModified && now - lastModified >= 1000
}
