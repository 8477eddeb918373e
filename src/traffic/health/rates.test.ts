import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { highLatency, lowSuccess, medianOf } from './rates.js'

const rates = (...shares: number[]) =>
  shares.map((share, of) => ({ of, requests: 1_000, successes: Math.round(share * 1_000) }))

describe('low success', () => {
  test('finds the one that fails while the others do well', () => {
    expect(lowSuccess(rates(1, 1, 1, 1, 0.5), 1.9, 0.05).map(({ of }) => of)).toEqual([4])
  })

  test('finds none where all are equally bad', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 2, max: 50 }),
        (share, count) => {
          expect(lowSuccess(rates(...Array.from({ length: count }, () => share)), 0, 0)).toEqual([])
        },
      ),
    )
  })

  test('calls nobody an outlier for one failure in a hundred', () => {
    expect(lowSuccess(rates(1, 1, 1, 1, 0.99), 1.9, 0.05)).toEqual([])
    expect(lowSuccess(rates(1, 1, 1, 1, 0.99), 1.9, 0).map(({ of }) => of)).toEqual([4])
  })

  test('tells the rate and the limit it missed', () => {
    const [found] = lowSuccess(rates(1, 1, 1, 1, 0.5), 1.9, 0.05)
    expect(found!.value).toBe(0.5)
    // Mean 0.9, deviation 0.2.
    expect(found!.limit).toBeCloseTo(0.52)
  })
})

describe('high latency', () => {
  const medians = (...values: number[]) => values.map((median, of) => ({ of, median }))

  test('finds the one that is many times slower than the others', () => {
    expect(highLatency(medians(20, 25, 22, 90), 3, 10).map(({ of }) => of)).toEqual([3])
  })

  test('measures by the others alone, so that one of three cannot hide itself', () => {
    expect(highLatency(medians(20, 22, 1_000), 3, 10)).toEqual([{ of: 2, value: 1_000, limit: 63 }])
  })

  test('lets differences pass that nobody feels', () => {
    expect(highLatency(medians(0.2, 0.2, 2), 3, 10)).toEqual([])
  })

  test('finds at most the slower half', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 3, maxLength: 30 }),
        (all) => {
          const middle = medianOf(all)
          for (const { value } of highLatency(medians(...all), 1, 0))
            expect(value).toBeGreaterThanOrEqual(middle)
        },
      ),
    )
  })
})
