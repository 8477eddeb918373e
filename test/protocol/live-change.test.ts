import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { InstrumentOptions, Telemetry } from '../../src/core/telemetry.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { Gateway, type GatewaySpec } from '../../src/traffic/gateway/index.js'
import { closeAll, field, get, ok, open, setUp } from '../support/gateway.js'
import { RawClient, RawUpstream } from '../support/raw.js'

afterEach(closeAll)

/** An upstream that answers every request at once with its name. */
async function answering(name: string): Promise<RawUpstream> {
  const upstream = await RawUpstream.open()
  open.push(upstream)
  void (async () => {
    for (;;) {
      const peer = await upstream.peer()
      void (async () => {
        while (!peer.closed) if ((await peer.request()) !== '') peer.reply(ok(name))
      })()
    }
  })()
  return upstream
}

async function start(spec: GatewaySpec, options: Parameters<typeof Gateway.open>[1] = {}) {
  const gateway = await Gateway.open(spec, options)
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  return { gateway, port, client }
}

describe('a change of the specification', () => {
  test('is in force for the next request, on connections that were open before', async () => {
    const [a, b] = [await answering('a'), await answering('b')]
    const services = { a: { endpoints: [a.url] }, b: { endpoints: [b.url] } }
    const { gateway, client } = await start({ services, routes: { all: { match: {}, to: 'a' } } })
    const keptOpen = await client()
    expect((await keptOpen.ask(get())).body).toBe('a')
    await gateway.apply({ services, routes: { all: { match: {}, to: 'b' } } })
    expect((await keptOpen.ask(get())).body).toBe('b')
  })

  test('lets a request in flight on a removed route and service finish', async () => {
    const { gateway, upstream, client } = await setUp()
    const [slow, other] = [await client(), await client()]
    slow.send(get('/slow'))
    const peer = await upstream.peer()
    await peer.request()
    const b = await answering('b')
    await gateway.apply({
      services: { b: { endpoints: [b.url] } },
      routes: { b: { match: { path: '/b' }, to: 'b' } },
    })
    expect((await other.ask(get('/slow'))).start).toContain('404')
    peer.reply(ok('at last'))
    expect((await slow.responses(1))[0]!.body).toBe('at last')
    // Its connection is not needed any more.
    await peer.end()
  })

  test('lets a request that waits for its next try have it, on the service it began with', async () => {
    const { gateway, upstream, client } = await setUp({
      service: { policy: 'p' },
      policies: { p: { retry: { attempts: 2, backoff: { base: '100ms', jitter: 'none' } } } },
    })
    const waiting = await client()
    waiting.send(get())
    const first = await upstream.peer()
    await first.request()
    first.reply('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
    await waitFor(() => gateway.state().services['s']!.endpoints[0]!.failures === 1)
    const b = await answering('b')
    await gateway.apply({ services: { b: { endpoints: [b.url] } }, routes: { b: { match: {}, to: 'b' } } })
    await first.request()
    first.reply(ok('second try'))
    expect((await waiting.responses(1))[0]!.body).toBe('second try')
    await first.end()
  })

  test('lets a request that waits for a slot of a bulkhead have it', async () => {
    const { gateway, upstream, client } = await setUp({
      service: { policy: 'p' },
      policies: { p: { bulkhead: { concurrency: 1, queue: 1 } } },
    })
    const [running, queued] = [await client(), await client()]
    running.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    queued.send(get('/2'))
    await waitFor(() => gateway.state().services['s']!.bulkhead!.queued === 1)
    const b = await answering('b')
    await gateway.apply({ services: { b: { endpoints: [b.url] } }, routes: { b: { match: {}, to: 'b' } } })
    peer.reply(ok('1'))
    expect((await running.responses(1))[0]!.body).toBe('1')
    expect(await peer.request()).toContain('GET /2')
    peer.reply(ok('2'))
    expect((await queued.responses(1))[0]!.body).toBe('2')
    await peer.end()
  })

  test('leaves a WebSocket on a removed route alone', async () => {
    const { gateway, upstream, client } = await setUp()
    const socket = await client()
    socket.send(get('/', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    await socket.until((text) => text.includes('101'))
    const b = await answering('b')
    await gateway.apply({ services: { b: { endpoints: [b.url] } }, routes: { b: { match: {}, to: 'b' } } })
    socket.send('ping')
    await peer.until((text) => text.endsWith('ping'))
    peer.reply('pong')
    await socket.until((text) => text.endsWith('pong'))
    socket.destroy()
    await peer.end()
  })

  test('that cannot be made changes nothing', async () => {
    const { gateway, upstream, client } = await setUp()
    const before = gateway.services.get('s')
    await expect(
      gateway.apply({ services: {}, routes: { all: { match: {}, to: 'nowhere' } } }),
    ).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    expect(gateway.services.get('s')).toBe(before)
    const asking = (await client()).ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(ok('still here'))
    expect((await asking).body).toBe('still here')
  })

  test('waits for the one before, and is refused once the gateway is closed', async () => {
    const { gateway } = await setUp()
    const services = { s: { endpoints: ['http://127.0.0.1:1'] } }
    const first = await gateway.prepare({ services, routes: { first: { match: {}, to: 's' } } })
    const second = gateway.apply({ services, routes: { second: { match: {}, to: 's' } } })
    expect([...gateway.routes.keys()]).toEqual(['all'])
    first.commit()
    expect([...gateway.routes.keys()]).toEqual(['first'])
    await second
    expect([...gateway.routes.keys()]).toEqual(['second'])
    await gateway.close()
    await expect(gateway.apply({ services: {}, routes: {} })).rejects.toMatchObject({ code: 'BANYAN_CLOSED' })
  })

  test('is seen even if it was made in the very object that is in force', async () => {
    const [a, b] = [await answering('a'), await answering('b')]
    const spec: GatewaySpec = {
      services: { a: { endpoints: [a.url] }, b: { endpoints: [b.url] } },
      routes: { all: { match: {}, to: 'a' } },
    }
    const { gateway, client } = await start(spec)
    spec.routes['all']!.to = 'b'
    await gateway.apply(spec)
    expect((await (await client()).ask(get())).body).toBe('b')
  })

  test('takes other limits and trusted proxies with it', async () => {
    const a = await answering('a')
    const spec: GatewaySpec = {
      services: { a: { endpoints: [a.url] } },
      routes: { all: { match: {}, to: 'a', policy: 'p' } },
      policies: { p: { rateLimit: { limit: 1, window: '1h' } } },
    }
    const { gateway, client } = await start(spec)
    const from = async (address: string): Promise<string> =>
      (await (await client()).ask(get('/', `X-Forwarded-For: ${address}\r\n`))).start
    expect(await from('192.0.2.1')).toContain('200')
    expect(await from('192.0.2.2')).toContain('429')
    await gateway.apply(spec, { trust: ['127.0.0.1'], limits: { bodyBytes: 3 } })
    expect(await from('192.0.2.3')).toContain('200')
    expect(await from('192.0.2.3')).toContain('429')
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody'
    expect((await (await client()).ask(post, 'POST')).start).toContain('413')
  })
})

describe('what a change leaves as it is', () => {
  const policies = {
    p: { breaker: { minimumCalls: 2, openFor: '1h' as const } },
    limited: { rateLimit: { limit: 2, window: '1h' as const } },
  }

  test('a service keeps its connections, its breaker and its counts', async () => {
    const { gateway, upstream, client } = await setUp({ service: { policy: 'p' }, policies })
    const asking = (await client()).ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n')
    await asking
    const s = { endpoints: [upstream.url], policy: 'p' }
    await gateway.apply({
      services: { s },
      policies,
      routes: { all: { match: { path: '/new/*' }, to: 's' } },
    })
    const [endpoint] = gateway.state().services['s']!.endpoints
    expect(endpoint).toMatchObject({ failures: 1, connections: { open: 1 } })
    expect(endpoint!.breaker!.window).toMatchObject({ calls: 1, failures: 1 })
    const again = (await client()).ask(get('/new/'))
    await peer.request()
    peer.reply('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n')
    await again
    expect(gateway.state().services['s']!.endpoints[0]!.breaker!.state).toBe('open')
  })

  test('an endpoint keeps all that when another comes beside it', async () => {
    const { gateway, upstream, client } = await setUp({ service: { policy: 'p' }, policies })
    const asking = (await client()).ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n')
    await asking
    await gateway.apply({
      services: { s: { endpoints: [upstream.url, 'http://127.0.0.1:1'], policy: 'p' } },
      policies,
      routes: { all: { match: {}, to: 's' } },
    })
    const endpoint = gateway.state().services['s']!.endpoints.find(({ url }) => url === upstream.url)
    expect(endpoint).toMatchObject({ failures: 1, connections: { open: 1 } })
  })

  test('a route keeps its rates and counts, also when its service or another part of it changes', async () => {
    const [a, b] = [await answering('a'), await answering('b')]
    const all = { match: {}, to: 'a', policy: 'limited' }
    const { gateway, client } = await start({
      services: { a: { endpoints: [a.url] } },
      routes: { all },
      policies,
    })
    const ask = async (): Promise<string> => (await (await client()).ask(get())).start
    expect(await ask()).toContain('200')
    await gateway.apply({
      services: { a: { endpoints: [b.url], maxConnections: 7 } },
      routes: { all: { ...all, headers: { response: { set: { 'X-New': '1' } } } } },
      policies,
    })
    expect(await ask()).toContain('200')
    expect(await ask()).toContain('429')
    expect(gateway.state().routes['all']!.requests).toBe(3)
  })

  test('a policy that changes begins anew', async () => {
    const a = await answering('a')
    const services = { a: { endpoints: [a.url] } }
    const routes = { all: { match: {}, to: 'a', policy: 'limited' } }
    const limit = (limit: number): NonNullable<GatewaySpec['policies']> => ({
      limited: { rateLimit: { limit, window: '1h' } },
    })
    const { gateway, client } = await start({ services, routes, policies: limit(1) })
    const ask = async (): Promise<string> => (await (await client()).ask(get())).start
    expect([await ask(), await ask()].map((line) => /\b\d{3}\b/.exec(line)![0])).toEqual(['200', '429'])
    await gateway.apply({ services, routes, policies: limit(2) })
    expect(await ask()).toContain('200')
  })

  test('an operator keeps hold of a breaker, also of a service that changes', async () => {
    const { gateway, upstream } = await setUp({ service: { policy: 'p' }, policies })
    const name = `s ${upstream.url}`
    gateway.breakers.get(name)!.force({ state: 'open', for: '1h', reason: 'maintenance' })
    const { until } = gateway.breakers.get(name)!.snapshot()
    await gateway.apply({
      services: { s: { endpoints: [upstream.url], policy: 'p', maxConnections: 3 } },
      policies: { ...policies, p: { breaker: { minimumCalls: 5 } } },
      routes: { all: { match: {}, to: 's' } },
    })
    const after = gateway.breakers.get(name)!.snapshot()
    expect(after).toMatchObject({ state: 'forced-open', override: { state: 'open', reason: 'maintenance' } })
    expect(Math.abs(after.until! - until!)).toBeLessThan(50)
  })

  test('a filter sees its service change', async () => {
    const [a, b] = [await answering('a'), await answering('b')]
    const routes = { all: { match: {}, to: 'a', requestId: true as const } }
    const { gateway, client } = await start({ services: { a: { endpoints: [a.url] } }, routes })
    await gateway.apply({ services: { a: { endpoints: [b.url], maxConnections: 2 } }, routes })
    const answer = await (await client()).ask(get())
    expect([answer.body, field(answer, 'x-request-id')]).toEqual(['b', expect.stringMatching(/^[\w-]{36}$/)])
  })
})

describe('nothing is left behind', () => {
  test('gauges of what is gone vanish, none is there twice, and a refused change shows none', async () => {
    const gauges = new Map<string, number>()
    const telemetry: Telemetry = {
      ...noTelemetry,
      gauge(name: string, { attributes = {} }: InstrumentOptions) {
        const key = `${name} ${Object.values(attributes).join(' ')}`
        gauges.set(key, (gauges.get(key) ?? 0) + 1)
        return () => {
          const left = gauges.get(key)! - 1
          if (left === 0) gauges.delete(key)
          else gauges.set(key, left)
        }
      },
    }
    const spec = (name: string, limit: number): GatewaySpec => ({
      services: { [name]: { endpoints: ['http://127.0.0.1:1'], policy: 'p' } },
      policies: { p: { breaker: {}, bulkhead: { concurrency: limit } } },
      routes: { all: { match: {}, to: name, policy: 'p' } },
    })
    const gateway = await Gateway.open(spec('a', 1), { runtime: { ...systemRuntime, telemetry } })
    open.push(gateway)
    const first = [...gauges.keys()].sort()
    expect(first).toContain('banyan.breaker.state a http://127.0.0.1:1')
    await gateway.apply(spec('a', 2))
    expect([...gauges.keys()].sort()).toEqual(first)
    expect(new Set(gauges.values())).toEqual(new Set([1]))
    await gateway.apply(spec('b', 2))
    const second = [...gauges.keys()].sort()
    expect(second).toEqual(first.map((key) => key.replace(/ a( |$)/, ' b$1')).sort())
    await expect(
      gateway.apply({
        ...spec('c', 2),
        routes: { x: { match: {}, to: 'c', policy: 'p' }, y: { match: {}, to: 'd' } },
      }),
    ).rejects.toThrow('unknown service')
    expect([...gauges.keys()].sort()).toEqual(second)
    await gateway.close()
    expect(gauges.size).toBe(0)
  })

  test('connections of services that were replaced are closed, one change after the other', async () => {
    const a = await answering('a')
    const spec = (round: number): GatewaySpec => ({
      services: { a: { endpoints: [a.url], maxConnections: 10 + round } },
      routes: { all: { match: {}, to: 'a' } },
    })
    const { gateway, client } = await start(spec(0))
    const asking = await client()
    for (let round = 1; round <= 20; round++) {
      expect((await asking.ask(get())).body).toBe('a')
      await gateway.apply(spec(round))
    }
    await Promise.all(a.peers.map((peer) => peer.end()))
    expect(a.peers).toHaveLength(20)
  })

  test('an address that is listened on no more is refused, those on other listeners stay', async () => {
    const { gateway, port, client } = await start({ services: {}, routes: {} })
    const second = await gateway.listen(0)
    const kept = await client()
    await gateway.unlisten(second)
    await expect(RawClient.open(second.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await kept.ask(get())).start).toContain('404')
    expect(port).not.toBe(second.port)
  })
})

describe('any sequence of changes', () => {
  const names = ['a', 'b', 'c']
  const spec = (urls: Record<string, string>): fc.Arbitrary<GatewaySpec> =>
    fc
      .record({
        routes: fc.dictionary(
          fc.constantFrom('one', 'two', 'three'),
          fc.record({
            path: fc.constantFrom('/*', '/x', '/x/*', '/:id'),
            to: fc.constantFrom(...names),
            policy: fc.option(fc.constantFrom('p', 'q'), { nil: undefined }),
          }),
        ),
        connections: fc.integer({ min: 1, max: 3 }),
        concurrency: fc.integer({ min: 1, max: 3 }),
      })
      .map(({ routes, connections, concurrency }) => ({
        services: Object.fromEntries(
          names.map((name) => [name, { endpoints: [urls[name]!], maxConnections: connections }]),
        ),
        policies: { p: { bulkhead: { concurrency } }, q: { timeout: '5s', retry: { attempts: 2 } } },
        routes: Object.fromEntries(
          Object.entries(routes).map(([name, { path, to, policy }]) => [
            name,
            { match: { path }, to, ...(policy === undefined ? {} : { policy }) },
          ]),
        ),
      }))

  test('answers like a fresh gateway with the last of them', async () => {
    const urls = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, (await answering(name)).url] as const)),
    )
    const changed = await start({ services: {}, routes: {} })
    const asking = await changed.client()
    const bodiesOf = async (client: RawClient): Promise<string[]> => {
      const bodies: string[] = []
      for (const path of ['/', '/x', '/x/y', '/z']) {
        const { start, body } = await client.ask(get(path))
        bodies.push(start.includes('200') ? body : start)
      }
      return bodies
    }
    await fc.assert(
      fc.asyncProperty(fc.array(spec(urls), { minLength: 1, maxLength: 5 }), async (specs) => {
        await Promise.all(specs.map((each) => changed.gateway.apply(each)))
        const fresh = await Gateway.open(specs.at(-1)!)
        const client = await RawClient.open((await fresh.listen(0)).port)
        expect(await bodiesOf(asking)).toEqual(await bodiesOf(client))
        expect(Object.keys(changed.gateway.state().routes)).toEqual(Object.keys(fresh.state().routes))
        client.destroy()
        await fresh.close()
      }),
      { numRuns: 60 },
    )
  })
})

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

test('a request that waits for a connection of an endpoint that goes still gets it', async () => {
  const { gateway, upstream, client } = await setUp({ service: { maxConnections: 1 } })
  const [running, waiting] = [await client(), await client()]
  running.send(get('/1'))
  const peer = await upstream.peer()
  await peer.request()
  waiting.send(get('/2'))
  await waitFor(() => gateway.state().services['s']!.endpoints[0]!.connections.waiting === 1)
  await gateway.apply({
    services: { s: { endpoints: ['http://127.0.0.1:1'], maxConnections: 1 } },
    routes: { all: { match: {}, to: 's' } },
  })
  peer.reply(ok('1'))
  expect((await running.responses(1))[0]!.body).toBe('1')
  expect(await peer.request()).toContain('GET /2')
  peer.reply(ok('2'))
  expect((await waiting.responses(1))[0]!.body).toBe('2')
  await peer.end()
})

test('a listener that is held lets requests wait until it is released', async () => {
  const a = await answering('a')
  const { gateway } = await start({ services: { a: { endpoints: [a.url] } }, routes: {} })
  const listener = await gateway.listen(0, '127.0.0.1', { held: true })
  const early = await RawClient.open(listener.port)
  open.push({ close: () => early.destroy() })
  early.send(get())
  await waitFor(() => listener.connectionCount === 1)
  await gateway.apply({
    services: { a: { endpoints: [a.url] } },
    routes: { all: { match: {}, to: 'a' } },
  })
  expect(early.length).toBe(0)
  listener.release()
  expect((await early.responses(1))[0]!.body).toBe('a')
})
