import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LatencyHistogram } from './latency-histogram.js'

const latency = fc.double({ min: 0.001, max: 600_000, noNaN: true })

function histogramOf(latencies: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const ms of latencies) histogram.count(ms)
  return histogram
}

describe('a quantile', () => {
  test('is never below the true one and at most a tenth above it', () => {
    fc.assert(
      fc.property(
        fc.array(latency, { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (list, share) => {
          const sorted = [...list].sort((a, b) => a - b)
          const exact = sorted[Math.max(0, Math.ceil(list.length * share) - 1)]!
          const found = histogramOf(list).quantile(share)!
          expect(found).toBeGreaterThanOrEqual(exact * (1 - 1e-9))
          expect(found).toBeLessThanOrEqual(exact * 1.1 * (1 + 1e-9))
        },
      ),
    )
  })

  test('of nothing is undefined', () => {
    expect(new LatencyHistogram().quantile(0.5)).toBeUndefined()
  })

  test('of what is below or above all classes is that of the outermost class', () => {
    expect(histogramOf([0]).quantile(1)).toBeLessThanOrEqual(0.002)
    expect(histogramOf([1e12]).quantile(1)).toBeGreaterThan(900_000)
  })
})

test('two histograms together are the histogram of both', () => {
  fc.assert(
    fc.property(fc.array(latency), fc.array(latency), (one, other) => {
      const sum = histogramOf(one)
      sum.add(histogramOf(other))
      expect(sum).toEqual(histogramOf([...one, ...other]))
      expect(sum.total).toBe(one.length + other.length)
      expect(sum.quantile(0.9)).toBe(histogramOf([...one, ...other]).quantile(0.9))
    }),
  )
})

test('a cleared histogram is as new', () => {
  const histogram = histogramOf([1, 2, 3])
  histogram.clear()
  expect(histogram.total).toBe(0)
  expect(histogram.quantile(1)).toBeUndefined()
})
