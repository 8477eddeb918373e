import { BanyanError } from '../../../core/errors.js'

/**
 * What a cron expression of five fields says, as crontab(5) of Vixie cron means it: minute, hour, day of the month, month, day
 * of the week. Where both days are restricted, which is to say that neither begins with `*`, either one is enough.
 */
export interface Cron {
  /** Rising. */
  readonly minutes: readonly number[]
  /** Rising. */
  readonly hours: readonly number[]
  /**
   * Whether it names its times of day, as neither minute nor hour begins with `*`. Others run all the time, or all the time
   * within certain hours. The two differ where clocks are changed: see {@link CronTimes}.
   */
  readonly isNamed: boolean
  /** @param weekday - 0 is Sunday */
  hasDay(month: number, day: number, weekday: number): boolean
  /** From 1. */
  hasMonth(month: number): boolean
}

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly words?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

const MINUTE: Field = { name: 'minute', min: 0, max: 59 }
const HOUR: Field = { name: 'hour', min: 0, max: 23 }
const DAY: Field = { name: 'day of the month', min: 1, max: 31 }
const MONTH: Field = { name: 'month', min: 1, max: 12, words: MONTHS }
/** 7 is Sunday, too. */
const WEEKDAY: Field = { name: 'day of the week', min: 0, max: 7, words: WEEKDAYS }

const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** The longest that each month can be. */
const DAYS_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Reads a cron expression.
 *
 * @param text - five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`
 * @throws `BANYAN_INVALID_OPTIONS` if it is none, or if it never happens
 */
export function parseCron(text: string): Cron {
  const trimmed = text.trim()
  const fields = (SHORTHANDS[trimmed.toLowerCase()] ?? trimmed).split(/\s+/)
  if (fields.length !== 5) throw invalid(text, problemOfCount(trimmed, fields.length))
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string]
  const minutes = valuesOf(text, MINUTE, minute)
  const hours = valuesOf(text, HOUR, hour)
  const days = new Set(valuesOf(text, DAY, day))
  const months = new Set(valuesOf(text, MONTH, month))
  const weekdays = new Set(valuesOf(text, WEEKDAY, weekday).map((value) => value % 7))
  const isEither = !day.startsWith('*') && !weekday.startsWith('*')
  const canBe = [...months].some((number) => [...days].some((each) => each <= DAYS_OF_MONTH[number - 1]!))
  if (!isEither && !canBe) throw invalid(text, 'never happens: no such month has such a day')
  return {
    minutes,
    hours,
    isNamed: !minute.startsWith('*') && !hour.startsWith('*'),
    hasMonth: (number) => months.has(number),
    hasDay(number, each, onWeekday) {
      if (!months.has(number)) return false
      return isEither ? days.has(each) || weekdays.has(onWeekday) : days.has(each) && weekdays.has(onWeekday)
    },
  }
}

function valuesOf(text: string, field: Field, list: string): number[] {
  const values = new Set<number>()
  for (const part of list.split(',')) for (const value of valuesOfPart(text, field, part)) values.add(value)
  return [...values].sort((a, b) => a - b)
}

function valuesOfPart(text: string, field: Field, part: string): number[] {
  const { name, min, max } = field
  const slash = part.indexOf('/')
  const range = slash < 0 ? part : part.slice(0, slash)
  const by = slash < 0 ? undefined : part.slice(slash + 1)
  // Twice, 0 and 7, would be one too many for a step.
  const [from, to] = range === '*' ? [min, field === WEEKDAY ? 6 : max] : boundsOf(text, field, range, part)
  if (by === undefined) return between(from, to, 1)
  if (!/^\d+$/.test(by) || Number(by) === 0)
    throw invalid(text, `has the step ${JSON.stringify(by)} in its ${name}, which must be a whole number`)
  if (range !== '*' && !range.includes('-'))
    throw invalid(text, `has a step behind a single ${name}; say ${range}-${max}/${by}`)
  const step = Number(by)
  if (step > to - from)
    throw invalid(
      text,
      `has a step of ${step} in its ${name}, which never comes to a second value; for intervals there is every`,
    )
  return between(from, to, step)
}

function boundsOf(text: string, field: Field, range: string, part: string): [number, number] {
  const ends = range.split('-')
  if (range === '' || ends.length > 2)
    throw invalid(text, `has ${JSON.stringify(part)} as its ${field.name}; ${describe(field)}`)
  const [from, to = from] = ends.map((end) => valueOf(text, field, end)) as [number, number?]
  if (from > to)
    throw invalid(
      text,
      `has a range that goes backwards as its ${field.name}; say ${ends[0]}-${field.max},${field.min}-${ends[1]}`,
    )
  return [from, to]
}

function valueOf(text: string, field: Field, given: string): number {
  const { name, min, max, words = [] } = field
  const word = words.indexOf(given.toLowerCase())
  if (word >= 0) return word + min
  const value = /^\d{1,2}$/.test(given) ? Number(given) : NaN
  if (value >= min && value <= max) return value
  throw invalid(text, `has ${JSON.stringify(given)} as its ${name}; ${describe(field)}`)
}

function describe({ min, max, words }: Field): string {
  const named = words ? `, or ${words[0]} to ${words.at(-1)}` : ''
  return `a value is ${min} to ${max}${named}; * and lists with commas, ranges with - and steps with / of these are understood`
}

function between(from: number, to: number, step: number): number[] {
  const values: number[] = []
  for (let value = from; value <= to; value += step) values.push(value)
  return values
}

function problemOfCount(text: string, count: number): string {
  if (text.startsWith('@')) return `is none of ${Object.keys(SHORTHANDS).join(', ')}`
  if (count === 6) return 'has six fields; there is none for seconds, for those there is every'
  return `has ${text === '' ? 'no' : count} fields; there are five: minute, hour, day of the month, month, day of the week`
}

function invalid(text: string, problem: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `the cron expression ${JSON.stringify(text)} ${problem}`)
}
