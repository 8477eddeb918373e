import { expect, test } from 'vitest'
import { millisecondsOf, readDirectives } from './cache-control.js'

test('names are compared without case', () => {
  expect(readDirectives('No-Store, MAX-AGE=5')).toEqual(
    new Map([
      ['no-store', ''],
      ['max-age', '5'],
    ]),
  )
})

test('an argument in quotes is one argument', () => {
  expect([...readDirectives('private="a, no-store", max-age="7"')]).toEqual([
    ['private', 'a, no-store'],
    ['max-age', '7'],
  ])
})

test('a quote that does not end hides nothing', () => {
  expect(readDirectives('x="a, private').has('private')).toBe(true)
})

test('of a directive that stands twice the first counts', () => {
  expect(millisecondsOf(readDirectives('max-age=1, max-age=100'), 'max-age')).toBe(1000)
})

test.each([
  ['max-age=0', 0],
  ['max-age=10', 10_000],
  ['max-age', 0],
  ['max-age=-5', 0],
  ['max-age=1.5', 0],
  ['max-age=99999999999999', 2 ** 31 * 1000],
  ['s-maxage=1', undefined],
])('%s -> %s ms', (text, expected) => {
  expect(millisecondsOf(readDirectives(text), 'max-age')).toBe(expected)
})
