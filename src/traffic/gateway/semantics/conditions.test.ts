import { describe, expect, test } from 'vitest'
import { Fields } from '../../http/fields.js'
import { precondition, rangeApplies } from './conditions.js'
import { httpDate, parseHttpDate } from './date.js'
import { readRange } from './ranges.js'

const AT = Date.UTC(2024, 1, 3, 4, 5, 6)
const DATE = httpDate(AT)
const LATER = httpDate(AT + 1000)
const EARLIER = httpDate(AT - 1000)
const validators = { etag: '"a"', lastModified: AT }

describe('precondition', () => {
  test.each([
    [{}, undefined],
    [{ 'If-None-Match': '"a"' }, 304],
    [{ 'If-None-Match': 'W/"a"' }, 304],
    [{ 'If-None-Match': '"b", W/"a"' }, 304],
    [{ 'If-None-Match': '"b"' }, undefined],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"b"', 'If-Modified-Since': DATE }, undefined],
    [{ 'If-Modified-Since': DATE }, 304],
    [{ 'If-Modified-Since': LATER }, 304],
    [{ 'If-Modified-Since': EARLIER }, undefined],
    [{ 'If-Modified-Since': 'yesterday' }, undefined],
    [{ 'If-Match': '"a"' }, undefined],
    [{ 'If-Match': '*' }, undefined],
    [{ 'If-Match': 'W/"a"' }, 412],
    [{ 'If-Match': '"b"' }, 412],
    [{ 'If-Match': '"a"', 'If-None-Match': '"a"' }, 304],
    [{ 'If-Match': '"a"', 'If-Unmodified-Since': EARLIER }, undefined],
    [{ 'If-Unmodified-Since': EARLIER }, 412],
    [{ 'If-Unmodified-Since': DATE }, undefined],
  ])('%j -> %s', (fields, expected) => {
    expect(precondition(Fields.of(Object.entries(fields)), validators)).toBe(expected)
  })
})

describe('rangeApplies', () => {
  test.each([
    [undefined, true],
    ['"a"', true],
    ['"b"', false],
    ['W/"a"', false],
    [DATE, true],
    [LATER, false],
    ['"a', false],
  ])('If-Range: %s -> %s', (ifRange, expected) => {
    expect(rangeApplies(ifRange, validators, AT + 5000)).toBe(expected)
  })

  test('not by a date within the second in which it was made', () => {
    expect(rangeApplies(DATE, validators, AT + 999)).toBe(false)
  })
})

describe('readRange', () => {
  const part = (first: number, last: number) => ({ kind: 'part', first, last })
  test.each([
    [undefined, { kind: 'whole' }],
    ['bytes=0-0', part(0, 0)],
    ['bytes=0-', part(0, 99)],
    ['bytes=10-19', part(10, 19)],
    ['BYTES=10-19', part(10, 19)],
    ['bytes=90-1000', part(90, 99)],
    ['bytes=-10', part(90, 99)],
    ['bytes=-1000', part(0, 99)],
    ['bytes=-0', { kind: 'outside' }],
    ['bytes=100-', { kind: 'outside' }],
    ['bytes=19-10', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=0-1,2-3', { kind: 'whole' }],
    ['bytes=a-b', { kind: 'whole' }],
    ['bytes=99999999999999999999-', { kind: 'whole' }],
    ['items=0-1', { kind: 'whole' }],
  ])('%s of 100 bytes', (range, expected) => {
    expect(readRange(range, 100)).toEqual(expected)
  })

  test('of nothing has no part', () => {
    expect(readRange('bytes=0-', 0)).toEqual({ kind: 'outside' })
    expect(readRange('bytes=-5', 0)).toEqual({ kind: 'outside' })
  })
})

describe('parseHttpDate', () => {
  test.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', 784111777000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 784111777000],
    ['Sun Nov  6 08:49:37 1994', 784111777000],
    ['0', undefined],
    ['1994', undefined],
    ['-1', undefined],
    ['Sun, 06 Nov 1994 08:49:37 +0200', undefined],
    [undefined, undefined],
  ])('%s', (text, expected) => {
    expect(parseHttpDate(text)).toBe(expected)
  })
})
