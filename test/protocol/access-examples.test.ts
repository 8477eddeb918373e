import { afterEach, expect, test } from 'vitest'
import { hashKey, newKey } from '../../src/traffic/gateway/filters/access/key-hash.js'
import { bearer, Issuer, service } from '../support/access.js'
import { startExample } from '../support/example.js'
import { closeAll } from '../support/gateway.js'

afterEach(closeAll)

/** The example of a page on a free port, and who issues tokens for it. */
async function example(page: string, upstream: string, env: Record<string, string> = {}) {
  const issuer = await Issuer.open()
  const { url, got } = await service()
  const { ports } = await startExample(page, {
    env: { [upstream]: url, KEYS: issuer.url, ...env },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0'),
  })
  return { base: `http://127.0.0.1:${ports[0]!}`, issuer, got }
}

test('access: tokens and keys with the scope pass, the service is told who it is, a token is asked of nobody in the catalogue', async () => {
  const key = newKey()
  const { base, issuer, got } = await example('traffic/access.md', 'ORDERS', { ACME: hashKey(key) })
  const statusOf = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(base + path, { headers })).status
  expect(await statusOf('/orders/1')).toBe(401)
  expect(await statusOf('/orders/1', bearer(await issuer.token()))).toBe(403)
  expect(await statusOf('/orders/1', bearer(await issuer.token({ scope: 'orders:read' })))).toBe(200)
  expect(await statusOf('/orders/1', { 'x-api-key': key, 'x-user': 'root' })).toBe(200)
  expect(got.map(({ headers }) => headers['x-user'])).toEqual(['ada', 'acme'])
  expect(await statusOf('/catalogue/1')).toBe(200)
  expect(await statusOf('/catalogue/1', bearer('wrong'))).toBe(401)
})

test('authorization: a rule on the path, on roles, on claims, on the network', async () => {
  const { base, issuer } = await example('traffic/authorization.md', 'ACCOUNTS')
  const statusOf = async (path: string, claims?: object, method = 'GET'): Promise<number> => {
    const headers = claims ? bearer(await issuer.token({ ...claims })) : {}
    return (await fetch(base + path, { method, headers })).status
  }
  expect(await statusOf('/accounts/ada/orders', {})).toBe(200)
  expect(await statusOf('/accounts/eve/orders', {})).toBe(403)
  expect(await statusOf('/accounts/eve/orders', { roles: ['support'] })).toBe(200)
  expect(await statusOf('/accounts/eve/orders', { roles: ['support'] }, 'POST')).toBe(403)
  expect(await statusOf('/reports/1', { scope: 'reports:read', plan: 'team' })).toBe(200)
  expect(await statusOf('/reports/1', { scope: 'reports:read', plan: 'free' })).toBe(403)
  expect(await statusOf('/internal/1')).toBe(200)
})

test('cors: pages of known origins read answers, others cause none', async () => {
  const { base, got } = await example('traffic/cors.md', 'SHOP')
  const origin = 'https://a.partners.example'
  const asked = await fetch(`${base}/api/1`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PUT' },
  })
  expect([asked.status, asked.headers.get('access-control-max-age')]).toEqual([204, '3600'])
  const answer = await fetch(`${base}/api/1`, { headers: { origin } })
  expect(answer.headers.get('access-control-allow-credentials')).toBe('true')
  const post = async (from: string): Promise<number> =>
    (await fetch(base, { method: 'POST', headers: { origin: from, 'sec-fetch-site': 'cross-site' } })).status
  expect([await post('https://evil.example'), await post('https://checkout.example')]).toEqual([403, 200])
  expect(got).toHaveLength(2)
})

test('quotas: a partner has as many requests as theirs allows, everybody else two', async () => {
  const key = newKey()
  const { base } = await example('traffic/quotas.md', 'SEARCH', { ACME: hashKey(key) })
  const passes = async (headers: Record<string, string>): Promise<number> => {
    let count = 0
    while ((await fetch(`${base}/search`, { headers })).status === 200) count++
    return count
  }
  const { headers } = await fetch(`${base}/search`)
  expect(headers.get('ratelimit-policy')).toMatch(
    /^"monthly";q=1000000;w=\d+, "daily";q=2;w=86400, "search";q=10;w=1$/,
  )
  expect([await passes({ 'x-api-key': key }), await passes({})]).toEqual([3, 1])
})
