import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bucketOf } from './buckets.js'

test('a key is in one of the buckets, the same half of it when there are twice as many', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 65_536 }), (key, buckets) => {
      const bucket = bucketOf(key, buckets)
      expect(bucket).toBeGreaterThanOrEqual(0)
      expect(bucket).toBeLessThan(buckets)
      expect(Math.floor(bucketOf(key, buckets * 2) / 2)).toBe(bucket)
    }),
  )
})

test('buckets get keys as chance has it', () => {
  const counts = new Array<number>(64).fill(0)
  for (let index = 0; index < 64_000; index++) counts[bucketOf(`customer/${index}`, 64)]!++
  // 1,000 each, with a standard deviation of 32.
  expect(Math.max(...counts)).toBeLessThan(1130)
  expect(Math.min(...counts)).toBeGreaterThan(870)
})

test('a key stays in its bucket for ever', () => {
  expect(['', 'a', 'customer/42', 'größe', '🌳'].map((key) => bucketOf(key, 1024))).toMatchInlineSnapshot(`
    [
      684,
      583,
      196,
      100,
      766,
    ]
  `)
})
