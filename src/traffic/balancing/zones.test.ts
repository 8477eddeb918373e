import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ownZoneShare } from './zones.js'

describe('of three zones with four endpoints each', () => {
  const share = (own: number, others = 8): number =>
    ownZoneShare({ own, available: own + others, total: 12, zones: 3 }, {})

  test('everything stays in its zone while that is well', () => {
    expect(share(4)).toBe(1)
    expect(share(3)).toBe(1)
  })

  test('what the zone cannot bear leaves it', () => {
    expect(share(2)).toBeCloseTo(0.7)
    expect(share(1)).toBeCloseTo(0.35)
    expect(share(0)).toBe(0)
  })

  test('nothing leaves for zones that are worse off', () => {
    expect(share(2, 0)).toBe(1)
    expect(share(1, 1)).toBe(0.5)
  })
})

test('a zone with fewer endpoints than its part of the requests keeps no more than it can bear', () => {
  // One of ten endpoints for a third of the requests.
  expect(ownZoneShare({ own: 1, available: 10, total: 10, zones: 3 }, {})).toBeCloseTo(0.42)
})

test('the share is never less than by weight, never more than all, and never falls when the zone recovers', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.nat(20),
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 1, max: 3, noNaN: true }),
      (own, others, zones, overprovision) => {
        const of = (each: number): number =>
          ownZoneShare({ own: each, available: each + others, total: own + others, zones }, { overprovision })
        expect(of(own)).toBeGreaterThanOrEqual(own / (own + others) - 1e-9)
        expect(of(own)).toBeLessThanOrEqual(1)
        expect(of(own)).toBeGreaterThanOrEqual(of(own - 1))
      },
    ),
  )
})
