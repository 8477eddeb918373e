import { describe, expect, it } from 'vitest'
import { parseCron } from './cron.js'

describe('a cron expression', () => {
  it('has lists, ranges, steps and names', () => {
    const cron = parseCron(' 0,30-32   8-18/5 * JAN,mar-may  Sat-7 ')
    expect(cron.minutes).toEqual([0, 30, 31, 32])
    expect(cron.hours).toEqual([8, 13, 18])
    expect([1, 2, 3, 4, 5, 6].filter((month) => cron.hasMonth(month))).toEqual([1, 3, 4, 5])
    expect([0, 1, 2, 3, 4, 5, 6].filter((weekday) => cron.hasDay(1, 1, weekday))).toEqual([0, 6])
  })

  it.each([
    ['@daily', [0], [0]],
    ['@Hourly', [0], Array.from({ length: 24 }, (_, hour) => hour)],
  ])('may be %s', (text, minutes, hours) => {
    expect(parseCron(text)).toMatchObject({ minutes, hours })
  })

  it.each([
    ['', 'has no fields; there are five'],
    ['* * * *', 'has 4 fields'],
    ['0 * * * * *', 'none for seconds, for those there is every'],
    ['@reboot', 'is none of @yearly'],
    ['60 * * * *', 'has "60" as its minute; a value is 0 to 59'],
    ['0 24 * * *', 'has "24" as its hour'],
    ['0 0 0 * *', 'has "0" as its day of the month'],
    ['0 0 * 13 *', 'has "13" as its month; a value is 1 to 12, or jan to dec'],
    ['0 0 * * 8', 'has "8" as its day of the week'],
    ['0 0 * * monday', 'has "monday" as its day of the week'],
    ['0 0 L * *', 'has "L" as its day of the month'],
    ['0 0 ? * 1', 'has "?" as its day of the month'],
    ['1-2-3 * * * *', 'has "1-2-3" as its minute'],
    ['1,,2 * * * *', 'has "" as its minute'],
    ['/5 * * * *', 'has "/5" as its minute'],
    ['5/10 * * * *', 'say 5-59/10'],
    ['*/0 * * * *', 'has the step "0"'],
    ['*/ * * * *', 'has the step ""'],
    ['*/90 * * * *', 'for intervals there is every'],
    ['0 22-2 * * *', 'say 22-23,0-2'],
    ['0 0 30 2 *', 'never happens'],
    ['0 0 31 2,4,6,9,11 *', 'never happens'],
  ])('is refused: %j', (text, problem) => {
    expect(() => parseCron(text)).toThrow(
      expect.objectContaining({
        code: 'BANYAN_INVALID_OPTIONS',
        message: expect.stringContaining(problem) as string,
      }),
    )
  })

  it('happens on weekdays though no month has such a day', () => {
    expect(parseCron('0 0 31 2 1').hasDay(2, 2, 1)).toBe(true)
  })
})
