import { Cron as Croner } from 'croner'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { times } from '../../../../test/support/effort.js'
import { parseCron } from './cron.js'
import { CronTimes } from './cron-times.js'
import { Zone } from './zone.js'

const MINUTE = 60_000
const DAY = 86_400_000

function timesOf(cron: string, zone: string): CronTimes {
  return new CronTimes(parseCron(cron), new Zone(zone))
}

/** The first times behind one, as their clocks show them. */
function list(cron: string, zone: string, after: string, count: number): string[] {
  const plan = timesOf(cron, zone)
  const shown: string[] = []
  for (let time = Date.parse(after); shown.length < count;) {
    time = plan.next(time)
    shown.push(new Date(time).toISOString().replace(':00.000Z', 'Z'))
  }
  return shown
}

describe('the times of a cron expression', () => {
  it('are in its time zone', () => {
    expect(list('0 3 * * *', 'America/New_York', '2026-07-01T00:00Z', 2)).toEqual([
      '2026-07-01T07:00Z',
      '2026-07-02T07:00Z',
    ])
    expect(list('30 9 * * mon-fri', 'Asia/Kathmandu', '2026-07-03T00:00Z', 2)).toEqual([
      '2026-07-03T03:45Z',
      '2026-07-06T03:45Z',
    ])
  })

  it('are on either day if both the day of the month and that of the week are restricted', () => {
    expect(list('0 0 13 * 5', 'UTC', '2026-03-01T00:00Z', 4)).toEqual([
      '2026-03-06T00:00Z',
      '2026-03-13T00:00Z',
      '2026-03-20T00:00Z',
      '2026-03-27T00:00Z',
    ])
    expect(list('0 0 13 4 5', 'UTC', '2026-04-11T00:00Z', 2)).toEqual([
      '2026-04-13T00:00Z',
      '2026-04-17T00:00Z',
    ])
  })

  it('come also if that takes years', () => {
    expect(list('0 0 29 2 *', 'UTC', '2096-03-01T00:00Z', 1)).toEqual(['2104-02-29T00:00Z'])
    expect(list('0 0 29 2 */6', 'UTC', '2026-01-01T00:00Z', 2)).toEqual([
      '2032-02-29T00:00Z',
      '2048-02-29T00:00Z',
    ])
    expect(timesOf('0 0 29 2 */6', 'UTC').last(Date.UTC(2026, 0))).toBe(Date.UTC(2020, 1, 29))
  })

  describe('where clocks are put forward', () => {
    it('are at that moment if they are named and are passed over, once', () => {
      expect(list('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 2)).toEqual([
        '2026-03-29T01:00Z',
        '2026-03-30T00:30Z',
      ])
      expect(list('15,45 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 4)).toEqual([
        '2026-03-29T01:00Z',
        '2026-03-29T01:15Z',
        '2026-03-29T01:45Z',
        '2026-03-30T00:15Z',
      ])
      expect(list('0 0 * * *', 'America/Havana', '2026-03-07T12:00Z', 2)).toEqual([
        '2026-03-08T05:00Z',
        '2026-03-09T04:00Z',
      ])
      expect(list('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00Z', 2)).toEqual([
        '2026-10-03T15:30Z',
        '2026-10-04T15:15Z',
      ])
    })

    it('keep their distance if they are not named', () => {
      expect(list('30 * * * *', 'Europe/Berlin', '2026-03-29T00:00Z', 3)).toEqual([
        '2026-03-29T00:30Z',
        '2026-03-29T01:30Z',
        '2026-03-29T02:30Z',
      ])
      expect(list('*/30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', 1)).toEqual(['2026-03-30T00:00Z'])
    })

    it('are there though a whole day is not', () => {
      expect(list('0 12 * * *', 'Pacific/Apia', '2011-12-29T00:00Z', 3)).toEqual([
        '2011-12-29T22:00Z',
        '2011-12-30T10:00Z',
        '2011-12-30T22:00Z',
      ])
    })
  })

  describe('where clocks are put back', () => {
    it('are once if they are named', () => {
      expect(list('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', 2)).toEqual([
        '2026-10-25T00:30Z',
        '2026-10-26T01:30Z',
      ])
      expect(list('30 1-3 * * *', 'Europe/Berlin', '2026-10-24T22:00Z', 4)).toEqual([
        '2026-10-24T23:30Z',
        '2026-10-25T00:30Z',
        '2026-10-25T02:30Z',
        '2026-10-26T00:30Z',
      ])
    })

    it('keep their distance if they are not named', () => {
      expect(list('30 * * * *', 'Europe/Berlin', '2026-10-24T23:50Z', 3)).toEqual([
        '2026-10-25T00:30Z',
        '2026-10-25T01:30Z',
        '2026-10-25T02:30Z',
      ])
      expect(list('*/30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', 5)).toEqual([
        '2026-10-25T00:00Z',
        '2026-10-25T00:30Z',
        '2026-10-25T01:00Z',
        '2026-10-25T01:30Z',
        '2026-10-26T01:00Z',
      ])
    })
  })
})

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Havana',
  'America/Sao_Paulo',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'Pacific/Apia',
]

/** A field: `*`, a step, a list of values and ranges. */
function field(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max })
  const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: Math.min(20, max - min) }).map((step) => `*/${step}`) },
    {
      weight: 4,
      arbitrary: fc
        .array(fc.oneof(value.map(String), range), { minLength: 1, maxLength: 3 })
        .map((parts) => parts.join()),
    },
  )
}

const expression = fc
  .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
  .map((fields) => fields.join(' '))
const moment = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2036, 0) })
const property = { numRuns: times(150) }

/** What a clock shows, to the minute. */
function shown(
  zone: string,
): (time: number) => { minute: number; hour: number; day: number; month: number; weekday: number } {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    weekday: 'short',
  })
  return (time) => {
    const [weekday = '', month, day, hour, minute] = format.format(time).match(/\w+/g) ?? []
    return {
      weekday: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(weekday),
      month: Number(month),
      day: Number(day),
      hour: Number(hour),
      minute: Number(minute),
    }
  }
}

describe('of any expression', () => {
  it('next and last are of one list', () => {
    fc.assert(
      fc.property(expression, fc.constantFrom(...ZONES), moment, (cron, zone, at) => {
        const plan = timesOf(cron, zone)
        const next = plan.next(at)
        expect(next).toBeGreaterThan(at)
        expect(plan.last(next)).toBe(next)
        const last = plan.last(at)
        expect(last).toBeLessThanOrEqual(at)
        expect(plan.next(last)).toBe(next)
        expect(plan.next(last - 1)).toBe(last)
      }),
      property,
    )
  })

  it('the times are what a clock on the wall shows when it is looked at each minute', () => {
    fc.assert(
      fc.property(expression, fc.constantFrom(...ZONES), moment, (text, zone, at) => {
        const cron = parseCron(text)
        const show = shown(zone)
        const start = Math.ceil(at / MINUTE) * MINUTE
        const expected: number[] = []
        const named = new Set<string>()
        for (let time = start - DAY; time < start + 2 * DAY; time += MINUTE) {
          const { month, day, weekday, hour, minute } = show(time)
          if (
            !cron.hasDay(month, day, weekday) ||
            !cron.hours.includes(hour) ||
            !cron.minutes.includes(minute)
          )
            continue
          const name = `${month}/${day} ${hour}:${minute}`
          if (cron.isNamed && named.has(name)) continue
          named.add(name)
          if (time > start) expected.push(time)
        }
        const plan = new CronTimes(cron, new Zone(zone))
        const found: number[] = []
        for (let time = plan.next(start); time < start + 2 * DAY; time = plan.next(time)) found.push(time)
        // What is passed over is at a change of the clocks, and shown by none.
        const offset = new Zone(zone)
        const isChange = (time: number): boolean => offset.offset(time) > offset.offset(time - 1)
        expect(found.filter((time) => expected.includes(time) || !cron.isNamed || !isChange(time))).toEqual(
          expected,
        )
      }),
      { numRuns: times(25) },
    )
  })

  it('the times are those of croner, where no clocks are changed', () => {
    fc.assert(
      fc.property(expression, moment, (text, at) => {
        const [, , day = '', , weekday = ''] = text.split(' ')
        // It takes the days as restricted that begin with a star and have a step.
        fc.pre(!day.startsWith('*/') && !weekday.startsWith('*/'))
        const peer = new Croner(text, { timezone: 'Etc/GMT-3', paused: true })
        const plan = timesOf(text, 'Etc/GMT-3')
        let time = at
        for (const expected of peer.nextRuns(5, new Date(at))) {
          time = plan.next(time)
          expect(new Date(time)).toEqual(expected)
        }
      }),
      property,
    )
  })
})
