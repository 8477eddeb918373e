import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { Gateway, type GatewayOptions, type GatewaySpec } from '../../src/traffic/gateway/index.js'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function serve(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function gatewayFor(spec: GatewaySpec, options?: GatewayOptions) {
  const gateway = await Gateway.open(spec, options)
  const { port } = await gateway.listen(0)
  cleanUps.push(() => gateway.close())
  return { gateway, base: `http://127.0.0.1:${port}` }
}

describe('fallback', () => {
  test('a fixed answer stands in for an error, an object as JSON', async () => {
    const { url } = await serve((_request, response) => void response.writeHead(500).end('broken'))
    const { base } = await gatewayFor({
      services: { s: { endpoints: [url], policy: 'p' } },
      policies: { p: { fallback: { status: 203, headers: { 'X-Plan': 'B' }, body: { items: [] } } } },
      routes: { all: { match: {}, to: 's' } },
    })
    for (let round = 0; round < 2; round++) {
      const answer = await fetch(base)
      expect([answer.status, answer.headers.get('x-plan'), await answer.json()]).toEqual([
        203,
        'B',
        { items: [] },
      ])
    }
  })

  test('the last good answer is given again, to the same request, and only what anybody may see', async () => {
    let broken = false
    let count = 0
    const { url } = await serve((request, response) => {
      if (broken) response.writeHead(503).end('down')
      else
        response
          .writeHead(200, request.url === '/private' ? { 'Cache-Control': 'private' } : {})
          .end(`answer ${++count} to ${request.url ?? ''}`)
    })
    const { base } = await gatewayFor({
      services: { s: { endpoints: [url], policy: 'p' } },
      policies: { p: { fallback: { staleFor: '1m' } } },
      routes: { all: { match: {}, to: 's' } },
    })
    const ask = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(base + path, { headers })
      return [answer.status, await answer.text()]
    }
    expect(await ask('/a')).toEqual([200, 'answer 1 to /a'])
    expect(await ask('/private')).toEqual([200, 'answer 2 to /private'])
    expect(await ask('/mine', { authorization: 'secret' })).toEqual([200, 'answer 3 to /mine'])
    broken = true
    expect(await ask('/a')).toEqual([200, 'answer 1 to /a'])
    expect(await ask('/a')).toEqual([200, 'answer 1 to /a'])
    expect(await ask('/b')).toEqual([503, 'down'])
    expect(await ask('/private')).toEqual([503, 'down'])
    expect(await ask('/mine', { authorization: 'secret' })).toEqual([503, 'down'])
    expect(await ask('/a', { cookie: 'session=1' })).toEqual([503, 'down'])
  })
})

test('an answer that is kept while it streams gives its slot back', async () => {
  const { url } = await serve((_request, response) => {
    response.writeHead(200, { 'Content-Length': 4 })
    response.flushHeaders()
    response.write('la', () => response.end('te'))
  })
  const { base, gateway } = await gatewayFor({
    services: { s: { endpoints: [url], policy: 'p' } },
    policies: { p: { fallback: { staleFor: '1m' }, bulkhead: { concurrency: 1 } } },
    routes: { all: { match: {}, to: 's' } },
  })
  for (let round = 0; round < 3; round++) expect(await (await fetch(base)).text()).toBe('late')
  const { bulkhead, endpoints } = gateway.state().services['s']!
  expect([bulkhead!.inFlight, endpoints[0]!.active]).toEqual([0, 0])
})

describe('routes', () => {
  test('rewrite the path and the host, edit fields, and share by weight', async () => {
    const echo: (name: string) => RequestListener = (name) => (request, response) => {
      response.setHeader('X-Inner', '1')
      response.end(
        JSON.stringify([
          name,
          request.url,
          request.headers.host,
          request.headers['x-added'],
          request.headers['x-removed'],
        ]),
      )
    }
    const one = await serve(echo('one'))
    const two = await serve(echo('two'))
    const { base } = await gatewayFor({
      services: { one: { endpoints: [one.url] }, two: { endpoints: [two.url] } },
      routes: {
        prefix: {
          match: { path: '/orders/*' },
          to: 'one',
          rewrite: { path: '/v2', host: 'inner.example' },
          headers: {
            request: { set: { 'X-Added': 'yes' }, remove: ['X-Removed'] },
            response: { remove: ['x-inner'], add: { 'X-Outer': '2' } },
          },
        },
        pattern: { match: { path: '/u/:id/*' }, to: 'one', rewrite: { path: '/users/:id' } },
        canary: {
          match: { path: '/canary' },
          to: [
            { service: 'one', weight: 1 },
            { service: 'two', weight: 3 },
          ],
        },
      },
    })
    const answer = await fetch(`${base}/orders/7?x=1`, {
      headers: { 'X-Removed': 'no', 'X-Added': 'from the client' },
    })
    expect(await answer.json()).toEqual(['one', '/v2/7?x=1', 'inner.example', 'yes', null])
    expect([answer.headers.get('x-inner'), answer.headers.get('x-outer')]).toEqual([null, '2'])
    expect(((await (await fetch(`${base}/u/a%20b/x`)).json()) as string[])[1]).toBe('/users/a%20b/x')
    const names = await Promise.all(
      Array.from(
        { length: 200 },
        async () => ((await (await fetch(`${base}/canary`)).json()) as string[])[0],
      ),
    )
    const share = names.filter((name) => name === 'two').length / 200
    expect(share).toBeGreaterThan(0.6)
    expect(share).toBeLessThan(0.9)
  })

  test('with a policy of their own put it around the service’s', async () => {
    const { url } = await serve((_request, response) => void response.end('fine'))
    const { base } = await gatewayFor({
      services: { s: { endpoints: [url] } },
      policies: { tight: { rateLimit: { limit: 1, window: '1h', by: 'header:X-Client' } } },
      routes: {
        open: { match: { path: '/open' }, to: 's' },
        tight: { match: { path: '/tight' }, to: 's', policy: 'tight' },
      },
    })
    const ask = async (path: string, client: string) =>
      (await fetch(base + path, { headers: { 'x-client': client } })).status
    expect([await ask('/tight', 'a'), await ask('/tight', 'a'), await ask('/tight', 'b')]).toEqual([
      200, 429, 200,
    ])
    expect([await ask('/open', 'a'), await ask('/open', 'a')]).toEqual([200, 200])
  })
})

describe('hedging', () => {
  test('a slow endpoint is overtaken by another one, and told to stop', async () => {
    let cancelled!: () => void
    const stopped = new Promise<void>((resolve) => (cancelled = resolve))
    const slow = await serve((request) => void request.socket.once('close', cancelled))
    const quick = await serve((_request, response) => void response.end('quick'))
    const { base } = await gatewayFor({
      services: { s: { endpoints: [slow.url, quick.url], balance: 'round-robin', policy: 'p' } },
      policies: { p: { hedge: { delay: 20, budget: false } } },
      routes: { all: { match: {}, to: 's' } },
    })
    expect(await (await fetch(base)).text()).toBe('quick')
    await stopped
  })
})

describe('WebSocket', () => {
  test('messages pass both ways through the gateway', async () => {
    const { server, url } = await serve((_request, response) => void response.end())
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => socket.send(`you said ${data.toString()}`)),
    )
    const { base } = await gatewayFor({
      services: { s: { endpoints: [url] } },
      routes: { all: { match: {}, to: 's' } },
    })
    const client = new WebSocket(base.replace('http', 'ws'))
    await new Promise((resolve) => client.once('open', resolve))
    for (const text of ['hello', 'x'.repeat(200_000)]) {
      client.send(text)
      const [reply] = await new Promise<[Buffer]>((resolve) =>
        client.once('message', (data: Buffer) => resolve([data])),
      )
      expect(reply.toString()).toBe(`you said ${text}`)
    }
    client.close()
    await new Promise((resolve) => client.once('close', resolve))
    sockets.close()
  })
})
