import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatGrpcTimeout, parseGrpcTimeout } from './deadline.js'

describe('a timeout of gRPC', () => {
  test.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['5S', 5_000],
    ['250m', 250],
    ['1500u', 1.5],
    ['2000000n', 2],
    ['99999999H', 99_999_999 * 3_600_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseGrpcTimeout(text)).toBeCloseTo(ms, 9)
  })

  test.each([undefined, '', '5', 'S', '-1S', '1.5S', '1s', ' 1S', '123456789S', '1S, 2S'])(
    '%j is none',
    (text) => {
      expect(parseGrpcTimeout(text)).toBe(Infinity)
    },
  )

  test('is written in a form that is read again, no longer than it was and hardly shorter', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e14, noNaN: true }), (ms) => {
        const text = formatGrpcTimeout(ms)
        expect(text).toMatch(/^[1-9]\d{0,7}[HMSmu]$/)
        const read = parseGrpcTimeout(text)
        // Never nothing: who is told so may take it for no timeout at all.
        expect(read).toBeLessThanOrEqual(Math.max(ms, 0.001) * (1 + 1e-9))
        // A unit of eight digits is a tenth at most, and the smallest is a microsecond.
        expect(read).toBeGreaterThanOrEqual(Math.min(ms * 0.9, ms - 0.001))
      }),
    )
  })
})
