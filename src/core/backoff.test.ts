import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffWait } from './backoff.js'
import { seededRandom } from './random.js'

describe('a wait between two tries', () => {
  const growth = { base: 10, factor: 3, max: 200 }

  test('grows by its factor up to the longest', () => {
    const waits = [1, 2, 3, 4, 5].map((failures) => backoffWait(growth, failures, 'none', seededRandom(1)))
    expect(waits).toEqual([10, 30, 90, 200, 200])
  })

  test.each([
    ['full', 0, 90],
    ['equal', 45, 90],
  ] as const)('with %s jitter is spread from %d to %d', (jitter, least, most) => {
    const random = seededRandom(7)
    const waits = Array.from({ length: 1000 }, () => backoffWait(growth, 3, jitter, random))
    const width = most - least
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(least)
    expect(Math.min(...waits)).toBeLessThan(least + width / 50)
    expect(Math.max(...waits)).toBeLessThanOrEqual(most)
    expect(Math.max(...waits)).toBeGreaterThan(most - width / 50)
    const middle = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
    expect(Math.abs(middle - (least + most) / 2)).toBeLessThan(width / 20)
  })

  test('is a number up to the longest, after however many failures', () => {
    const jitters = fc.constantFrom('full' as const, 'equal' as const, 'none' as const)
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e9 }),
        fc.double({ min: 1, max: 100, noNaN: true }),
        fc.integer({ min: 0, max: 1e9 }),
        fc.integer({ min: 1, max: 1e6 }),
        jitters,
        fc.integer(),
        (base, factor, max, failures, jitter, seed) => {
          const wait = backoffWait({ base, factor, max }, failures, jitter, seededRandom(seed))
          expect(wait).toBeGreaterThanOrEqual(0)
          expect(wait).toBeLessThanOrEqual(max)
        },
      ),
    )
  })
})
