import { expect, test } from 'vitest'
import { SlowStart } from './slow-start.js'

test('the load grows evenly from a tenth to all of it', () => {
  const start = new SlowStart({ over: '30s' })
  expect([0, 1_000, 3_000, 15_000, 27_000, 30_000, 99_000].map((ms) => start.share(ms))).toEqual([
    0.1, 0.1, 0.1, 0.5, 0.9, 1, 1,
  ])
})

test('aggression brings the load earlier, or later', () => {
  expect(new SlowStart({ over: 100, aggression: 2 }).share(25)).toBe(0.5)
  expect(new SlowStart({ over: 100, aggression: 0.5, minimum: 0.01 }).share(50)).toBe(0.25)
})

test('wrong options are all named', () => {
  expect(() => new SlowStart({ over: -1, minimum: 2 })).toThrow(/over must be .*; minimum must be/)
})
