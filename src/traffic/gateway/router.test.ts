import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fields } from '../http/fields.js'
import type { RequestHead } from '../http/message.js'
import { locate, Router } from './router.js'
import type { MatchSpec } from './spec.js'

function request(
  target: string,
  more: { host?: string; method?: string; headers?: Record<string, string> } = {},
): RequestHead {
  const { host = 'shop.example', method = 'GET', headers = {} } = more
  return {
    method,
    target,
    major: 1,
    minor: 1,
    fields: Fields.of(Object.entries(headers)),
    framing: { kind: 'none' },
    host,
    keepAlive: true,
    upgrade: undefined,
    expectContinue: false,
    trailers: false,
  }
}

/** The name of the route that takes a request. */
function winner(
  routes: Record<string, MatchSpec>,
  target: string,
  more?: Parameters<typeof request>[1],
): string | undefined {
  const router = new Router<string>()
  for (const [name, match] of Object.entries(routes)) router.add(match, name)
  const head = request(target, more)
  return router.find(head, locate(head.target)!)?.target
}

describe('paths', () => {
  test.each([
    ['/orders', '/orders/*', true],
    ['/orders/', '/orders/*', true],
    ['/orders/1/items', '/orders/*', true],
    ['/ordersx', '/orders/*', false],
    ['/', '/*', true],
    ['/orders', '/orders', true],
    ['/orders/', '/orders', false],
    ['/orders/7', '/orders/:id', true],
    ['/orders/', '/orders/:id', false],
    ['/orders/7/items', '/orders/:id', false],
    ['/orders/7/items', '/orders/:id/items', true],
    ['/orders/7/items/2', '/orders/:id/*', true],
    ['/caf%C3%A9', '/café', true],
    ['/a%2Fb', '/a/b', false],
    ['/a?x=/orders', '/a', true],
  ])('%s under %s: %s', (target, path, taken) => {
    expect(winner({ route: { path } }, target)).toBe(taken ? 'route' : undefined)
  })

  test('a literal wins over a part, a part over the rest, at each segment from the left', () => {
    const routes = {
      rest: { path: '/a/*' },
      part: { path: '/a/:x/c' },
      literal: { path: '/a/b/c' },
      deep: { path: '/a/b/*' },
    }
    expect(winner(routes, '/a/b/c')).toBe('literal')
    expect(winner(routes, '/a/b/d')).toBe('deep')
    expect(winner(routes, '/a/z/c')).toBe('part')
    expect(winner(routes, '/a/z/d')).toBe('rest')
  })

  test('parts are handed on decoded, and the rest as it was written', () => {
    const router = new Router<string>()
    router.add({ path: '/u/:name/*' }, 'r')
    const found = router.find(request('/u/j%20d/x/y%2Fz'), locate('/u/j%20d/x/y%2Fz')!)
    expect(found).toMatchObject({ parameters: { name: 'j d' }, rest: '/x/y%2Fz' })
  })

  test('the order of the routes does not matter', () => {
    const matches: [string, MatchSpec][] = [
      ['any', {}],
      ['a', { path: '/a/*' }],
      ['ab', { path: '/a/b' }],
      ['post', { path: '/a/b', method: 'POST' }],
      ['part', { path: '/a/:x' }],
      ['host', { host: 'shop.example', path: '/a/*' }],
      ['wild', { host: '*.example', path: '/z' }],
    ]
    const target = fc.constantFrom('/a/b', '/a/c', '/a', '/z', '/q')
    fc.assert(
      fc.property(
        fc.shuffledSubarray(matches),
        target,
        fc.constantFrom('GET', 'POST'),
        fc.constantFrom('shop.example', 'x.example', 'other'),
        (shuffled, path, method, host) => {
          const inOrder = matches.filter((entry) => shuffled.includes(entry))
          expect(winner(Object.fromEntries(shuffled), path, { method, host })).toBe(
            winner(Object.fromEntries(inOrder), path, { method, host }),
          )
        },
      ),
    )
  })
})

describe('other conditions', () => {
  test('hosts: exact, then the longest wildcard, then any; ports and case do not matter', () => {
    const routes = {
      exact: { host: 'a.b.example' },
      long: { host: '*.b.example' },
      short: { host: '*.example' },
      any: {},
    }
    expect(winner(routes, '/', { host: 'A.b.example:8080' })).toBe('exact')
    expect(winner(routes, '/', { host: 'x.b.example' })).toBe('long')
    expect(winner(routes, '/', { host: 'x.example' })).toBe('short')
    expect(winner(routes, '/', { host: 'example' })).toBe('any')
  })

  test('a host whose routes do not fit leaves the request to the others', () => {
    expect(winner({ host: { host: 'shop.example', path: '/a' }, any: {} }, '/b')).toBe('any')
  })

  test('method, header and query must all fit, and more of them win', () => {
    const routes = {
      plain: { path: '/a' },
      tested: { path: '/a', headers: { 'X-Test': '1' } },
      both: { path: '/a', headers: { 'x-test': '1' }, query: { v: '*' } },
    }
    expect(winner(routes, '/a')).toBe('plain')
    expect(winner(routes, '/a', { headers: { 'x-TEST': '1' } })).toBe('tested')
    expect(winner(routes, '/a', { headers: { 'x-test': '2' } })).toBe('plain')
    expect(winner(routes, '/a?v=', { headers: { 'x-test': '1' } })).toBe('both')
  })
})

describe('locate', () => {
  test.each([
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/a/%2e%2E/b', '/b'],
    ['/a//b', '/a//b'],
    ['/a/.b', '/a/.b'],
    ['/a%2f..', '/a%2f..'],
  ])('%s is read as %s', (target, path) => {
    expect(locate(target)).toEqual({ path, query: '' })
  })

  test.each(['/..', '/a/../../b', '/%2e%2e/etc', '/a%00b'])('%s is refused', (target) => {
    expect(locate(target)).toBeUndefined()
  })

  test('the query stays as it was written', () => {
    expect(locate('/a?b=../c')).toEqual({ path: '/a', query: '?b=../c' })
  })
})
