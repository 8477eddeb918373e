import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { duration, formatDuration, parseDuration, type Duration } from './duration.js'

describe('reading a duration', () => {
  test.each<[Duration, number]>([
    [0, 0],
    [1.5, 1.5],
    ['250ms', 250],
    ['0ms', 0],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])('%j is %d ms', (value, ms) => {
    expect(parseDuration(value)).toBe(ms)
    expect(duration(value)).toBe(ms)
  })

  test.each<[unknown]>([
    [-1],
    [NaN],
    [Infinity],
    ['250'],
    ['s'],
    [''],
    ['5 s'],
    ['-5s'],
    ['1e3ms'],
    ['.5s'],
    ['5S'],
    ['1h30m'],
    [' 5s'],
    ['5s\n'],
    [null],
    [undefined],
    [{}],
  ])('%j is none', (value) => {
    expect(parseDuration(value)).toBeUndefined()
  })

  test('says what is wrong with one that must be right', () => {
    expect(() => duration('5 s', 'retry: base')).toThrow(
      'retry: base must be a number of milliseconds or text such as "250ms", "5s", "2m", got "5 s"',
    )
    expect(() => duration(NaN)).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }))
  })
})

describe('writing a duration', () => {
  test.each([
    [0, '0ms'],
    [2.04, '2ms'],
    [250, '250ms'],
    [2_500, '2.5s'],
    [60_000, '1m'],
    [5_400_000, '1.5h'],
    [604_800_000, '7d'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('what is written can be read, and is right to within the last digit', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), (ms) => {
        const read = parseDuration(formatDuration(ms))!
        const unit =
          ms < 1_000
            ? 1
            : ms < 60_000
              ? 1_000
              : ms < 3_600_000
                ? 60_000
                : ms < 86_400_000
                  ? 3_600_000
                  : 86_400_000
        expect(Math.abs(read - ms)).toBeLessThanOrEqual(unit * 0.05 + 1e-6 * ms)
      }),
    )
  })
})
