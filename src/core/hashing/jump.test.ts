import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { jump } from './jump.js'

const of = (key: bigint, buckets: number): number =>
  jump(Number(key >> 32n), Number(key & 0xffff_ffffn), buckets)

/** As the paper has it, with numbers of 64 bits. */
function published(key: bigint, buckets: number): number {
  let [bucket, next] = [-1, 0]
  for (let state = key; next < buckets;) {
    bucket = next
    state = BigInt.asUintN(64, state * 2862933555777941757n + 1n)
    next = Math.floor((bucket + 1) * (2 ** 31 / Number((state >> 33n) + 1n)))
  }
  return bucket
}

describe('jump', () => {
  it.each([
    [1n, 1, 0],
    [42n, 57, 43],
    [0xdead10ccn, 666, 361],
    [256n, 1024, 520],
    [10863919174838991n, 11, 6],
    [2016238256797177309n, 11, 3],
    [1673758223894951030n, 11, 5],
    [2n, 100_001, 80_343],
    [2201n, 100_001, 22_152],
    [2202n, 100_001, 15_018],
  ])('gives %d of %d buckets %d, as other implementations do', (key, buckets, bucket) => {
    expect(of(key, buckets)).toBe(bucket)
  })

  test('is the function of the paper', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 1, max: 2 ** 31 }), (key, buckets) => {
        expect(of(key, buckets)).toBe(published(key, buckets))
      }),
      { numRuns: 2000 },
    )
  })
})
