import { expect, test } from 'vitest'
import { compareKeys } from '../../../coordination/driver.js'
import { beginningWith } from './range.js'

const KEYS = [
  'a',
  'a/',
  'a/b',
  'a0',
  'b',
  '\ud7ff',
  '\ud7ffx',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{10fffe}',
  '\u{10ffff}',
  '\u{10ffff}\u{10ffff}',
  '\u{10ffff}a',
]

test('the range of a prefix has the keys that begin with it, and no other', () => {
  for (const prefix of ['', ...KEYS]) {
    const { from, to } = beginningWith(prefix)
    // Bytes come behind any text.
    const within = (key: string): boolean =>
      compareKeys(key, from) >= 0 && (typeof to !== 'string' || compareKeys(key, to) < 0)
    expect(KEYS.filter(within), JSON.stringify(prefix)).toEqual(KEYS.filter((key) => key.startsWith(prefix)))
  }
})
