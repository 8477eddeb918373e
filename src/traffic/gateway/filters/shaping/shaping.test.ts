import fc from 'fast-check'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { CodingError, decoded, isJsonType, readableEncodings } from './content.js'
import { Expression, isTruthy } from './expression.js'
import { JsonError, parseJson, stringifyJson, textOf } from './json.js'
import { Template, templateProblems, TextTemplate } from './template.js'

describe('an expression', () => {
  test.each([
    ['a.b.c', [['a', 'b', 'c']]],
    ['a[0].b', [['a']]],
    [
      'a.b[].{c: c, d: $.e.f}',
      [
        ['a', 'b'],
        ['e', 'f'],
      ],
    ],
    ['a[?x > `1` && $.y.z].w', [['a'], ['y', 'z']]],
    [
      'let $u = a.b in c.d[].{u: $u.n}',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['a | b', [['a']]],
    ['max_by(a.b, &c).d', [['a', 'b']]],
    ['{x: a, y: [b.c, `1`]}', [['a'], ['b', 'c']]],
    ['a ? b : c', [['a'], ['b'], ['c']]],
    ['-a + b * c', [['a'], ['b'], ['c']]],
    ['!a || b && c', [['a'], ['b'], ['c']]],
    ['@.a', [['a']]],
    ['@', [[]]],
    ['keys($)', [[]]],
    ['$.{x: a.b}', [['a', 'b']]],
    ['*.a', [[]]],
    ['a.*.b', [['a']]],
    ["'text'", []],
  ])('%s reads %j', (text, expected) => {
    expect(new Expression(text).references).toEqual(expected)
  })

  test('is what JMESPath says it is', () => {
    const scope = { a: { b: [{ c: 1 }, { c: 3 }] } }
    expect(new Expression('a.b[?c > `2`].c | [0]').evaluate(scope)).toBe(3)
    expect(new Expression('a.none.at.all').evaluate(scope)).toBeNull()
    expect(new Expression('a.b[].{c: c, n: length($.a.b)}').evaluate(scope)).toEqual([
      { c: 1, n: 2 },
      { c: 3, n: 2 },
    ])
  })

  test('is the same again after one has failed', () => {
    const failing = new Expression('let $x = a in length($x)')
    const good = new Expression('let $x = a in $x')
    expect(() => failing.evaluate({ a: 1 })).toThrow()
    expect(good.evaluate({ a: 2 })).toBe(2)
    expect(() => new Expression('$x').evaluate({ a: 2 })).toThrow()
  })

  test.each(['__proto__', 'a.constructor', 'a[].toString', 'a.{b: valueOf}'])('may not read %s', (text) => {
    expect(() => new Expression(text)).toThrow('JavaScript takes the name for itself')
  })

  test.each([
    [null, false],
    [false, false],
    ['', false],
    [[], false],
    [{}, false],
    [0, true],
    ['0', true],
    [true, true],
    [[null], true],
    [{ a: null }, true],
  ])('%j as a condition is %j', (value, expected) => {
    expect(isTruthy(value)).toBe(expected)
  })
})

describe('a template', () => {
  const scope = { n: 5, t: 'x', o: { a: 1 }, none: null }

  test.each<[unknown, unknown]>([
    ['$(n)', 5],
    ['$(o)', { a: 1 }],
    ['$(none)', null],
    ['n=$(n), o=$(o), none=$(none)', 'n=5, o={"a":1}, none='],
    ['$$(n) $n $', '$(n) $n $'],
    ["$(join(')', ['a', t]))", 'a)x'],
    ['$( n )', 5],
    [{ a: ['$(t)', 1, null, true] }, { a: ['x', 1, null, true] }],
    ['', ''],
  ])('%j', (template, expected) => {
    expect(new Template(template).evaluate(scope)).toEqual(expected)
  })

  test('tells every mistake with its place', () => {
    expect(templateProblems({ a: ['$(x', '$(y)'], b: { c: '$(.)' } }).map(({ path }) => path)).toEqual([
      ['a', 0],
      ['b', 'c'],
    ])
  })

  test('without an expression is itself', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes('$('))
        expect(JSON.stringify(new Template(value).evaluate({}))).toBe(JSON.stringify(value))
      }),
    )
  })

  test('encodes values as it is told, and nothing else', () => {
    const template = new TextTemplate('/a b/$(t)/$(n)')
    expect(template.render(scope, (value) => `<${String(value)}>`)).toBe('/a b/<x>/<5>')
  })
})

describe('JSON', () => {
  const through = (text: string): string => stringifyJson(parseJson(Buffer.from(text), 64))

  test('that is read and written is the same', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(through(text)).toBe(JSON.stringify(JSON.parse(text)))
      }),
    )
  })

  test('keeps every digit of whole numbers, and every text', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.bigInt(-(10n ** 40n), 10n ** 40n), fc.string({ unit: 'binary', maxLength: 20 })),
          { maxLength: 100 },
        ),
        (values) => {
          const text = `[${values.map((each) => (typeof each === 'bigint' ? String(each) : JSON.stringify(each))).join(',')}]`
          expect(through(text)).toBe(text)
        },
      ),
    )
  })

  test.each(['{"a":12345678901234567890}', '["12345678901234567890",1.2345678901234567]', '[1e400,0]'])(
    '%s is as exact as a double allows, and more for whole numbers',
    (text) => {
      expect(through(text)).toBe(text.replace('1e400', 'null'))
    },
  )

  test('of a long number is its digits in text', () => {
    const value = parseJson(Buffer.from('[12345678901234567890]'), 64) as unknown[]
    expect(textOf(value[0])).toBe('12345678901234567890')
  })

  test.each(['', '{', '01', '[1,]', '12345678901234567890x', '-', '{"a":1}}', '\u00ff'])(
    '%j is none',
    (text) => {
      expect(() => parseJson(Buffer.from(text, 'latin1'), 64)).toThrow(JsonError)
    },
  )

  test('is as deep as allowed, brackets in text aside', () => {
    expect(parseJson(Buffer.from('[["[[[\\"[["]]'), 2)).toEqual([['[[["[[']])
    expect(() => parseJson(Buffer.from('[[[]]]'), 2)).toThrow('it is deeper than 2 levels')
  })

  test('is read in linear time, whatever it is', () => {
    const quotes = Buffer.from(`"${'\\"'.repeat(500_000)} 1234567890123456789`)
    expect(() => parseJson(quotes, 64)).toThrow(JsonError)
  })
})

describe('content', () => {
  test.each([
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/problem+json', true],
    ['application/jsonp', false],
    ['text/json-like', false],
    ['application/x-ndjson', false],
    [undefined, false],
  ])('%s is JSON: %j', (type, expected) => {
    expect(isJsonType(type)).toBe(expected)
  })

  test('does not grow over its bound when it is decoded', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000))
    await expect(decoded(bomb, 'gzip', 1_000_000)).rejects.toMatchObject({ reason: 'too-large' })
    await expect(decoded(Buffer.from('x'), 'gzip', 10)).rejects.toMatchObject({ reason: 'broken' })
    await expect(decoded(Buffer.from('x'), 'zstd', 10)).rejects.toThrow(CodingError)
    expect(String(await decoded(gzipSync(gzipSync('x')), 'gzip, GZIP', 100))).toBe('x')
  })

  test.each([
    [undefined, undefined],
    ['gzip, br', undefined],
    ['gzip, zstd, br;q=0.5', 'gzip, br;q=0.5'],
    ['*', 'identity'],
  ])('of those who accept %s comes as %s', (accepted, expected) => {
    expect(readableEncodings(accepted)).toBe(expected)
  })
})
