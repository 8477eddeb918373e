import fc from 'fast-check'
import { expect, test } from 'vitest'
import { virtualClock } from '../../testing/index.js'
import { MemoryQuotaStore } from './quota-store.js'

test('of any takes of a key, as many as the limit succeed, and each key is counted on its own', () => {
  const takes = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 100, size: 'max' })
  fc.assert(
    fc.property(takes, fc.integer({ min: 0, max: 20 }), (keys, limit) => {
      const clock = virtualClock()
      const store = new MemoryQuotaStore(clock)
      const taken = new Map<string, number>()
      for (const key of keys) {
        const before = taken.get(key) ?? 0
        const count = store.take(key, limit, clock.wall() + 1000)
        expect(count.taken).toBe(before < limit)
        if (count.taken) taken.set(key, before + 1)
        expect(count.used).toBe(taken.get(key) ?? 0)
      }
    }),
  )
})

test('counts are forgotten after their period, not before', async () => {
  const clock = virtualClock()
  const store = new MemoryQuotaStore(clock)
  const until = clock.wall() + 3_600_000
  store.take('old', 1, until)
  await clock.advance('59m')
  expect(store.take('other', 1, until + 3_600_000).taken).toBe(true)
  expect(store.take('old', 1, until).taken).toBe(false)
  await clock.advance('2m')
  store.take('other', 1, until + 3_600_000)
  expect(store.size).toBe(1)
})

test('at the bound, the count that was not used for longest makes room', () => {
  const store = new MemoryQuotaStore(virtualClock(), 2)
  const take = (key: string): boolean => store.take(key, 1, Infinity).taken
  expect(['a', 'b', 'a', 'c', 'a', 'b'].map(take)).toEqual([true, true, false, true, false, true])
})
