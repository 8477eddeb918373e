import { afterEach, describe, expect, test } from 'vitest'
import { hashKey, newKey } from '../../src/traffic/gateway/filters/access/key-hash.js'
import type { CorsSpec } from '../../src/traffic/gateway/filters/cors/spec.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { gatewayFor, service } from '../support/access.js'
import { closeAll, open } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

const PAGE = 'https://app.example'

const withCors = (cors: CorsSpec, route: object = {}) =>
  gatewayFor({ routes: { all: { match: {}, to: 's', cors, ...route } } })

/** Asks whether a page may make a request, as a browser does. */
async function preflight(base: string, origin: string, method = 'PUT', more: Record<string, string> = {}) {
  const headers = { origin, 'access-control-request-method': method, ...more }
  const answer = await fetch(base, { method: 'OPTIONS', headers })
  const allow = Object.fromEntries(
    [...answer.headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  )
  return { status: answer.status, allow, text: await answer.text() }
}

describe('a preflight', () => {
  test('is answered by the gateway, and reaches no service', async () => {
    const { base, got } = await withCors({ origins: [PAGE], maxAge: '1h' })
    const headers = { 'access-control-request-headers': 'content-type,authorization' }
    expect(await preflight(base, PAGE, 'PUT', headers)).toEqual({
      status: 204,
      text: '',
      allow: {
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': 'content-type, authorization',
        'access-control-max-age': '3600',
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      },
    })
    expect(got).toHaveLength(0)
  })

  test.each<[string, Partial<CorsSpec>, string, string, Record<string, string>]>([
    ['another origin', {}, 'https://evil.example', 'PUT', {}],
    ['the origin of nobody', {}, 'null', 'PUT', {}],
    ['another method', { methods: ['GET'] }, PAGE, 'PUT', {}],
    ['another field', {}, PAGE, 'PUT', { 'access-control-request-headers': 'content-type, x-own' }],
    ['a private network', {}, PAGE, 'PUT', { 'access-control-request-private-network': 'true' }],
  ])(
    'for %s is refused without a word that a browser would take for leave',
    async (_, cors, origin, method, more) => {
      const { base, got } = await withCors({ origins: [PAGE], ...cors })
      const { status, allow } = await preflight(base, origin, method, more)
      expect(status).toBe(403)
      expect(Object.keys(allow)).toEqual(['vary'])
      expect(got).toHaveLength(0)
    },
  )

  test('for a private network is answered where that is wanted', async () => {
    const { base } = await withCors({ origins: [PAGE], privateNetwork: true })
    const { allow } = await preflight(base, PAGE, 'PUT', { 'access-control-request-private-network': 'true' })
    expect(allow['access-control-allow-private-network']).toBe('true')
  })

  test('finds the route of the request that it announces', async () => {
    const { base, got } = await gatewayFor({
      routes: {
        read: { match: { method: 'GET' }, to: 's' },
        write: { match: { method: ['POST', 'PUT'] }, to: 's', cors: { origins: [PAGE], headers: '*' } },
      },
    })
    const { status, allow } = await preflight(base, PAGE, 'PUT', {
      'access-control-request-headers': 'x-any',
    })
    expect([status, allow['access-control-allow-methods'], allow['access-control-allow-headers']]).toEqual([
      204,
      'POST, PUT',
      'x-any',
    ])
    expect((await preflight(base, PAGE, 'GET')).status).toBe(404)
    expect(got).toHaveLength(0)
  })

  test('of a route without CORS is the service’s own matter, as is every other OPTIONS', async () => {
    const { base, got } = await gatewayFor({
      routes: {
        open: { match: { path: '/open' }, to: 's' },
        all: { match: {}, to: 's', cors: { origins: '*' } },
      },
    })
    expect((await preflight(`${base}/open`, PAGE)).status).toBe(200)
    expect((await fetch(base, { method: 'OPTIONS', headers: { origin: PAGE } })).status).toBe(200)
    expect(got.map(({ method }) => method)).toEqual(['OPTIONS', 'OPTIONS'])
  })

  test('needs no credentials, as browsers send none with it', async () => {
    const { base } = await gatewayFor({
      authenticators: { keys: { apiKey: { keys: { a: { hash: hashKey(newKey()) } } } } },
      routes: { all: { match: {}, to: 's', cors: { origins: [PAGE] }, access: { by: 'keys' } } },
    })
    expect((await preflight(base, PAGE)).status).toBe(204)
  })
})

describe('an origin', () => {
  test.each([
    ['https://a.shop.example', true],
    ['https://a.b.shop.example', true],
    ['https://shop.example', false],
    ['https://evilshop.example', false],
    ['https://evil.example/.shop.example', false],
    ['https://user@a.shop.example', false],
    ['https://.shop.example', false],
    ['http://a.shop.example', false],
    ['https://a.shop.example:8443', false],
    ['https://a.shop.example.evil.example', false],
    ['HTTPS://A.SHOP.EXAMPLE', false],
  ])('%s fits https://*.shop.example: %s', async (origin, fits) => {
    const { base } = await withCors({ origins: ['https://*.shop.example'] })
    const answer = await fetch(base, { headers: { origin } })
    expect(answer.headers.get('access-control-allow-origin')).toBe(fits ? origin : null)
    expect([answer.status, answer.headers.get('vary')]).toEqual([200, 'Origin'])
  })
})

describe('an answer', () => {
  test('says which page may read it; what the service says of that is replaced', async () => {
    const upstream = await service({
      'access-control-allow-origin': '*',
      'access-control-allow-credentials': 'true',
      vary: 'Accept-Encoding',
    })
    const gateway = await Gateway.open({
      services: { s: { endpoints: [upstream.url] } },
      routes: {
        all: { match: {}, to: 's', cors: { origins: [PAGE], credentials: true, expose: ['X-Total'] } },
      },
    })
    open.push(gateway)
    const { port } = await gateway.listen(0)
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`http://127.0.0.1:${port}`, { headers })).headers
    const own = await ask({ origin: PAGE })
    expect(own.get('access-control-allow-origin')).toBe(PAGE)
    expect(own.get('access-control-allow-credentials')).toBe('true')
    expect(own.get('access-control-expose-headers')).toBe('X-Total')
    expect(own.get('vary')).toBe('Accept-Encoding, Origin')
    for (const headers of [{ origin: 'https://evil.example' }, {}] as Record<string, string>[]) {
      const other = await ask(headers)
      expect(other.get('access-control-allow-origin')).toBeNull()
      expect(other.get('access-control-allow-credentials')).toBeNull()
      expect(other.get('vary')).toBe('Accept-Encoding, Origin')
    }
  })

  test('for everybody is the same for everybody', async () => {
    const { base } = await withCors({ origins: '*' })
    const answer = await fetch(base, { headers: { origin: PAGE } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('vary')).toBeNull()
  })

  test('that is a problem can be read by the page too', async () => {
    const { base } = await gatewayFor({
      authenticators: { keys: { apiKey: { keys: { a: { hash: hashKey(newKey()) } } } } },
      routes: { all: { match: {}, to: 's', cors: { origins: [PAGE] }, access: { by: 'keys' } } },
    })
    const answer = await fetch(base, { headers: { origin: PAGE } })
    expect([
      answer.status,
      answer.headers.get('access-control-allow-origin'),
      answer.headers.get('vary'),
    ]).toEqual([401, PAGE, 'Origin'])
  })
})

test('credentials for every origin cannot be configured', async () => {
  await expect(withCors({ origins: '*', credentials: true })).rejects.toThrow('would let any page act')
})

describe('a request that a page of another origin has caused', () => {
  const statusOf = async (port: number, method: string, lines: string): Promise<string> => {
    const client = await RawClient.open(port)
    open.push({ close: () => client.destroy() })
    const answer = await client.ask(`${method} / HTTP/1.1\r\nHost: shop.example:8080\r\n${lines}\r\n`)
    return answer.start.slice(0, 3)
  }

  // The cases of Go's TestCrossOriginProtectionSecFetchSite and of its Origin check.
  test.each([
    ['POST', 'Sec-Fetch-Site: same-origin', '200'],
    ['POST', 'Sec-Fetch-Site: none', '200'],
    ['POST', 'Sec-Fetch-Site: cross-site', '403'],
    ['POST', 'Sec-Fetch-Site: same-site', '403'],
    ['POST', 'Sec-Fetch-Site: anything', '403'],
    ['POST', '', '200'],
    ['POST', 'Origin: http://shop.example:8080', '200'],
    ['POST', 'Origin: http://shop.example', '403'],
    ['POST', 'Origin: https://evil.example', '403'],
    ['POST', 'Origin: null', '403'],
    ['POST', 'Sec-Fetch-Site: same-origin\r\nOrigin: https://evil.example', '200'],
    ['GET', 'Sec-Fetch-Site: cross-site', '200'],
    ['HEAD', 'Sec-Fetch-Site: cross-site', '200'],
    ['OPTIONS', 'Sec-Fetch-Site: cross-site', '200'],
    ['PUT', 'Sec-Fetch-Site: cross-site', '403'],
    ['DELETE', 'Origin: https://evil.example', '403'],
    ['POST', 'Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example', '200'],
    ['POST', 'Sec-Fetch-Site: cross-site\r\nOrigin: https://a.friends.example', '200'],
    ['POST', 'Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example.evil.example', '403'],
    ['GET', 'Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://evil.example', '403'],
  ])('%s, %s: %s', async (method, line, status) => {
    const csrf = { trust: ['https://friend.example', 'https://*.friends.example'] }
    const { port } = await gatewayFor({ routes: { all: { match: {}, to: 's', csrf } } })
    expect(await statusOf(port, method, line === '' ? '' : `${line}\r\n`)).toBe(status)
  })

  test('passes where it is authenticated by something that pages cannot make browsers send', async () => {
    const key = newKey()
    const { port } = await gatewayFor({
      authenticators: { keys: { apiKey: { keys: { a: { hash: hashKey(key) } } } } },
      routes: { all: { match: {}, to: 's', access: { by: 'keys' } } },
    })
    expect(await statusOf(port, 'POST', `X-Api-Key: ${key}\r\nSec-Fetch-Site: cross-site\r\n`)).toBe('200')
  })

  test('passes with a token, though the token might also have stood in a cookie', async () => {
    const key = newKey()
    const keys = {
      apiKey: { keys: { a: { hash: hashKey(key) } }, from: ['bearer' as const, 'cookie:key' as const] },
    }
    const { port } = await gatewayFor({
      authenticators: { keys },
      routes: { all: { match: {}, to: 's', access: { by: 'keys' } } },
    })
    const cross = 'Sec-Fetch-Site: cross-site\r\n'
    expect(await statusOf(port, 'POST', `Authorization: Bearer ${key}\r\n${cross}`)).toBe('200')
    expect(await statusOf(port, 'POST', `Cookie: key=${key}\r\n${cross}`)).toBe('403')
  })

  test('with a cookie passes from origins that CORS lets use credentials, or if nothing is to be checked', async () => {
    const key = newKey()
    const authenticators = {
      keys: { apiKey: { keys: { a: { hash: hashKey(key) } }, from: ['cookie:key' as const] } },
    }
    const { port } = await gatewayFor({
      authenticators,
      routes: {
        all: {
          match: { host: 'shop.example' },
          to: 's',
          access: { by: 'keys' },
          cors: { origins: [PAGE], credentials: true },
        },
      },
    })
    const lines = (origin: string): string =>
      `Cookie: key=${key}\r\nSec-Fetch-Site: cross-site\r\nOrigin: ${origin}\r\n`
    expect(await statusOf(port, 'POST', lines(PAGE))).toBe('200')
    expect(await statusOf(port, 'POST', lines('https://evil.example'))).toBe('403')
    const unchecked = await gatewayFor({
      authenticators,
      routes: { all: { match: {}, to: 's', access: { by: 'keys' }, csrf: false } },
    })
    expect(await statusOf(unchecked.port, 'POST', lines('https://evil.example'))).toBe('200')
  })
})
