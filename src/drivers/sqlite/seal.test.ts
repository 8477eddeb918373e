import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seal } from './seal.js'

const checksum = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

test('a seal gives back the checksum', () => {
  fc.assert(
    fc.property(checksum, whole, whole, whole, (sum, position, revision, recorded) => {
      const sealed = seal(sum, position, revision, recorded)
      expect(sealed).toBeGreaterThanOrEqual(0)
      expect(sealed).toBeLessThan(2 ** 32)
      expect(seal(sealed, position, revision, recorded)).toBe(sum)
    }),
  )
})

test('a bit that flips in the position, the revision or the time of recording changes the checksum', () => {
  fc.assert(
    fc.property(
      checksum,
      fc.tuple(whole, whole, whole),
      fc.integer({ min: 0, max: 2 }),
      fc.integer({ min: 0, max: 52 }),
      (sum, numbers, which, bit) => {
        const flipped = [...numbers] as typeof numbers
        flipped[which] = Number(BigInt(flipped[which]!) ^ (1n << BigInt(bit)))
        expect(seal(seal(sum, ...numbers), ...flipped)).not.toBe(sum)
      },
    ),
    { numRuns: 2000 },
  )
})
