const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/** Up to where which two units are told. The second is left out if there are none of it. */
const STEPS = [
  { below: 2 * MINUTE, unit: SECOND, name: 's' },
  { below: 10 * MINUTE, unit: MINUTE, name: 'm', rest: SECOND, restName: 's' },
  { below: 3 * HOUR, unit: MINUTE, name: 'm' },
  { below: 8 * HOUR, unit: HOUR, name: 'h', rest: MINUTE, restName: 'm' },
  { below: 2 * DAY, unit: HOUR, name: 'h' },
  { below: 8 * DAY, unit: DAY, name: 'd', rest: HOUR, restName: 'h' },
  { below: 2 * YEAR, unit: DAY, name: 'd' },
  { below: 8 * YEAR, unit: YEAR, name: 'y', rest: DAY, restName: 'd' },
  { below: Infinity, unit: YEAR, name: 'y' },
]

/**
 * How long ago something was, as `kubectl` tells it: `90s`, `4m10s`, `26h`, `5d3h`.
 *
 * @param time - as of RFC 3339
 * @param now - ms since 1970
 * @returns `<invalid>` for what is no time, and for what is to come; clocks may differ by two seconds
 */
export function ageOf(time: string, now: number): string {
  const age = now - Date.parse(time)
  const step = STEPS.find(({ below }) => age < below)
  if (!step || age <= -2 * SECOND) return '<invalid>'
  const past = Math.max(0, age)
  const { unit, name, rest, restName } = step
  const least = rest === undefined ? 0 : Math.floor((past % unit) / rest)
  return `${Math.floor(past / unit)}${name}${least === 0 ? '' : `${least}${restName}`}`
}
