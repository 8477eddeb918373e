import { afterEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import type { GatewaySpec } from '../../src/traffic/gateway/index.js'
import { closeAll, get, ok, setUp } from '../support/gateway.js'
import { recordingTelemetry } from '../support/telemetry.js'

afterEach(closeAll)

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`

async function traced(spec: Partial<GatewaySpec> & { service?: object } = {}) {
  const recording = recordingTelemetry()
  const runtime = { ...systemRuntime, telemetry: recording.telemetry }
  return { ...recording, ...(await setUp(spec, { runtime })) }
}

const lines = (text: string, name: string): string[] =>
  Array.from(text.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim')), ([, value]) => value!)

describe('spans', () => {
  test('a request has one, named by method and route, a child of the client’s, and each try has one below it', async () => {
    const { upstream, client, spans, ended } = await traced({
      routes: { orders: { match: { path: '/orders/:id' }, to: 's' } },
    })
    const peer = await client()
    peer.send(get('/orders/7?token=x', `traceparent: ${PARENT}\r\nUser-Agent: test/1\r\n`))
    const endpoint = await upstream.peer()
    const request = await endpoint.request()
    endpoint.reply(ok('fine'))
    await peer.responses(1)
    await ended(2)
    const [server, attempt] = spans
    expect(server).toMatchObject({
      name: 'GET /orders/{id}',
      kind: 'server',
      parent: { traceId: TRACE, spanId: 'b7ad6b7169203331', sampled: true },
      failed: undefined,
      ended: true,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/orders/{id}',
        'url.path': '/orders/7',
        'url.scheme': 'http',
        'server.address': 'shop.example',
        'client.address': '127.0.0.1',
        'network.protocol.version': '1.1',
        'user_agent.original': 'test/1',
        'http.response.status_code': 200,
        'http.response.body.size': 4,
        'banyan.route': 'orders',
        'banyan.service': 's',
      },
    })
    expect(attempt).toMatchObject({
      name: 'GET',
      kind: 'client',
      parent: server!.context,
      failed: undefined,
      ended: true,
      attributes: {
        'http.request.method': 'GET',
        'url.full': `${upstream.url}/orders/7`,
        'server.address': '127.0.0.1',
        'server.port': upstream.port,
        'http.response.status_code': 200,
      },
    })
    expect(lines(request, 'traceparent')).toEqual([`00-${TRACE}-${attempt!.context.spanId}-01`])
  })

  test('a try that fails and the one that follows are told apart', async () => {
    const { upstream, client, spans, ended } = await traced({
      policies: { p: { retry: { attempts: 2, backoff: { base: 1 } } } },
      service: { policy: 'p' },
    })
    const peer = await client()
    peer.send(get('/'))
    const endpoint = await upstream.peer()
    const first = await endpoint.request()
    endpoint.reply('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    const second = await endpoint.request()
    endpoint.reply(ok('fine'))
    await peer.responses(1)
    await ended(3)
    expect(spans.map(({ name }) => name)).toEqual(['GET /*', 'GET', 'GET'])
    expect(spans[1]).toMatchObject({ failed: { type: '503' } })
    expect(spans[1]!.attributes).not.toHaveProperty('http.request.resend_count')
    expect(spans[2]).toMatchObject({ failed: undefined, attributes: { 'http.request.resend_count': 1 } })
    expect(spans[0]).toMatchObject({ failed: undefined, attributes: { 'banyan.tries': 2 } })
    expect(lines(first, 'traceparent')).not.toEqual(lines(second, 'traceparent'))
  })

  test('what breaks has a failed span, with the code of the error', async () => {
    const { upstream, client, spans, ended } = await traced()
    const peer = await client()
    peer.send(get('/'))
    const endpoint = await upstream.peer()
    await endpoint.request()
    endpoint.socket.destroy()
    await peer.responses(1)
    await ended(2)
    for (const span of spans) expect(span.failed?.type).toBe('BANYAN_UPSTREAM_RESET')
    expect(spans[0]!.attributes).toMatchObject({
      'http.response.status_code': 502,
      'banyan.problem': 'upstream-reset',
    })
  })

  test('an answer that breaks off in the middle is a failure, though its status was fine', async () => {
    const { upstream, client, spans, ended } = await traced()
    const peer = await client()
    peer.send(get('/'))
    const endpoint = await upstream.peer()
    await endpoint.request()
    endpoint.reply('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await peer.until((text) => text.includes('half'))
    endpoint.socket.destroy()
    await peer.closed()
    await ended(2)
    for (const span of spans) expect(span.failed?.type).toBe('BANYAN_UPSTREAM_RESET')
    expect(spans[0]!.attributes).toMatchObject({
      'http.response.status_code': 200,
      'http.response.body.size': 4,
    })
  })

  test('a client that goes away is no failure of the request, nor of the try', async () => {
    const { upstream, client, spans, ended } = await traced()
    const peer = await client()
    peer.send(get('/'))
    const endpoint = await upstream.peer()
    await endpoint.request()
    peer.destroy()
    await ended(2)
    expect(spans[0]).toMatchObject({
      failed: undefined,
      attributes: { 'http.response.status_code': 499, 'error.type': 'client_aborted' },
    })
    expect(spans[1]).toMatchObject({ failed: undefined, attributes: { 'banyan.cancelled': true } })
  })

  test('a request that no route takes has one too, and its 404 is no failure', async () => {
    const { client, spans, ended } = await traced({ routes: { a: { match: { path: '/a' }, to: 's' } } })
    const peer = await client()
    peer.send(get('/b'))
    await peer.responses(1)
    await ended(1)
    expect(spans).toMatchObject([
      {
        name: 'GET',
        failed: undefined,
        attributes: { 'http.response.status_code': 404, 'banyan.problem': 'no-route' },
      },
    ])
    expect(spans[0]!.attributes).not.toHaveProperty('http.route')
  })

  test('a method that nobody knows does not make a name of its own', async () => {
    const { upstream, client, spans, ended } = await traced()
    const peer = await client()
    peer.send('BREW / HTTP/1.1\r\nHost: a\r\n\r\n')
    const endpoint = await upstream.peer()
    await endpoint.request()
    endpoint.reply(ok(''))
    await peer.responses(1)
    await ended(2)
    expect(spans[0]).toMatchObject({
      name: 'HTTP /*',
      attributes: { 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' },
    })
  })
})

describe('the context on the wire', () => {
  test('tracestate and baggage pass', async () => {
    const { upstream, client } = await traced()
    const peer = await client()
    peer.send(
      get('/', `traceparent: ${PARENT}\r\ntracestate: a=1, b=2\r\ntracestate: c=3\r\nbaggage: user=7\r\n`),
    )
    const endpoint = await upstream.peer()
    const request = await endpoint.request()
    endpoint.reply(ok(''))
    await peer.responses(1)
    expect(lines(request, 'tracestate')).toEqual(['a=1,b=2,c=3'])
    expect(lines(request, 'baggage')).toEqual(['user=7'])
  })

  test.each([
    ['a traceparent that is not valid', `traceparent: ${PARENT.toUpperCase()}\r\ntracestate: a=1\r\n`],
    ['two of them', `traceparent: ${PARENT}\r\ntraceparent: ${PARENT}\r\ntracestate: a=1\r\n`],
    ['a tracestate alone', 'tracestate: a=1\r\n'],
  ])('%s: a new trace begins, without the state', async (_, fields) => {
    const { upstream, client, spans } = await traced()
    const peer = await client()
    peer.send(get('/', fields))
    const endpoint = await upstream.peer()
    const request = await endpoint.request()
    endpoint.reply(ok(''))
    await peer.responses(1)
    expect(spans[0]!.parent).toBeUndefined()
    expect(lines(request, 'traceparent')).toEqual([
      `00-${spans[0]!.context.traceId}-${spans[1]!.context.spanId}-01`,
    ])
    expect(lines(request, 'tracestate')).toEqual([])
  })

  test('what the client did not sample costs no span for each try, and stays so', async () => {
    const { upstream, client, spans } = await traced()
    const peer = await client()
    peer.send(get('/', `traceparent: ${PARENT.replace(/01$/, '00')}\r\n`))
    const endpoint = await upstream.peer()
    const request = await endpoint.request()
    endpoint.reply(ok(''))
    await peer.responses(1)
    expect(spans).toHaveLength(1)
    expect(lines(request, 'traceparent')).toEqual([`00-${TRACE}-${spans[0]!.context.spanId}-00`])
  })

  test('where nobody traces, everything passes as it came', async () => {
    const { upstream, client } = await setUp()
    const peer = await client()
    peer.send(get('/', `traceparent: ${PARENT}\r\ntracestate: a=1\r\n`))
    const endpoint = await upstream.peer()
    const request = await endpoint.request()
    endpoint.reply(ok(''))
    await peer.responses(1)
    expect(lines(request, 'traceparent')).toEqual([PARENT])
    expect(lines(request, 'tracestate')).toEqual(['a=1'])
  })
})
