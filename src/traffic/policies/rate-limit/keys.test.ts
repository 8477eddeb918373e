import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Entry, Keys } from './keys.js'

test('holds the entries that were used last, whatever the order of use', () => {
  const uses = fc.array(fc.integer({ min: 0, max: 9 }).map(String), { maxLength: 200 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), uses, (most, order) => {
      const keys = new Keys(most, (key) => new Entry(key))
      let held: string[] = []
      for (const key of order) {
        const before = keys.peek(key)
        const entry = keys.use(key)
        if (before) expect(entry).toBe(before)
        held = [...held.filter((other) => other !== key), key].slice(-most)
        for (let other = 0; other < 10; other++) {
          expect(keys.peek(String(other)) !== undefined).toBe(held.includes(String(other)))
        }
        expect(keys.size).toBe(held.length)
      }
    }),
  )
})
