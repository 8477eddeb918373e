import { describe, expect, test } from 'vitest'
import { quoteLargeNumbers } from './json-numbers.js'
import { parserOf, type TypeInfo } from './values.js'

const types = new Map<number, TypeInfo>([
  [1007, { oid: 1007, element: 23, base: 0, delimiter: ',' }],
  [1009, { oid: 1009, element: 25, base: 0, delimiter: ',' }],
  [1020, { oid: 1020, element: 603, base: 0, delimiter: ',' }],
  [603, { oid: 603, element: 0, base: 0, delimiter: ';' }],
  [90_001, { oid: 90_001, element: 0, base: 1184, delimiter: ',' }],
])

describe('values of PostgreSQL as JSON', () => {
  test.each<[number, string, unknown]>([
    [16, 't', true],
    [16, 'f', false],
    [23, '-7', -7],
    [20, '9223372036854775807', '9223372036854775807'],
    [1700, '1.10', '1.10'],
    [701, '1.5e+300', 1.5e300],
    [701, 'NaN', 'NaN'],
    [701, '-Infinity', '-Infinity'],
    [17, '\\xdeadbeef', '3q2+7w=='],
    [1114, '2026-01-02 03:04:05.123456', '2026-01-02T03:04:05.123456'],
    [1184, '2026-01-02 03:04:05+00', '2026-01-02T03:04:05Z'],
    [1184, 'infinity', 'infinity'],
    [1114, '0044-03-15 00:00:00 BC', '0044-03-15 00:00:00 BC'],
    [
      114,
      '{"a": [1, 1.50, 12345678901234567890], "b": "12345678901234567890"}',
      { a: [1, 1.5, '12345678901234567890'], b: '12345678901234567890' },
    ],
    [1007, '{1,NULL,{2,3}}', [1, null, [2, 3]]],
    [1007, '[0:1]={1,2}', [1, 2]],
    [1007, '{}', []],
    [1007, '1 2 3', '1 2 3'],
    [1009, '{plain,"a \\"b\\", \\\\c","NULL",""}', ['plain', 'a "b", \\c', 'NULL', '']],
    [1020, '{(1,1),(0,0);(2,2),(1,1)}', ['(1,1),(0,0)', '(2,2),(1,1)']],
    [90_001, '2026-01-02 03:04:05+00', '2026-01-02T03:04:05Z'],
    [99_999, 'anything', 'anything'],
  ])('%i %s', (oid, text, value) => {
    expect(parserOf(oid, types)(text)).toEqual(value)
  })

  test.each([
    ['{"n":0.1,"m":1e21,"k":100000000000000000000}', '{"n":0.1,"m":1e21,"k":100000000000000000000}'],
    ['[9007199254740993]', '["9007199254740993"]'],
    ['[0.12345678901234567890]', '["0.12345678901234567890"]'],
    ['[1e400]', '["1e400"]'],
    ['["\\"1234567890123456789\\"", -0.0]', '["\\"1234567890123456789\\"", -0.0]'],
  ])('numbers that JSON would change stay what they are, as text: %s', (json, kept) => {
    expect(quoteLargeNumbers(json)).toBe(kept)
  })
})
