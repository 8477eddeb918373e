const IMF =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/
const RFC_850 =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d\d \d\d:\d\d:\d\d GMT$/
const ASCTIME =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \d{4}$/

/**
 * Reads a date of HTTP in one of its three forms (RFC 9110 5.6.7).
 *
 * @returns ms since the Unix epoch; `undefined` for anything else, which is no date however much it looks like one
 */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const zoned = ASCTIME.test(text) ? `${text} GMT` : IMF.test(text) || RFC_850.test(text) ? text : undefined
  if (zoned === undefined) return undefined
  const ms = Date.parse(zoned)
  return Number.isNaN(ms) ? undefined : ms
}

/** Writes a date of HTTP. */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString()
}
