import { expect, test } from 'vitest'
import { bytes, type Bytes } from './bytes.js'

test.each<[Bytes, number]>([
  [0, 0],
  [1500, 1500],
  ['64kB', 65_536],
  ['1.5MB', 1_572_864],
  ['2GB', 2_147_483_648],
])('%s is %d bytes', (given, expected) => {
  expect(bytes(given)).toBe(expected)
})

test.each(['64', '64KB', '64 kB', '-1kB', '', -1, NaN, Infinity, null, undefined])(
  '%s is no size',
  (given) => {
    expect(() => bytes(given as Bytes, 'maxBytes')).toThrow(
      /^maxBytes must be a number of bytes or text such as "64kB"/,
    )
  },
)
