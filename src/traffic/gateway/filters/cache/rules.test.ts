import fc from 'fast-check'
import CachePolicy from 'http-cache-semantics'
import { describe, expect, test } from 'vitest'
import { Fields } from '../../../http/fields.js'
import { httpDate } from '../../semantics/date.js'
import { ageOnArrival, demandsOf, freshnessOf, type Defaults } from './rules.js'

const AT = Date.UTC(2026, 0, 1)
const SILENT: Defaults = { ttl: undefined, staleWhileRevalidate: 0, staleIfError: 0 }
const NOBODY = { authorized: false, cookie: false }

const of = (fields: Record<string, string>, asker = NOBODY, defaults = SILENT, status = 200) =>
  freshnessOf(status, Fields.of(Object.entries(fields)), asker, defaults, AT)

describe('an answer may be used', () => {
  const seconds = fc.integer({ min: 0, max: 1000 }).map(String)
  const flag = fc.constant('')
  const directives = fc.record(
    {
      'max-age': seconds,
      's-maxage': seconds,
      public: flag,
      private: flag,
      'no-store': flag,
      'no-cache': flag,
      'must-revalidate': flag,
    },
    { requiredKeys: [] },
  )

  test('for as long as the library for cache rules that most of Node uses says', () => {
    fc.assert(
      fc.property(
        directives,
        fc.option(fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.constant('0')), { nil: undefined }),
        fc.constantFrom(200, 203, 204, 206, 301, 302, 304, 307, 308, 400, 404, 410, 418, 500, 501, 503),
        fc.boolean(),
        (given, expires, status, authorized) => {
          const control = Object.entries(given).map(([name, value]) =>
            value === '' ? name : `${name}=${value}`,
          )
          const headers: Record<string, string> = { date: httpDate(AT), etag: '"a"' }
          if (control.length > 0) headers['cache-control'] = control.join(', ')
          if (expires !== undefined)
            headers['expires'] = typeof expires === 'number' ? httpDate(AT + expires * 1000) : expires
          const request = { headers: authorized ? { authorization: 'x' } : {} }
          const theirs = new CachePolicy(request, { status, headers }, { shared: true, cacheHeuristic: 0 })
          const ours = of(headers, { authorized, cookie: false }, SILENT, status)
          expect((ours?.lifetime ?? 0) / 1000).toBe(theirs.storable() ? theirs.maxAge() : 0)
          if (!theirs.storable()) expect(ours).toBeUndefined()
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('stale by what it says itself, else by what the operator says', () => {
    const defaults = { ttl: undefined, staleWhileRevalidate: 1, staleIfError: 2 }
    expect(of({ 'Cache-Control': 'max-age=5, stale-if-error=7' }, NOBODY, defaults)).toMatchObject({
      lifetime: 5000,
      staleWhileRevalidate: 1,
      staleIfError: 7000,
    })
  })

  test.each(['must-revalidate', 'proxy-revalidate', 'no-cache'])('never stale with %s', (directive) => {
    const defaults = { ttl: undefined, staleWhileRevalidate: 1, staleIfError: 2 }
    const fields = { 'Cache-Control': `max-age=5, stale-if-error=7, ${directive}`, ETag: '"a"' }
    expect(of(fields, NOBODY, defaults)).toMatchObject({ staleWhileRevalidate: 0, staleIfError: 0 })
  })

  test('stale after s-maxage only if it says so itself', () => {
    const defaults = { ttl: undefined, staleWhileRevalidate: 1, staleIfError: 2 }
    expect(of({ 'Cache-Control': 's-maxage=5' }, NOBODY, defaults)).toMatchObject({ staleIfError: 0 })
    expect(of({ 'Cache-Control': 's-maxage=5, stale-if-error=7' }, NOBODY, defaults)).toMatchObject({
      staleIfError: 7000,
    })
  })

  test('if it was not, but can be asked for again', () => {
    expect(of({ 'Cache-Control': 'max-age=0', ETag: '"a"' })).toMatchObject({ lifetime: 0 })
    expect(of({ 'Cache-Control': 'max-age=0' })).toBeUndefined()
  })

  test('for the default time only if it says nothing and anybody may have it', () => {
    const defaults = { ...SILENT, ttl: 9 }
    expect(of({}, NOBODY, defaults)).toMatchObject({ lifetime: 9 })
    expect(of({}, NOBODY, defaults, 404)).toBeUndefined()
    expect(of({ Pragma: 'no-cache' }, NOBODY, defaults)).toBeUndefined()
    expect(of({}, { authorized: true, cookie: false }, defaults)).toBeUndefined()
    expect(of({}, { authorized: false, cookie: true }, defaults)).toBeUndefined()
    expect(of({ 'Cache-Control': 'max-age=0', ETag: '"a"' }, NOBODY, defaults)).toMatchObject({ lifetime: 0 })
  })
})

test('an answer is as old as the older of its Age and its Date say', () => {
  const age = (fields: Record<string, string>): number => ageOnArrival(Fields.of(Object.entries(fields)), AT)
  expect(age({})).toBe(0)
  expect(age({ Age: '7' })).toBe(7000)
  expect(age({ Age: 'old' })).toBe(0)
  expect(age({ Date: httpDate(AT - 9000), Age: '7' })).toBe(9000)
  expect(age({ Date: httpDate(AT + 9000), Age: '7' })).toBe(7000)
  expect(age({ Date: httpDate(AT - 1000) })).toBe(0)
})

test('what a client demands is read from Cache-Control, and from Pragma without it', () => {
  const read = (fields: Record<string, string>, honoured = true) =>
    demandsOf(Fields.of(Object.entries(fields)), honoured)
  expect(read({ 'Cache-Control': 'Max-Age=5, min-fresh=2' })).toMatchObject({ maxAge: 5000, minFresh: 2000 })
  expect(read({ Pragma: 'no-cache' })).toMatchObject({ noCache: true })
  expect(read({ Pragma: 'no-cache', 'Cache-Control': 'max-age=1' })).toMatchObject({ noCache: false })
  expect(read({ 'Cache-Control': 'no-cache, only-if-cached' }, false)).toMatchObject({
    noCache: false,
    onlyIfCached: true,
  })
})
