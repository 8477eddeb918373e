import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareKeys } from '../../../coordination/driver.js'
import { rangeOf } from './range.js'

/** Few characters, so that many keys begin alike, and those at the edges of what UTF-8 has. */
const text = fc
  .array(
    fc.constantFrom('a', 'b', '\u007f', '\u0080', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
    {
      maxLength: 4,
    },
  )
  .map((characters) => characters.join(''))

test('a range has exactly the keys that begin with the prefix', () => {
  fc.assert(
    fc.property(text, text, (prefix, key) => {
      const { from, end } = rangeOf(prefix)
      const inside = compareKeys(key, from) >= 0 && (end === undefined || compareKeys(key, end) < 0)
      expect(inside).toBe(key.startsWith(prefix))
    }),
    { numRuns: 2000 },
  )
})
