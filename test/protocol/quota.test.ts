import { afterEach, expect, test } from 'vitest'
import { hashKey, newKey } from '../../src/traffic/gateway/filters/access/key-hash.js'
import { gatewayFor, shiftingRuntime } from '../support/access.js'
import { closeAll } from '../support/gateway.js'

afterEach(closeAll)

const DAY = 86_400_000

/** A gateway at the given time of a day, UTC. */
function at(time: number) {
  const runtime = shiftingRuntime()
  runtime.pass((((time - runtime.clock.wall()) % DAY) + DAY) % DAY)
  return runtime
}

test('a quota is told in every answer, used up by all that pass, and anew at midnight UTC', async () => {
  const runtime = at(DAY - 3_600_000)
  const { base, got } = await gatewayFor(
    { quotas: { daily: { limit: 2, per: '1d' } }, routes: { all: { match: {}, to: 's', quota: 'daily' } } },
    { runtime },
  )
  const first = await fetch(base)
  expect(first.headers.get('ratelimit-policy')).toBe('"daily";q=2;w=86400')
  expect(first.headers.get('ratelimit')).toMatch(/^"daily";r=1;t=3(600|59\d)$/)
  expect((await fetch(base)).headers.get('ratelimit')).toMatch(/^"daily";r=0;/)
  const refused = await fetch(base)
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toMatch(/^3(600|59\d)$/)
  expect(refused.headers.get('ratelimit')).toMatch(/^"daily";r=0;/)
  expect(await refused.json()).toMatchObject({
    type: 'urn:banyan:problem:quota-exceeded',
    detail: 'The quota of 2 requests for each 1d is used up.',
  })
  expect(got).toHaveLength(2)
  runtime.pass(3_600_000)
  expect((await fetch(base)).status).toBe(200)
})

test('routes with the same quota count together, those with their own do not; several hold at once', async () => {
  const { base } = await gatewayFor({
    quotas: { shared: { limit: 2, per: '1d' } },
    routes: {
      a: { match: { path: '/a' }, to: 's', quota: 'shared' },
      b: { match: { path: '/b' }, to: 's', quota: ['shared', { limit: 1, per: 'month' }] },
      c: { match: { path: '/c' }, to: 's', quota: { limit: 1, per: '1h' } },
    },
  })
  const statusOf = async (path: string): Promise<number> => (await fetch(`${base}/${path}`)).status
  expect((await fetch(`${base}/b`)).headers.get('ratelimit')).toMatch(
    /^"b quota 2";r=0;t=\d+, "shared";r=1;t=\d+$/,
  )
  expect([await statusOf('a'), await statusOf('a'), await statusOf('c'), await statusOf('c')]).toEqual([
    200, 429, 200, 429,
  ])
})

test('whoever is known has a quota of their own, as large as a claim says', async () => {
  const [small, large] = [newKey(), newKey()]
  const { base } = await gatewayFor({
    authenticators: {
      keys: {
        apiKey: {
          keys: { small: { hash: hashKey(small) }, large: { hash: hashKey(large), claims: { quota: 3 } } },
        },
      },
    },
    routes: {
      all: {
        match: {},
        to: 's',
        access: { by: 'keys', optional: true },
        quota: { limit: 1, per: '1d', limitClaim: 'quota' },
      },
    },
  })
  const passes = async (headers: Record<string, string>): Promise<number> => {
    let count = 0
    while ((await fetch(base, { headers })).status === 200) count++
    return count
  }
  expect(await passes({ 'x-api-key': small })).toBe(1)
  expect(await passes({ 'x-api-key': large })).toBe(3)
  expect(await passes({})).toBe(1)
})

test('requests that may not pass use nothing up', async () => {
  const key = newKey()
  const { base } = await gatewayFor({
    authenticators: { keys: { apiKey: { keys: { a: { hash: hashKey(key) } } } } },
    routes: {
      all: { match: {}, to: 's', access: { by: 'keys' }, quota: { limit: 1, per: '1d', by: 'client' } },
    },
  })
  expect((await fetch(base, { headers: { 'x-api-key': 'wrong' } })).status).toBe(401)
  expect((await fetch(base, { headers: { 'x-api-key': key } })).status).toBe(200)
  expect((await fetch(base, { headers: { 'x-api-key': key } })).status).toBe(429)
})

test('a store may be anywhere; one that cannot be reached stops nobody', async () => {
  const keys: string[] = []
  let up = true
  const quotaStore = {
    take: (key: string) => {
      keys.push(key)
      return up ? Promise.resolve({ taken: false, used: 5 }) : Promise.reject(new Error('gone'))
    },
  }
  const { base } = await gatewayFor(
    { routes: { all: { match: {}, to: 's', quota: { limit: 5, per: 1000 } } } },
    { quotaStore },
  )
  expect((await fetch(base)).status).toBe(429)
  up = false
  expect((await fetch(base)).status).toBe(200)
  expect(keys[0]).toMatch(/^all quota \d+ client 127\.0\.0\.1$/)
})

test('counts outlive a change of the configuration', async () => {
  const routes = (path: string) => ({ all: { match: {}, to: 's', quota: 'daily', rewrite: { path } } })
  const quotas = { daily: { limit: 1, per: '1d' as const } }
  const { gateway, base } = await gatewayFor({ quotas, routes: routes('/a') })
  expect((await fetch(base)).status).toBe(200)
  await gateway.apply({
    services: { s: { endpoints: ['http://127.0.0.1:1'] } },
    quotas,
    routes: routes('/b'),
  })
  expect((await fetch(base)).status).toBe(429)
})
