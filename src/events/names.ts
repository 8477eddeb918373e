import { eventError, type EventErrorCode } from './errors.js'

/** Longest names, in bytes of UTF-8: what an index of any engine can hold. */
export const MAX_STREAM_BYTES = 512
export const MAX_NAME_BYTES = 255

/**
 * Refuses what not every engine can keep as it is: empty and overlong names, NUL, and halves of surrogate pairs.
 *
 * @param what - what to call it in the message
 */
export function checkName(
  value: unknown,
  what: string,
  code: EventErrorCode = 'BANYAN_INVALID_EVENT',
  max = MAX_NAME_BYTES,
): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw eventError(
      code,
      `${what} must be text that is not empty, got ${value === undefined || value === null ? 'nothing' : JSON.stringify(value)}`,
    )
  // A string of UTF-16 has at most three bytes of UTF-8 for each of its units.
  if (value.length * 3 > max && Buffer.byteLength(value) > max)
    throw eventError(code, `${what} is longer than ${max} bytes: ${JSON.stringify(value.slice(0, 40))}...`)
  if (PLAIN.test(value)) return
  if (value.includes('\0')) throw eventError(code, `${what} must not contain NUL: ${JSON.stringify(value)}`)
  if (LONE_SURROGATE.test(value))
    throw eventError(code, `${what} is not well-formed Unicode: ${JSON.stringify(value)}`)
}

const PLAIN = /^[\x01-\x7f]*$/
const LONE_SURROGATE = /\p{Surrogate}/u

/** What stands before the first `-`, or the whole name: `order-17` is of `order`. */
export function categoryOf(stream: string): string {
  const dash = stream.indexOf('-')
  return dash === -1 ? stream : stream.slice(0, dash)
}
