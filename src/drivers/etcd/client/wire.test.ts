import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { times } from '../../../../test/support/effort.js'
import { bytes, flag, id, int, many, message, one, text } from './wire.js'

const Leaf = message({ name: text(1), size: int(2) })
const Tree = message({
  key: bytes(1),
  name: text(2),
  count: int(3),
  lease: id(4),
  last: flag(5),
  leaf: one(6, Leaf),
  leaves: many(one(7, Leaf)),
  sizes: many(int(64)),
})

const leaf = fc.record({ name: fc.string({ unit: 'grapheme', maxLength: 300 }), size: fc.maxSafeInteger() })
const tree = fc.record({
  key: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  name: fc.string({ unit: 'grapheme' }),
  count: fc.maxSafeInteger(),
  lease: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  last: fc.boolean(),
  leaf: fc.option(leaf, { nil: undefined }),
  leaves: fc.array(leaf),
  sizes: fc.array(fc.maxSafeInteger()),
})

describe('wire', () => {
  test('what is written is read', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(Tree.decode(Tree.encode(value))).toEqual(value)
      }),
      { numRuns: times(300) },
    )
  })

  test('writes what the specification shows', () => {
    // "Encoding": 150 in field 1 is 08 96 01, "testing" in field 2 is 12 07 ..., and both inside of field 3.
    const Number150 = message({ a: int(1) })
    expect(Number150.encode({ a: 150 }).toString('hex')).toBe('089601')
    expect(
      message({ b: text(2) })
        .encode({ b: 'testing' })
        .toString('hex'),
    ).toBe('120774657374696e67')
    expect(
      message({ c: one(3, Number150) })
        .encode({ c: { a: 150 } })
        .toString('hex'),
    ).toBe('1a03089601')
    expect(Number150.encode({ a: -2 }).toString('hex')).toBe('08feffffffffffffffff01')
  })

  test('of what was not sent, nothing is read', () => {
    expect(Tree.decode(Buffer.alloc(0))).toEqual({
      key: Buffer.alloc(0),
      name: '',
      count: 0,
      lease: 0n,
      last: false,
      leaf: undefined,
      leaves: [],
      sizes: [],
    })
  })

  test('passes fields over that it does not know', () => {
    const Later = message({ a: int(9), b: text(10), c: one(11, Leaf), name: text(2), lease: id(4) })
    const sent = Later.encode({ a: 2 ** 40, b: 'more', c: { name: 'x' }, name: 'known', lease: 7n })
    const fixed = Buffer.from('610102030405060708' + '6d01020304', 'hex')
    expect(Tree.decode(Buffer.concat([fixed, sent]))).toMatchObject({ name: 'known', lease: 7n })
  })

  test('fails with a number that JavaScript cannot count with', () => {
    const Id = message({ value: id(3) })
    const sent = Id.encode({ value: 2n ** 53n })
    expect(() => Tree.decode(sent)).toThrow(RangeError)
    expect(Id.decode(sent)).toEqual({ value: 2n ** 53n })
    expect(() => Leaf.encode({ size: 2 ** 53 })).toThrow(RangeError)
    expect(() => Leaf.encode({ size: 1.5 })).toThrow(RangeError)
  })

  test('fails with anything that is cut off or is something else, and reads nothing beyond it', () => {
    fc.assert(
      fc.property(tree, fc.double({ min: 0, max: 1, noNaN: true }), (value, where) => {
        const whole = Tree.encode(value)
        const cut = whole.subarray(0, Math.floor(whole.length * where))
        try {
          Tree.decode(cut)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { numRuns: times(200) },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        try {
          Tree.decode(Buffer.from(noise))
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { numRuns: times(500) },
    )
  })
})
