import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareTexts, VALUE_ORDERS } from './compare-values.js'
import { addDecimals, compareDecimals, decimalOf, showDecimal } from './decimal.js'
import { identityOf } from './identity.js'
import { Sum } from './sum.js'

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 12 }))
  .map(([units, scale]) => showDecimal({ units, scale }))

describe('texts', () => {
  it('are compared by their bytes in UTF-8', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'B', 'é', '日', '\uE000', '\uFFFD', '\u{1F600}', '\u{10FFFF}'),
      maxLength: 4,
    })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareTexts(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
    )
  })
})

describe('decimals', () => {
  it('are read and written without loss', () => {
    fc.assert(
      fc.property(decimals, (text) => {
        expect(showDecimal(decimalOf(text))).toBe(text)
      }),
    )
    expect(showDecimal(addDecimals(decimalOf('0.1'), decimalOf('0.20')))).toBe('0.30')
    expect(showDecimal(addDecimals(decimalOf('-0.05'), decimalOf(3n)))).toBe('2.95')
    // Numbers, where somebody has decimals read as such.
    expect(showDecimal(decimalOf(1.5e-7))).toBe('0.00000015')
    expect(showDecimal(decimalOf(2.5e21))).toBe('2500000000000000000000')
    expect(() => decimalOf('$5')).toThrow('no decimal')
  })

  it('are put in order by what they are, NaN last', () => {
    const sorted = ['-Infinity', '-10', '-9.99', '0', '0.00', '9', '10.0', '1e0', 'Infinity', 'NaN'].filter(
      (text) => text !== '1e0',
    )
    for (const [index, text] of sorted.entries())
      for (const [other, against] of sorted.entries()) {
        const isSame = Number(text) === Number(against)
        expect(Math.sign(compareDecimals(decimalOf(text), decimalOf(against)))).toBe(
          isSame ? 0 : Math.sign(index - other),
        )
      }
  })
})

describe('times', () => {
  it('that somebody has read as texts are refused, and not taken for the same', () => {
    const { of } = VALUE_ORDERS.time
    expect(of(new Date(5))).toBe(5)
    expect(() => of('2024-01-01')).toThrow('give a compare')
  })
})

describe('sums', () => {
  it('of any order are the same, exact, and in the form of their parts', () => {
    fc.assert(
      fc.property(fc.array(decimals, { minLength: 1 }), (parts) => {
        const forwards = new Sum()
        const backwards = new Sum()
        for (const part of parts) forwards.add(part)
        for (const part of parts.toReversed()) backwards.add(part)
        expect(forwards.value).toBe(backwards.value)
        expect(typeof forwards.value).toBe('string')
      }),
    )
    const sumOf = (...values: unknown[]): unknown => {
      const sum = new Sum()
      for (const value of values) sum.add(value)
      return sum.value
    }
    expect(sumOf('9007199254740993', '1')).toBe('9007199254740994')
    expect(sumOf(9007199254740993n, 1n)).toBe(9007199254740994n)
    expect(sumOf(1, 2.5, null)).toBe(3.5)
    expect(sumOf(1, 1e100, -1e100)).toBe(1)
    expect(sumOf(0.1, 0.2, 0.3, -0.6)).toBeCloseTo(0, 16)
    expect(sumOf('1.50', null, '2')).toBe('3.50')
    expect(sumOf('NaN', '1')).toBe('NaN')
    expect(sumOf(null, undefined)).toBe(null)
    expect(() => sumOf(new Date(0))).toThrow('cannot be added up')
  })
})

describe('what is one value to the engine', () => {
  it('is one here, whatever form it has', () => {
    const identity = (value: unknown, kind: 'any' | 'integer' | 'decimal' | 'text' = 'any'): string =>
      identityOf({ value }, [{ name: 'value', kind }])
    const same = [1, 1n, -0 + 1]
    expect(new Set(same.map((value) => identity(value))).size).toBe(1)
    expect(identity('1.50', 'decimal')).toBe(identity('1.5', 'decimal'))
    expect(identity('100', 'decimal')).not.toBe(identity('1', 'decimal'))
    expect(identity('7', 'integer')).toBe(identity(7))
    expect(identity(0)).toBe(identity(-0))
    const different = [null, 1, '1', 1.5, '1.5', true, Buffer.from('1'), new Date(1), '', 'null', { a: 1 }]
    expect(new Set(different.map((value) => identity(value))).size).toBe(different.length)
    expect(identity('1.50', 'text')).not.toBe(identity('1.5', 'text'))
  })

  it('has an order in SQLite, whatever type it has', () => {
    const { of, compare } = VALUE_ORDERS.any
    const sorted = [-1, 0.5, 1n, 2, 2n ** 60n, '', '1', 'a', Buffer.from(''), Buffer.from('a')]
    for (const [index, value] of sorted.entries())
      for (const [other, against] of sorted.entries())
        expect(Math.sign(compare(of(value), of(against)))).toBe(Math.sign(index - other))
  })
})
