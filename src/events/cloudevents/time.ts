/**
 * Times as CloudEvents write them (RFC 3339), to and from ms since the epoch.
 */

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/
/** As we write it: the second, its ms, and that it is UTC. */
const MS = /^[\d-]{10}T[\d:]{8}\.\d{3}Z$/
/** Years of four digits. */
const FIRST = Date.parse('0000-01-01T00:00:00.000Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

/** The second that was written or read last, in ms, and its text up to the fraction: many events share it. */
let lastSecond = 0
let lastText = '1970-01-01T00:00:00.'

/**
 * The text of a time: UTC with ms.
 *
 * @returns undefined if its year does not have four digits
 */
export function formatTime(ms: number): string | undefined {
  if (!(ms >= FIRST && ms <= LAST)) return undefined
  const second = Math.floor(ms / 1000) * 1000
  if (second !== lastSecond) {
    lastText = new Date(second).toISOString().slice(0, 20)
    lastSecond = second
  }
  const rest = ms - second
  return `${lastText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`
}

/**
 * The ms of a time; digits of its fraction beyond that are cut off, a leap second is the first of the next minute.
 *
 * @returns undefined if it is not one of RFC 3339
 */
export function parseTime(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  if (text.length === 24 && text.startsWith(lastText) && MS.test(text))
    return lastSecond + Number(text.slice(20, 23))
  const match = FORM.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [, , , , , , , fraction = '', sign, offsetHour = '0', offsetMinute = '0'] = match
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return undefined
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // The 31st of a month that has 30 days is in the next one.
  if (date.getUTCDate() !== day) return undefined
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === '-' ? -1 : 1)
  const inMs = date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000
  if (text.length === 24 && second < 60 && MS.test(text)) {
    lastText = text.slice(0, 20)
    lastSecond = inMs
  }
  return inMs + Number(fraction.slice(0, 3).padEnd(3, '0'))
}
