import fc from 'fast-check'
import { expect, test } from 'vitest'
import { periodAt } from './period.js'

const instant = fc.integer({ min: 0, max: 4e12 })

test('an instant lies in its period, and the period of its last instant is the same', () => {
  fc.assert(
    fc.property(instant, fc.constantFrom(1000, 86_400_000, 'month' as const), (now, period) => {
      const { begins, ends } = periodAt(now, period)
      expect(begins).toBeLessThanOrEqual(now)
      expect(now).toBeLessThan(ends)
      expect(periodAt(ends - 1, period)).toEqual({ begins, ends })
      expect(periodAt(ends, period).begins).toBe(ends)
    }),
  )
})

test('a day begins at midnight, a month on its first day, both UTC', () => {
  const now = Date.UTC(2024, 1, 29, 13, 5)
  expect(periodAt(now, 86_400_000)).toEqual({ begins: Date.UTC(2024, 1, 29), ends: Date.UTC(2024, 2, 1) })
  expect(periodAt(now, 'month')).toEqual({ begins: Date.UTC(2024, 1), ends: Date.UTC(2024, 2) })
})
