import { eventError } from '../errors.js'

/**
 * What values the attributes of a CloudEvent may have (CloudEvents 1.0.2, "Type System" and "Context Attributes"; RFC
 * 3986 for URIs, RFC 2045 for content types).
 */

/** Attribute names: lower-case letters and digits. */
export const NAME = /^[a-z0-9]+$/
const PRINTABLE = /^[\x20-\x7e]*$/
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{NChar}]/u
const EACH_FORBIDDEN = /[\p{Cc}\p{Cs}\p{NChar}]/gu
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/([\w!#$%&'*+.^`|~-]+)[ \t]*(?:;.*)?$/s
const MIN_INTEGER = -(2 ** 31)
const MAX_INTEGER = 2 ** 31 - 1

const PCHAR = "(?:[\\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
const AUTHORITY = `(?:(?:[\\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?(?:\\[[0-9A-Fa-f:.]+\\]|\\[v[0-9A-Fa-f]+\\.[\\w.~!$&'()*+,;=:-]+\\]|(?:[\\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\\d*)?`
const TAIL = `(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?`
const NETWORK_PATH = `//${AUTHORITY}(?:/${PCHAR}*)*`
const ABSOLUTE_PATH = `/(?:${PCHAR}+(?:/${PCHAR}*)*)?`
const SCHEME = '[A-Za-z][A-Za-z0-9+.-]*:'
const ROOTLESS_PATH = `${PCHAR}+(?:/${PCHAR}*)*`
const PATH = `(?:${NETWORK_PATH}|${ABSOLUTE_PATH}|${ROOTLESS_PATH})`
const URI = new RegExp(`^${SCHEME}${PATH}${TAIL}$`)
/** As the official package has it: a colon before the first slash is no mistake, though RFC 3986 takes it for a scheme. */
const URI_REFERENCE = new RegExp(`^${PATH}?${TAIL}$`)

/** A String: no control characters, no noncharacters, no halves of surrogate pairs. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && (PRINTABLE.test(value) || !FORBIDDEN.test(value))
}

export function isFilledText(value: unknown): value is string {
  return isText(value) && value !== ''
}

/** An Integer: 32 bits, signed. */
export function isInteger(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= MIN_INTEGER && (value as number) <= MAX_INTEGER
}

/** What an extension attribute can be in JSON; binary values, URIs and timestamps are text there. */
export function isAttributeValue(value: unknown): value is string | number | boolean {
  return typeof value === 'boolean' || isText(value) || isInteger(value)
}

/** A URI that says with its scheme what it is. */
export function isUri(value: unknown): value is string {
  return typeof value === 'string' && URI.test(value)
}

/** The last one that was found to be one: events that come together mostly have the same source. */
let lastReference = ''

export function isUriReference(value: unknown): value is string {
  if (typeof value !== 'string' || value === '') return false
  if (value === lastReference) return true
  if (!URI_REFERENCE.test(value)) return false
  lastReference = value
  return true
}

export function isMediaType(value: unknown): value is string {
  return value === 'application/json' || (isText(value) && MEDIA_TYPE.test(value))
}

/** Whether the data is JSON: `*` + `/json` or `*` + `/*+json`, as nothing said means too. */
export function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType === 'application/json') return true
  const subtype = MEDIA_TYPE.exec(contentType)?.[1]?.toLowerCase() ?? ''
  return subtype === 'json' || subtype.endsWith('+json')
}

/** A text in which what a String cannot hold is percent-encoded: for eyes, as it cannot be told from what looks so. */
export function shown(text: string): string {
  return text.replace(EACH_FORBIDDEN, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)
      .join(''),
  )
}

/** JSON that is a String: what that cannot hold is escaped. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  if (PRINTABLE.test(text)) return text
  return text.replace(EACH_FORBIDDEN, (character) => {
    let escaped = ''
    for (let index = 0; index < character.length; index++)
      escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
    return escaped
  })
}

/** The error for what is not a CloudEvent. */
export function notCloudEvent(message: string, cause?: unknown): Error {
  return eventError('BANYAN_INVALID_EVENT', `not a CloudEvent: ${message}`, cause)
}

/** A value as a message shows it. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) return typeof value
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
