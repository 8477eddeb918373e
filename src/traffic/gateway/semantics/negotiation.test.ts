import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseEncoding, varyWith } from './negotiation.js'

const OFFERED = ['zstd', 'br', 'gzip', 'deflate'] as const

describe('chooseEncoding', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['*', 'zstd'],
    ['*;q=0', undefined],
    ['*, zstd;q=0', 'br'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['gzip;q=0', undefined],
    ['gzip;q=0.5, identity', undefined],
    ['gzip;q=0.5, identity;q=0.4', 'gzip'],
    ['gzip;q=0.5, identity;q=0.5', 'gzip'],
    ['identity;q=0, gzip;q=0.001', 'gzip'],
    ['gzip; q=0.5 , br ;q=0.400', 'gzip'],
    ['gzip;q=1.001', undefined],
    ['gzip;q=2', undefined],
    ['gzip;q=', undefined],
    ['gzip;level=9', undefined],
    ['compress, sdch', undefined],
    [',,gzip,', 'gzip'],
  ] as const)('%s -> %s', (accept, expected) => {
    expect(chooseEncoding(accept, OFFERED)).toBe(expected)
  })

  const quality = fc.integer({ min: 0, max: 1000 })
  const member = fc.record({
    coding: fc.constantFrom(...OFFERED, 'identity', '*', 'other'),
    quality,
  })

  test('never gives what the client refuses, nor less than it could have', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(member, { selector: ({ coding }) => coding, size: 'max', maxLength: 7 }),
        fc.uniqueArray(fc.constantFrom(...OFFERED)),
        (members, offered) => {
          const header = members.map(({ coding, quality }) => `${coding};q=${quality / 1000}`).join(', ')
          const weightOf = (coding: string): number | undefined =>
            members.find((each) => each.coding === coding)?.quality
          const wildcard = weightOf('*') ?? 0
          const weights = offered.map((coding) => weightOf(coding) ?? wildcard)
          const best = Math.max(0, ...weights)
          const chosen = chooseEncoding(header, offered)
          if (best === 0 || best < (weightOf('identity') ?? 0)) expect(chosen).toBeUndefined()
          else expect(chosen).toBe(offered[weights.indexOf(best)])
        },
      ),
    )
  })

  test('takes any bytes', () => {
    fc.assert(
      fc.property(fc.string({ size: 'max', maxLength: 200 }), (header) => {
        expect([undefined, ...OFFERED]).toContain(chooseEncoding(header, OFFERED))
      }),
    )
  })
})

test('varyWith adds a name once, and nothing to *', () => {
  expect(varyWith(undefined, 'Accept-Encoding')).toBe('Accept-Encoding')
  expect(varyWith('Origin', 'Accept-Encoding')).toBe('Origin, Accept-Encoding')
  expect(varyWith('accept-encoding', 'Accept-Encoding')).toBe('accept-encoding')
  expect(varyWith('*', 'Accept-Encoding')).toBe('*')
})
