import { randomBytes } from 'node:crypto'

/** Text that is not JSON, or deeper than allowed. */
export class JsonError extends Error {}

/** Marks a whole number that a double cannot hold, on its way through as text. Nobody outside can know it. */
const MARK = `\u0000${randomBytes(12).toString('hex')}:`
const MARKED = new RegExp(`"\\\\u0000${MARK.slice(1)}(-?[0-9]+)"`, 'g')

/** Whole numbers of fewer digits are exact in a double. */
const LONG_DIGITS = 16

/**
 * Reads JSON (RFC 8259): UTF-8, bounded in depth. Whole numbers that a double cannot hold keep every digit, as long as
 * they are only passed on.
 *
 * @param most - levels of arrays and objects
 * @param options.forChecking - the bytes go on as they are, and the value only tells whether they may: then numbers are
 *   numbers, and a name that stands twice is an error, as who comes next may take the other
 * @throws {@link JsonError}
 */
export function parseJson(data: Buffer, most: number, options: { forChecking?: boolean } = {}): unknown {
  const { numbers, members } = scan(data, most)
  const value = parse(data, options.forChecking === true ? [] : numbers)
  if (options.forChecking === true && countMembers(value) !== members)
    throw new JsonError('a name stands twice in one object')
  return value
}

function parse(data: Buffer, numbers: readonly (readonly [start: number, end: number])[]): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true })
    if (numbers.length === 0) return JSON.parse(text.decode(data)) as unknown
    let exact = ''
    let from = 0
    for (const [start, end] of numbers) {
      const number = data.toString('latin1', start, end)
      exact += text.decode(data.subarray(from, start))
      exact += Number.isSafeInteger(Number(number)) ? number : JSON.stringify(MARK + number)
      from = end
    }
    return JSON.parse(exact + text.decode(data.subarray(from))) as unknown
  } catch {
    throw new JsonError('it is not JSON in UTF-8')
  }
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const values: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  return values.reduce<number>(
    (sum, each) => sum + countMembers(each),
    Array.isArray(value) ? 0 : values.length,
  )
}

/** Writes JSON; `undefined` is `null`. */
export function stringifyJson(value: unknown): string {
  // Not everything has a text, whatever the types say.
  const text = (JSON.stringify(value) as string | undefined) ?? 'null'
  return text.includes('\\u0000') ? text.replace(MARKED, '$1') : text
}

/** A value as it stands within text: nothing for `null`, JSON for what has parts. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'string') return stringifyJson(value)
  return value.startsWith(MARK) ? value.slice(MARK.length) : value
}

const QUOTE = 0x22
const MINUS = 0x2d
const BACKSLASH = 0x5c
const COLON = 0x3a

/**
 * One pass over the bytes, linear whatever they are: checks the depth, finds whole numbers that may be too long for a
 * double, and counts the members of all objects.
 */
function scan(data: Buffer, most: number): { numbers: [start: number, end: number][]; members: number } {
  const numbers: [number, number][] = []
  let members = 0
  let depth = 0
  for (let index = 0; index < data.length; index++) {
    const byte = data[index]!
    if (byte === QUOTE) {
      // In UTF-8 no byte of a longer character looks like a quote.
      for (index++; index < data.length && data[index] !== QUOTE; index++)
        if (data[index] === BACKSLASH) index++
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > most) throw new JsonError(`it is deeper than ${most} levels`)
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--
    } else if (byte === COLON) {
      members++
    } else if (isDigit(byte) || byte === MINUS) {
      const start = index
      let whole = true
      for (; index + 1 < data.length && isOfNumber(data[index + 1]!); index++)
        whole &&= isDigit(data[index + 1]!)
      if (whole && index + 1 - start >= LONG_DIGITS) numbers.push([start, index + 1])
    }
  }
  return { numbers, members }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** Digits, sign, point, exponent. */
function isOfNumber(byte: number): boolean {
  return isDigit(byte) || byte === MINUS || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65
}
