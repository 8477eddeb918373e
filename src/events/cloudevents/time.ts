/**
 * Times as CloudEvents write them (RFC 3339), to and from ms since the epoch.
 */

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/
/** Years of four digits. */
const FIRST = Date.parse('0000-01-01T00:00:00.000Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

let lastSecond = NaN
let lastText = ''

/**
 * The text of a time: UTC with ms.
 *
 * @returns undefined if its year does not have four digits
 */
export function formatTime(ms: number): string | undefined {
  if (!(ms >= FIRST && ms <= LAST)) return undefined
  // Many events share their second, and Date is what costs.
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toISOString().slice(0, 20)
    lastSecond = second
  }
  const rest = ms - second * 1000
  return `${lastText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`
}

/**
 * The ms of a time; digits of its fraction beyond that are cut off, a leap second is the first of the next minute.
 *
 * @returns undefined if it is not one of RFC 3339
 */
export function parseTime(text: unknown): number | undefined {
  const match = typeof text === 'string' ? FORM.exec(text) : null
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
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms
}
