import { coordinationError } from './errors.js'

/** The longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 512
/** The largest value, in bytes of UTF-8. */
export const MAX_VALUE_BYTES = 256 * 1024

/** NUL, or half of a surrogate pair: what some engine would not give back as it was. */
const NO_TEXT = /\0|\p{Surrogate}/u

/** @throws `BANYAN_INVALID_KEY` unless it can be one */
export function checkKey(key: string): void {
  if (key === '') throw invalid('a key', key, 'must not be empty')
  checkText('a key', key)
}

/** @throws `BANYAN_INVALID_KEY` unless keys can begin with it */
export function checkPrefix(prefix: string): void {
  checkText('a prefix', prefix)
}

/** @throws `BANYAN_INVALID_KEY` unless the key begins with the prefix */
export function checkAmong(key: string, prefix: string): void {
  checkPrefix(prefix)
  checkText('a key', key)
  if (!key.startsWith(prefix)) throw invalid('a key', key, `must begin with the prefix ${prefix}`)
}

/** @throws `BANYAN_VALUE_TOO_LARGE`, or `BANYAN_INVALID_KEY` if it is no text */
export function checkValue(key: string, value: string): void {
  if (typeof value !== 'string' || NO_TEXT.test(value))
    throw invalid(`the value of ${key}`, value, 'must be well-formed text without NUL')
  // A character takes at most three bytes: most values need not be counted.
  if (value.length * 3 <= MAX_VALUE_BYTES) return
  const size = Buffer.byteLength(value)
  if (size > MAX_VALUE_BYTES)
    throw coordinationError(
      'BANYAN_VALUE_TOO_LARGE',
      `the value of ${key} has ${size} bytes, at most ${MAX_VALUE_BYTES} are kept; keep large things elsewhere and their place here`,
    )
}

/** @throws `BANYAN_INVALID_KEY` unless it is a revision */
export function checkRevision(what: string, revision: number): void {
  if (!Number.isSafeInteger(revision) || revision < 0)
    throw invalid(what, revision, 'must be a revision, a whole number of at least 0')
}

function checkText(what: string, text: string): void {
  if (typeof text !== 'string' || NO_TEXT.test(text))
    throw invalid(what, text, 'must be well-formed text without NUL')
  if (text.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(text) > MAX_KEY_BYTES)
    throw invalid(what, text.slice(0, 80), `must have at most ${MAX_KEY_BYTES} bytes`)
}

function invalid(what: string, value: unknown, must: string): Error {
  return coordinationError('BANYAN_INVALID_KEY', `${what} ${must}, got ${JSON.stringify(value)}`)
}
