import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../src/testing/index.js'
import { Gateway, type GatewayOptions, type GatewaySpec } from '../../src/traffic/gateway/index.js'
import type { AggregateSpec } from '../../src/traffic/gateway/responders/aggregate/spec.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'
import { ScriptedUpstream } from '../support/scripted.js'

afterEach(closeAll)

/** A gateway with one aggregating route at `/pages/:id`, in front of one upstream that plays every service. */
async function setUp(
  aggregate: AggregateSpec,
  spec: Partial<GatewaySpec> & { service?: object; route?: object } = {},
  options: GatewayOptions = {},
) {
  const upstream = await ScriptedUpstream.open()
  open.push(upstream)
  const { service, route, ...rest } = spec
  const endpoints = [upstream.url]
  const gateway = await Gateway.open(
    {
      services: { users: { endpoints, ...service }, orders: { endpoints }, stock: { endpoints } },
      routes: { page: { match: { path: '/pages/:id' }, aggregate, ...route } },
      ...rest,
    },
    options,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = await RawClient.open(port)
  open.push({ close: () => client.destroy() })
  return { upstream, client, gateway }
}

const USER_AND_ORDERS: AggregateSpec = {
  branches: {
    user: { service: 'users', path: '/users/:id' },
    orders: { service: 'orders', path: '/orders', query: { user: '$(request.params.id)' } },
  },
}

describe('branches', () => {
  test('that read nothing of each other are asked at the same time', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS)
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    const orders = await upstream.request('/orders?user=7')
    orders.json([{ id: 1 }])
    user.json({ name: 'Ada' })
    const [answer] = await client.responses(1)
    expect(answer!.start).toBe('200 OK 1.1')
    expect(field(answer!, 'content-type')).toBe('application/json')
    expect(JSON.parse(answer!.body)).toEqual({ user: { name: 'Ada' }, orders: [{ id: 1 }] })
  })

  test('that read of another wait for it', async () => {
    const { upstream, client } = await setUp({
      branches: {
        orders: {
          service: 'orders',
          path: '/of/$(user.body.key)',
          headers: { 'X-Tier': '$(user.headers."x-tier")' },
        },
        user: { service: 'users', path: '/users/:id' },
      },
    })
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    expect(upstream.seen).toEqual(['GET /users/7 HTTP/1.1'])
    user.json({ key: 'a/b ?' }, 'X-Tier: gold\r\n')
    const orders = await upstream.request('/of/a%2Fb%20%3F')
    expect(orders.field('X-Tier')).toBe('gold')
    orders.json([])
    expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual({ orders: [], user: { key: 'a/b ?' } })
  })

  test('wait for those that stand in `after`', async () => {
    const { upstream, client } = await setUp({
      branches: {
        audit: { service: 'orders', method: 'POST', path: '/audit', body: { who: '$(request.params.id)' } },
        user: { service: 'users', path: '/users/:id', after: ['audit'] },
      },
    })
    client.send(get('/pages/7'))
    const audit = await upstream.request('POST /audit')
    expect(JSON.parse(audit.body)).toEqual({ who: '7' })
    expect(upstream.seen).toHaveLength(1)
    audit.json(null)
    ;(await upstream.request('/users/7')).json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
  })

  test('are skipped unless their condition holds', async () => {
    const { upstream, client } = await setUp({
      branches: {
        user: { service: 'users', path: '/users/:id' },
        orders: { service: 'orders', path: '/orders', when: "request.query.with == 'orders'" },
      },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({})
    const answer = (await client.responses(1))[0]!
    expect(JSON.parse(answer.body)).toEqual({ user: {}, orders: null })
    expect(field(answer, 'banyan-partial')).toBeUndefined()
    client.send(get('/pages/7?with=orders'))
    ;(await upstream.request('/users/7')).json({})
    ;(await upstream.request('/orders')).json([1])
    expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual({ user: {}, orders: [1] })
  })

  test('get nothing of the client but its address, its trace, and the fields that are named', async () => {
    const { upstream, client } = await setUp({
      branches: { user: { service: 'users', path: '/users/:id', forward: ['authorization'] } },
    })
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    client.send(
      get(
        '/pages/7',
        `Authorization: Bearer x\r\nCookie: a=b\r\nX-Secret: 1\r\nAccept-Encoding: br\r\ntraceparent: ${trace}\r\n`,
      ),
    )
    const { text } = await upstream.request('/users/7')
    expect(text).toMatch(/\r\nauthorization: Bearer x\r\n/)
    expect(text).toMatch(/\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-/i)
    expect(text).toMatch(/\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/)
    expect(text).toMatch(/\r\nVia: 1\.1 banyan-/)
    expect(text).not.toMatch(/^(cookie|x-secret|accept-encoding):/im)
  })

  test('get the fields that a service would get, whatever the client claims', async () => {
    const { upstream, client } = await setUp(
      {
        branches: {
          user: {
            service: 'users',
            path: '/users/:id',
            forward: ['X-User', 'Authorization'],
            query: { who: '$(request.headers."x-user")', key: '$(request.headers.authorization)' },
          },
        },
      },
      { route: { headers: { request: { set: { 'X-User': 'real' }, remove: ['Authorization'] } } } },
    )
    client.send(get('/pages/7', 'X-User: fake\r\nAuthorization: secret\r\n'))
    const user = await upstream.request('/users/7?who=real')
    expect(user.field('X-User')).toBe('real')
    expect(user.field('Authorization')).toBeUndefined()
  })

  test('are made under the policies of their service', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS, {
      service: { policy: 'patient' },
      policies: { patient: { retry: { attempts: 2, backoff: { base: 1 } } } },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/orders?user=7')).json([])
    ;(await upstream.request('/users/7')).json({}, '', '503 Service Unavailable')
    const again = await upstream.request('/users/7')
    expect(again.field('X-Request-Attempt')).toBe('2')
    again.json({ name: 'Ada' })
    expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual({ user: { name: 'Ada' }, orders: [] })
  })

  test('do not follow redirects, not even one to themselves', async () => {
    const { upstream, client } = await setUp({ branches: { user: { service: 'users', path: '/users/:id' } } })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({}, 'Location: /users/7\r\n', '302 Found')
    const answer = (await client.responses(1))[0]!
    expect(problem(answer)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:branch-failed',
      branch: 'user',
    })
    expect(upstream.seen).toHaveLength(1)
  })

  test('may answer compressed, with text, or with nothing', async () => {
    const { upstream, client } = await setUp({
      branches: {
        zipped: { service: 'users', path: '/zipped' },
        text: { service: 'users', path: '/text' },
        none: { service: 'users', path: '/none' },
      },
    })
    client.send(get('/pages/7'))
    const data = gzipSync('{"a":1}')
    ;(await upstream.request('/zipped')).reply(
      `HTTP/1.1 200 OK\r\nContent-Type: application/hal+json; charset=utf-8\r\nContent-Encoding: gzip\r\nContent-Length: ${data.length}\r\n\r\n${data.toString('latin1')}`,
    )
    ;(await upstream.request('/text')).reply(
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi',
    )
    ;(await upstream.request('/none')).reply('HTTP/1.1 204 No Content\r\n\r\n')
    expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual({
      zipped: { a: 1 },
      text: 'hi',
      none: null,
    })
  })
})

describe('an answer', () => {
  test('is shaped by its template', async () => {
    const { upstream, client } = await setUp({
      ...USER_AND_ORDERS,
      answer: {
        status: 203,
        headers: { 'X-Name': 'Dr. $(user.body.name)', 'X-None': '$(user.body.none)' },
        body: {
          id: '$(request.params.id)',
          greeting: 'Hello, $(user.body.name)!',
          costs: '$$(10)',
          orders: '$(let $by = user.body.name in orders.body[?total > `5`].{id: id, by: $by})',
          count: '$(length(orders.body))',
        },
      },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({ name: 'Ada' })
    ;(await upstream.request('/orders?user=7')).json([
      { id: 1, total: 3 },
      { id: 2, total: 9 },
    ])
    const answer = (await client.responses(1))[0]!
    expect(answer.start).toMatch(/^203 /)
    expect(field(answer, 'x-name')).toBe('Dr. Ada')
    expect(field(answer, 'x-none')).toBeUndefined()
    expect(JSON.parse(answer.body)).toEqual({
      id: '7',
      greeting: 'Hello, Ada!',
      costs: '$(10)',
      orders: [{ id: 2, by: 'Ada' }],
      count: 2,
    })
  })

  test('may be all members of all bodies', async () => {
    const { upstream, client } = await setUp({ ...USER_AND_ORDERS, merge: 'shallow' })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json('{"a":1,"b":1,"__proto__":{"c":1}}')
    ;(await upstream.request('/orders?user=7')).json({ b: 2 })
    expect((await client.responses(1))[0]!.body).toBe('{"a":1,"b":2,"__proto__":{"c":1}}')
  })

  test('keeps every digit of numbers that a double cannot hold', async () => {
    const { upstream, client } = await setUp({
      branches: {
        user: { service: 'users', path: '/users/:id' },
        orders: { service: 'orders', path: '/of/$(user.body.id)' },
      },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json('{"id": 9223372036854775807, "text": "9223372036854775807"}')
    ;(await upstream.request('/of/9223372036854775807')).json('[-12345678901234567890, 1.5, 1e3]')
    expect((await client.responses(1))[0]!.body).toBe(
      '{"user":{"id":9223372036854775807,"text":"9223372036854775807"},"orders":[-12345678901234567890,1.5,1000]}',
    )
  })

  test('has a strong tag, and is not sent again to who has it', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS)
    const serve = async (): Promise<void> => {
      ;(await upstream.request('/users/7')).json({}, 'Cache-Control: max-age=60\r\n')
      ;(await upstream.request('/orders?user=7')).json([], 'Cache-Control: max-age=20, private\r\nAge: 5\r\n')
    }
    client.send(get('/pages/7'))
    await serve()
    const first = (await client.responses(1))[0]!
    const etag = field(first, 'etag')!
    expect(etag).toMatch(/^"[\w-]{27}"$/)
    expect(field(first, 'cache-control')).toBe('private, max-age=15')
    client.send(get('/pages/7', `If-None-Match: "x", W/${etag}\r\n`))
    await serve()
    const second = (await client.responses(1))[0]!
    expect(second.start).toBe('304 Not Modified 1.1')
    expect(field(second, 'etag')).toBe(etag)
    expect(field(second, 'cache-control')).toBe('private, max-age=15')
    expect(field(second, 'content-length')).toBeUndefined()
  })

  test('to HEAD is the head of the answer to GET', async () => {
    const { upstream, client } = await setUp({ branches: { user: { service: 'users', path: '/users/:id' } } })
    client.send('HEAD /pages/7 HTTP/1.1\r\nHost: a\r\n\r\n')
    ;(await upstream.request('/users/7')).json({ a: 1 })
    const answer = (await client.responses(1, 'HEAD'))[0]!
    expect(field(answer, 'content-length')).toBe(String('{"user":{"a":1}}'.length))
    expect(answer.body).toBe('')
  })

  test('tells which fields of the request it depends on', async () => {
    const { upstream, client } = await setUp({
      branches: {
        user: {
          service: 'users',
          path: '/users/:id',
          forward: ['Accept-Language'],
          query: { tier: '$(request.headers."x-tier")' },
        },
      },
    })
    client.send(get('/pages/7', 'X-Tier: a b\r\n'))
    ;(await upstream.request('/users/7?tier=a+b')).json({})
    expect(field((await client.responses(1))[0]!, 'vary')).toBe('accept-language, x-tier')
  })

  test('cannot be split by what a service sends', async () => {
    const { upstream, client } = await setUp({
      branches: { user: { service: 'users', path: '/users/:id' } },
      answer: { headers: { 'X-Name': '$(user.body.name)' } },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({ name: 'a\r\nSet-Cookie: b=c' })
    expect(problem((await client.responses(1))[0]!)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:shaping-failed',
    })
  })
})

describe('a branch that fails', () => {
  test('ends the whole with a problem that names it, and the others at once', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS)
    client.send(get('/pages/7'))
    const orders = await upstream.request('/orders?user=7')
    ;(await upstream.request('/users/7')).json({}, '', '500 Internal Server Error')
    const answer = (await client.responses(1))[0]!
    expect(problem(answer)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:branch-failed',
      detail: 'A part of the answer could not be had: `user`.',
      branch: 'user',
    })
    await orders.gone()
  })

  test('is replaced if it is optional, and the answer says so', async () => {
    const { upstream, client } = await setUp({
      branches: {
        user: { service: 'users', path: '/users/:id' },
        orders: { service: 'orders', path: '/orders', optional: { default: [] } },
        stock: { service: 'stock', path: '/stock', optional: true },
      },
      answer: { body: { user: '$(user.body)', orders: '$(orders.body)', inStock: '$(stock.ok)' } },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({}, 'Cache-Control: max-age=60\r\n')
    ;(await upstream.request('/orders')).json({}, '', '500 Internal Server Error')
    ;(await upstream.request('/stock')).reply('nonsense\r\n\r\n')
    const answer = (await client.responses(1))[0]!
    expect(answer.start).toBe('200 OK 1.1')
    expect(JSON.parse(answer.body)).toEqual({ user: {}, orders: [], inStock: false })
    expect(field(answer, 'banyan-partial')).toBe('orders, stock')
    expect(field(answer, 'cache-control')).toBe('no-store')
  })

  test('may hand a status on by rule', async () => {
    const { upstream, client } = await setUp({
      branches: { user: { service: 'users', path: '/users/:id', onStatus: { 404: 404, 410: 404 } } },
    })
    client.send(get('/pages/7'))
    ;(await upstream.request('/users/7')).json({}, '', '410 Gone')
    expect(problem((await client.responses(1))[0]!)).toMatchObject({ status: 404, branch: 'user' })
  })

  test.each([
    ['is no JSON', (text: string) => ({ body: `{${text}` })],
    ['is larger than allowed', () => ({ body: JSON.stringify('x'.repeat(3000)) })],
    ['is deeper than allowed', () => ({ body: '['.repeat(20) + ']'.repeat(20) })],
    ['is neither JSON nor text', () => ({ body: '{}', type: 'image/png' })],
    ['is not coded as it says', () => ({ body: '{}', more: 'Content-Encoding: gzip\r\n' })],
    ['is coded in a way unknown here', () => ({ body: '{}', more: 'Content-Encoding: zstd\r\n' })],
  ])('because its body %s', async (_name, make) => {
    const { upstream, client } = await setUp({ ...USER_AND_ORDERS, maxBytes: '2kB', maxDepth: 10 })
    client.send(get('/pages/7'))
    const {
      body,
      type = 'application/json',
      more = '',
    } = make('') as { body: string; type?: string; more?: string }
    ;(await upstream.request('/users/7')).reply(
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`,
    )
    expect(problem((await client.responses(1))[0]!)).toMatchObject({ status: 502, branch: 'user' })
  })

  test.each([['..'], ['.'], ['']])('because a value for its path is %j', async (value) => {
    const { upstream, client } = await setUp({
      branches: { user: { service: 'users', path: '/users/$(request.query.id)/x' } },
    })
    client.send(get(`/pages/7?id=${value}`))
    expect(problem((await client.responses(1))[0]!)).toMatchObject({ status: 502, branch: 'user' })
    expect(upstream.seen).toEqual([])
  })

  test('breaks off in its body', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS)
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    user.reply('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a"')
    user.close()
    expect(problem((await client.responses(1))[0]!)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:upstream-reset',
      branch: 'user',
    })
  })
})

describe('time', () => {
  test('a branch that takes longer than its timeout is a 504 that names it', async () => {
    const runtime = virtualRuntime()
    const { upstream, client } = await setUp(
      { branches: { user: { service: 'users', path: '/users/:id', timeout: '1s' } } },
      {},
      { runtime },
    )
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    expect(user.field('X-Request-Timeout-Ms')).toBe('1000')
    await runtime.clock.advance(999)
    await runtime.clock.advance(1)
    const answer = (await client.responses(1))[0]!
    expect(problem(answer)).toMatchObject({ status: 504, type: 'urn:banyan:problem:timeout', branch: 'user' })
    await user.gone()
  })

  test('a timeout holds to the end of the body', async () => {
    const runtime = virtualRuntime()
    const { upstream, client } = await setUp(
      { branches: { user: { service: 'users', path: '/users/:id', timeout: '1s', optional: true } } },
      {},
      { runtime },
    )
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    user.reply('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a"')
    await runtime.clock.advance('1s')
    await user.gone()
    expect(field((await client.responses(1))[0]!, 'banyan-partial')).toBe('user')
  })

  test('the deadline of the call bounds all branches', async () => {
    const runtime = virtualRuntime()
    const { upstream, client } = await setUp(
      {
        branches: {
          user: { service: 'users', path: '/users/:id' },
          orders: { service: 'orders', path: '/orders', after: ['user'], timeout: '10s' },
        },
      },
      { route: { policy: 'quick' }, policies: { quick: { timeout: '2s' } } },
      { runtime },
    )
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    expect(user.field('X-Request-Timeout-Ms')).toBe('2000')
    await runtime.clock.advance('1500ms')
    user.json({})
    const orders = await upstream.request('/orders')
    expect(orders.field('X-Request-Timeout-Ms')).toBe('500')
    await runtime.clock.advance('500ms')
    expect(problem((await client.responses(1))[0]!)).toMatchObject({ status: 504 })
    await orders.gone()
  })

  test('a client that goes away ends every branch at once', async () => {
    const { upstream, client } = await setUp(USER_AND_ORDERS)
    client.send(get('/pages/7'))
    const user = await upstream.request('/users/7')
    const orders = await upstream.request('/orders?user=7')
    client.destroy()
    await Promise.all([user.gone(), orders.gone()])
  })
})

describe('a branch for each element of a list', () => {
  const LIST: AggregateSpec = {
    branches: {
      cart: { service: 'orders', path: '/carts/:id' },
      items: {
        service: 'stock',
        forEach: 'cart.body.items',
        path: '/items/$(item.sku)',
        query: { n: '$(index)' },
        concurrency: 2,
        maxItems: 3,
      },
    },
    answer: { body: '$(items.body[].name)' },
  }

  test('asks for as many at the same time as it may, and keeps the order of the list', async () => {
    const { upstream, client } = await setUp(LIST)
    client.send(get('/pages/7'))
    ;(await upstream.request('/carts/7')).json({ items: [{ sku: 'a' }, { sku: 'b' }, { sku: 'c' }] })
    const a = await upstream.request('/items/a?n=0')
    const b = await upstream.request('/items/b?n=1')
    expect(upstream.seen).toHaveLength(3)
    b.json({ name: 'B' })
    const c = await upstream.request('/items/c?n=2')
    c.json({ name: 'C' })
    a.json({ name: 'A' })
    expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual(['A', 'B', 'C'])
  })

  test('asks nothing for an empty list, or for none', async () => {
    const { upstream, client } = await setUp(LIST)
    for (const body of [{ items: [] }, {}]) {
      client.send(get('/pages/7'))
      ;(await upstream.request('/carts/7')).json(body)
      expect(JSON.parse((await client.responses(1))[0]!.body)).toEqual([])
    }
    expect(upstream.seen).toHaveLength(2)
  })

  test('does not begin with more elements than it may ask for', async () => {
    const { upstream, client } = await setUp(LIST)
    client.send(get('/pages/7'))
    ;(await upstream.request('/carts/7')).json({ items: [1, 2, 3, 4].map((sku) => ({ sku })) })
    expect(problem((await client.responses(1))[0]!)).toMatchObject({ status: 502, branch: 'items' })
    expect(upstream.seen).toHaveLength(1)
  })

  test('ends with the first that fails, or puts its default in for it', async () => {
    const optional = structuredClone(LIST)
    optional.branches['items']!.optional = { default: { name: '?' } }
    for (const [spec, expected] of [
      [LIST, { status: 502, branch: 'items' }],
      [optional, ['?', 'B']],
    ] as const) {
      const { upstream, client } = await setUp(spec)
      client.send(get('/pages/7'))
      ;(await upstream.request('/carts/7')).json({ items: [{ sku: 'a' }, { sku: 'b' }] })
      const b = await upstream.request('/items/b?n=1')
      ;(await upstream.request('/items/a?n=0')).json({}, '', '404 Not Found')
      if (spec === optional) b.json({ name: 'B' })
      else await b.gone()
      const answer = (await client.responses(1))[0]!
      expect(JSON.parse(answer.body)).toMatchObject(expected)
      expect(field(answer, 'banyan-partial')).toBe(spec === optional ? 'items' : undefined)
    }
  })
})

describe('the body of the request', () => {
  const WRITE: AggregateSpec = {
    branches: {
      order: { service: 'orders', method: 'PUT', path: '/orders/:id', body: { sku: '$(request.body.sku)' } },
    },
  }
  const put = (body: string, more = 'Content-Type: application/json\r\n'): string =>
    `PUT /pages/7 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

  test('can be read by expressions', async () => {
    const { upstream, client } = await setUp(WRITE)
    client.send(put('{"sku":"x","price":0}'))
    const order = await upstream.request('PUT /orders/7')
    expect(order.body).toBe('{"sku":"x"}')
    order.json({ ok: true })
    const answer = (await client.responses(1))[0]!
    expect(field(answer, 'cache-control')).toBe('no-store')
    expect(field(answer, 'etag')).toBeUndefined()
  })

  test.each([
    ['no JSON by its type', put('sku=x', 'Content-Type: text/plain\r\n'), 415],
    ['no JSON in fact', put('{'), 400],
    ['too large', put(JSON.stringify({ sku: 'x'.repeat(5000) })), 413],
  ])('is refused if it is %s', async (_name, request, status) => {
    const { upstream, client } = await setUp({ ...WRITE, maxBytes: '4kB' })
    expect(problem(await client.ask(request)).status).toBe(status)
    expect(upstream.seen).toEqual([])
  })
})
