import { constants } from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../src/testing/index.js'
import type { GatewayOptions, ServiceSpec } from '../../src/traffic/gateway/index.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { ACK, END_STREAM, Frame, FrameUpstream, type FramePeer } from '../support/http2-frames.js'
import { bodyOf, Http2Upstream } from '../support/http2-upstream.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

async function gatewayTo(url: string, service: Partial<ServiceSpec> = {}, options: GatewayOptions = {}) {
  const gateway = await Gateway.open(
    {
      services: { s: { endpoints: [url], protocol: 'http2', ...service } },
      routes: { all: { match: {}, to: 's' } },
    },
    options,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  const connections = () => gateway.state().services['s']!.endpoints[0]!.connections
  return { gateway, client, connections }
}

async function setUp(
  service: Partial<ServiceSpec> = {},
  options: Parameters<typeof Http2Upstream.open>[0] = {},
) {
  const upstream = await Http2Upstream.open(options)
  open.push(upstream)
  return { upstream, ...(await gatewayTo(upstream.url, service)) }
}

async function setUpFrames(service: Partial<ServiceSpec> = {}, options: GatewayOptions = {}) {
  const upstream = await FrameUpstream.open()
  open.push(upstream)
  return { upstream, ...(await gatewayTo(upstream.url, service, options)) }
}

const post = (body: string, more = ''): string =>
  `POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

describe('a request and its answer', () => {
  test('pass with their fields, in the form that HTTP/2 has for them', async () => {
    const { upstream, client } = await setUp()
    const answer = (await client()).ask(
      post(
        'hello',
        'Accept: a\r\nAccept: b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nCookie: a=1\r\nCookie: b=2\r\n',
      ),
      'POST',
    )
    const { stream, headers } = await upstream.request()
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': 'shop.example',
      ':path': '/',
      accept: 'a, b',
      cookie: 'a=1; b=2',
      'content-length': '5',
    })
    for (const name of ['connection', 'host', 'x-hop', 'keep-alive', 'transfer-encoding'])
      expect(headers[name]).toBeUndefined()
    expect(await bodyOf(stream)).toBe('hello')
    stream.respond({ ':status': 201, 'x-from': 'upstream', 'set-cookie': ['a=1', 'b=2'] })
    stream.end('world')
    const { start, body, fields } = await answer
    expect([start, body]).toEqual(['201 Created 1.1', 'world'])
    expect(fields.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2'])
  })

  test('of HTTP/1.0 that names no host is for the endpoint itself', async () => {
    const { upstream, client } = await setUp()
    const answer = (await client()).ask('GET / HTTP/1.0\r\n\r\n')
    const { stream, headers } = await upstream.request()
    expect(headers[':authority']).toBe(upstream.url.slice('http://'.length))
    stream.respond()
    stream.end('ok')
    expect((await answer).body).toBe('ok')
  })

  test('without a body end with their heads', async () => {
    const { upstream, client } = await setUp()
    upstream.answerAll(({ stream }) => {
      expect(stream.endAfterHeaders).toBe(true)
      stream.respond({ ':status': 200, 'content-length': '12' }, { endStream: true })
    })
    const answer = await (await client()).ask('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 'HEAD')
    expect([answer.start, field(answer, 'content-length')]).toEqual(['200 OK 1.1', '12'])
  })

  test('bring interim answers before, and trailers after', async () => {
    const { upstream, client } = await setUp()
    const raw = await client()
    raw.send(
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n',
    )
    const { stream, headers } = await upstream.request()
    expect(headers['te']).toBe('trailers')
    const trailers = new Promise((resolve) => stream.once('trailers', resolve))
    expect(await bodyOf(stream)).toBe('hi')
    expect(await trailers).toMatchObject({ 'x-sum': '1' })
    stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' })
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-total': '7' }))
    stream.end('body')
    const text = await raw.until((each) => each.includes('\r\n0\r\n') && each.endsWith('\r\n\r\n'))
    expect(text).toMatch(/^HTTP\/1\.1 103 .*\r\nlink: <\/a>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
    expect(text).toMatch(/4\r\nbody\r\n0\r\nx-total: 7\r\n\r\n$/)
  })

  test('flow both ways at the same time', async () => {
    const { upstream, client } = await setUp()
    const raw = await client()
    raw.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
    const { stream } = await upstream.request()
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
    await raw.until((text) => text.includes('one'))
    raw.send('3\r\ntwo\r\n')
    await raw.until((text) => text.includes('two'))
    raw.send('0\r\n\r\n')
    expect(await raw.until((text) => text.endsWith('0\r\n\r\n'))).toContain('two')
  })
})

describe('one connection', () => {
  test('carries many exchanges at a time, and is used again', async () => {
    const { upstream, client, connections } = await setUp()
    const asking = [await client(), await client(), await client()].map((each) => each.ask(get()))
    const requests = [await upstream.request(), await upstream.request(), await upstream.request()]
    for (const { stream } of requests.reverse()) {
      stream.respond()
      stream.end('ok')
    }
    await Promise.all(asking)
    expect(upstream.sessions.length).toBe(1)
    expect(connections()).toMatchObject({ open: 1, idle: 1, waiting: 0, opened: 1 })
  })

  test('carries no more than the endpoint takes; others open, and at the maximum requests wait', async () => {
    const { upstream, client, connections } = await setUp(
      { maxConnections: 2 },
      { settings: { maxConcurrentStreams: 1 } },
    )
    const clients = [await client(), await client(), await client()]
    const answers = clients.map((each) => each.ask(get()))
    const first = await upstream.request()
    const second = await upstream.request()
    expect(upstream.sessions.length).toBe(2)
    expect(connections()).toMatchObject({ open: 2, idle: 0, waiting: 1 })
    first.stream.respond()
    first.stream.end('1')
    const third = await upstream.request()
    for (const { stream } of [second, third]) {
      stream.respond()
      stream.end('1')
    }
    await Promise.all(answers)
    expect(upstream.sessions.length).toBe(2)
  })

  test('is replaced after as many requests as it may carry, and none of them is cut', async () => {
    const { upstream, client, connections } = await setUp({ maxRequestsPerConnection: 2 })
    upstream.answerAll(({ stream }) => {
      stream.respond()
      stream.end('ok')
    })
    const raw = await client()
    for (let count = 0; count < 5; count++) expect((await raw.ask(get())).body).toBe('ok')
    expect(upstream.sessions.length).toBe(3)
    expect(connections().closed).toEqual({ requests: 2 })
  })
})

describe('a connection that may be dead', () => {
  test('is asked once in a silence, and stays if it answers', async () => {
    const runtime = virtualRuntime()
    const { upstream, client } = await setUpFrames({ idleTimeout: '10m' }, { runtime })
    const answer = (await client()).ask(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    await runtime.clock.advance(31_000)
    const { payload } = await peer.next(Frame.Ping)
    peer.send(Frame.Ping, ACK, 0, payload)
    await runtime.clock.advance(4 * 60_000)
    ok(peer, stream, 'late')
    expect((await answer).body).toBe('late')
    expect(peer.frames.filter(({ type }) => type === Frame.Ping)).toEqual([])
  })

  test('is closed if it does not answer, and what was under way has failed', async () => {
    const runtime = virtualRuntime()
    const { upstream, client, connections } = await setUpFrames({ idleTimeout: '10m' }, { runtime })
    const answer = (await client()).ask(post('x'), 'POST')
    const peer = await upstream.peer()
    await peer.request()
    await runtime.clock.advance(31_000)
    await peer.next(Frame.Ping)
    await runtime.clock.advance(6_000)
    expect(problem(await answer).type).toBe('urn:banyan:problem:upstream-reset')
    await until(() => connections().open === 0)
    expect(connections().closed).toEqual({ error: 1 })
  })

  test('gets no more requests while it is asked, as one without any answer was given up', async () => {
    const { upstream, client } = await setUpFrames()
    const before = (await client()).ask(get())
    const silent = await upstream.peer()
    ok(silent, await silent.request(), 'before')
    await before
    const raw = (await client()).send(get())
    await silent.request()
    raw.destroy()
    await silent.next(Frame.Ping)
    const answer = (await client()).ask(get())
    const fresh = await upstream.peer()
    ok(fresh, await fresh.request(), 'elsewhere')
    expect((await answer).body).toBe('elsewhere')
  })

  test('is closed when nobody has used it for long', async () => {
    const runtime = virtualRuntime()
    const { upstream, client, connections } = await setUpFrames({}, { runtime })
    const answer = (await client()).ask(get())
    const peer = await upstream.peer()
    ok(peer, await peer.request(), 'ok')
    await answer
    await runtime.clock.advance(46_000)
    await until(() => connections().open === 0)
    expect(connections().closed).toEqual({ idle: 1 })
  })

  test('by its age takes no more requests, and ends what it has', async () => {
    const runtime = virtualRuntime()
    const { upstream, client } = await setUpFrames({ maxConnectionAge: '1m', idleTimeout: '1h' }, { runtime })
    const early = (await client()).ask(get())
    const old = await upstream.peer()
    const stream = await old.request()
    await runtime.clock.advance(31_000)
    old.send(Frame.Ping, ACK, 0, (await old.next(Frame.Ping)).payload)
    await runtime.clock.advance(31_000)
    const late = (await client()).ask(get())
    const fresh = await upstream.peer()
    ok(fresh, await fresh.request(), 'new')
    expect((await late).body).toBe('new')
    ok(old, stream, 'old')
    expect((await early).body).toBe('old')
    await old.closed()
  })
})

describe('what the endpoint did not do', () => {
  test('a refused stream is asked for again, also if doing it twice would do harm', async () => {
    const { upstream, client } = await setUp()
    const answer = (await client()).ask(post('order'), 'POST')
    ;(await upstream.request()).stream.close(constants.NGHTTP2_REFUSED_STREAM)
    const { stream } = await upstream.request()
    expect(await bodyOf(stream)).toBe('order')
    stream.respond({ ':status': 201 })
    stream.end()
    expect((await answer).start).toBe('201 Created 1.1')
  })

  test('what a GOAWAY leaves out goes to another connection, the rest ends on the old one', async () => {
    const { upstream, client, connections } = await setUpFrames()
    const early = (await client()).ask(post('first'), 'POST')
    const old = await upstream.peer()
    const one = await old.request()
    const late = (await client()).ask(post('second'), 'POST')
    await old.request()
    old.goAway(one)
    const fresh = await upstream.peer()
    ok(fresh, await fresh.request(), 'new')
    expect((await late).body).toBe('new')
    ok(old, one, 'old')
    expect((await early).body).toBe('old')
    await old.closed()
    await until(() => connections().open === 1)
    expect(connections().closed).toEqual({ endpoint: 1 })
  })

  test('a GOAWAY with an error leaves what came before it in doubt, and what came after it is repeated', async () => {
    const { upstream, client } = await setUpFrames()
    const [a, b] = [await client(), await client()]
    const early = a.ask(post('first'), 'POST')
    const old = await upstream.peer()
    const one = await old.request()
    const late = b.ask(post('second'), 'POST')
    await old.request()
    old.goAway(one, constants.NGHTTP2_ENHANCE_YOUR_CALM)
    expect(problem(await early).type).toBe('urn:banyan:problem:upstream-reset')
    const fresh = await upstream.peer()
    ok(fresh, await fresh.request(), 'new')
    expect((await late).body).toBe('new')
  })

  test('is told to the retry policy when it happens again', async () => {
    const { upstream, client } = await setUp()
    const answer = (await client()).ask(post('order'), 'POST')
    ;(await upstream.request()).stream.close(constants.NGHTTP2_REFUSED_STREAM)
    ;(await upstream.request()).stream.close(constants.NGHTTP2_REFUSED_STREAM)
    expect(problem(await answer)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-reset' })
  })
})

describe('an answer that breaks off', () => {
  test('by a reset with an error, in its middle, is broken off for the client too', async () => {
    const { upstream, client } = await setUpFrames()
    const raw = (await client()).send(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200']])
    peer.send(Frame.Data, 0, stream, 'half')
    await raw.until((text) => text.includes('half'))
    peer.reset(stream, constants.NGHTTP2_INTERNAL_ERROR)
    expect(await raw.until(() => false)).not.toMatch(/0\r\n\r\n$/)
  })

  test('by a reset without an error does not look complete if it said how long it is', async () => {
    const { upstream, client } = await setUpFrames()
    const raw = (await client()).send(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['content-length', '10']]) // prettier-ignore
    peer.send(Frame.Data, 0, stream, 'half')
    await raw.until((text) => text.includes('half'))
    peer.reset(stream, constants.NGHTTP2_NO_ERROR)
    await raw.closed()
    expect(raw.text).toMatch(/\r\nhalf$/)
  })

  test('by a reset without an error is complete if it did not: so end the answers of many a server', async () => {
    const { upstream, client } = await setUpFrames()
    const answer = (await client()).ask(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200']])
    peer.send(Frame.Data, 0, stream, 'whole')
    peer.reset(stream, constants.NGHTTP2_NO_ERROR)
    expect((await answer).body).toBe('whole')
  })

  test('as its connection closes does not look complete', async () => {
    const { upstream, client } = await setUpFrames()
    const raw = (await client()).send(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200']])
    peer.send(Frame.Data, 0, stream, 'half')
    await raw.until((text) => text.includes('half'))
    peer.socket.end()
    await raw.closed()
    expect(raw.text).not.toMatch(/0\r\n\r\n$/)
  })

  test('before its head is an error, and the connection goes on', async () => {
    const { upstream, client, connections } = await setUp()
    const answer = (await client()).ask(post('order'), 'POST')
    ;(await upstream.request()).stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    expect(problem(await answer)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-reset' })
    expect(connections()).toMatchObject({ open: 1, closed: {} })
  })
})

describe('an answer that is not valid', () => {
  const wrong: [string, (peer: FramePeer, stream: number) => void][] = [
    ['a field about the connection', (peer, stream) => peer.headers(stream, [[':status', '200'], ['connection', 'close']], END_STREAM)],
    ['a transfer coding', (peer, stream) => peer.headers(stream, [[':status', '200'], ['transfer-encoding', 'chunked']], END_STREAM)],
    ['capitals in a name', (peer, stream) => peer.headers(stream, [[':status', '200'], ['X-Upper', '1']], END_STREAM)],
    ['no status', (peer, stream) => peer.headers(stream, [['x-a', '1']], END_STREAM)],
    ['a status of four digits', (peer, stream) => peer.headers(stream, [[':status', '2000']], END_STREAM)],
    ['a switch of protocols', (peer, stream) => peer.headers(stream, [[':status', '101']], END_STREAM)],
    ['two lengths', (peer, stream) => peer.headers(stream, [[':status', '200'], ['content-length', '1'], ['content-length', '2']])],
    ['less than its length', (peer, stream) => peer.headers(stream, [[':status', '200'], ['content-length', '5']], END_STREAM)],
  ] // prettier-ignore

  test.each(wrong)('with %s is an error of the endpoint', async (_what, answer) => {
    const { upstream, client } = await setUpFrames()
    const asked = (await client()).ask(post('x'), 'POST')
    const peer = await upstream.peer()
    answer(peer, await peer.request())
    expect(problem(await asked)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-protocol' })
  })

  test('by a body that is longer than said never reaches the client whole, nor the next request', async () => {
    const { upstream, client } = await setUpFrames()
    const raw = (await client()).send(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['content-length', '2']]) // prettier-ignore
    peer.send(Frame.Data, END_STREAM, stream, 'more than two')
    await raw.closed()
    expect(raw.text).not.toContain('more')
    const next = (await client()).ask(get())
    const other = await peer.request()
    ok(peer, other, 'good')
    expect((await next).body).toBe('good')
  })

  test('by a line break in a value does not become a field of its own', async () => {
    const { upstream, client } = await setUpFrames()
    const asked = (await client()).ask(get())
    const peer = await upstream.peer()
    const stream = await peer.request()
    peer.headers(stream, [[':status', '200'], ['x-a', '1\r\nset-cookie: evil=1']], END_STREAM) // prettier-ignore
    expect(JSON.stringify(await asked)).not.toContain('evil')
  })
})

describe('a client that goes away', () => {
  test('resets the stream, and leaves the connection to the others', async () => {
    const { upstream, client, connections } = await setUp()
    const raw = (await client()).send(get())
    const { stream } = await upstream.request()
    const closed = new Promise((resolve) => stream.once('close', resolve))
    raw.destroy()
    await closed
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL)
    expect(connections()).toMatchObject({ open: 1, closed: {} })
  })
})

describe('large bodies', () => {
  test('wait for who takes them, both ways', async () => {
    const { upstream, client } = await setUp()
    const size = 8 * 1024 * 1024
    const raw = await client()
    raw.socket.pause()
    raw.send(get())
    const { stream } = await upstream.request()
    stream.respond({ 'content-length': String(size) })
    let sent = 0
    const part = Buffer.alloc(64 * 1024, 'x')
    // Until it has to wait: what lies between must be a small share of the whole.
    while (stream.write(part)) sent += part.length
    stream.end(Buffer.alloc(size - sent - part.length, 'x'))
    await new Promise((resolve) => setImmediate(resolve))
    raw.socket.resume()
    await raw.until((text) => text.length > size)
    expect(raw.text.length - raw.text.indexOf('\r\n\r\n') - 4).toBe(size)
  })

  test('of unknown length are complete when a slow client has taken them', async () => {
    const { upstream, client } = await setUp()
    const raw = await client()
    raw.socket.pause()
    raw.send(get())
    const { stream } = await upstream.request()
    stream.respond()
    stream.end(Buffer.alloc(8 * 1024 * 1024, 'x'))
    const tick = setInterval(() => (raw.socket.isPaused() ? raw.socket.resume() : raw.socket.pause()), 1)
    open.push({ close: () => clearInterval(tick) })
    expect((await raw.responses(1))[0]!.body.length).toBe(8 * 1024 * 1024)
  })

  test('upward arrive whole', async () => {
    const { upstream, client } = await setUp()
    const size = 4 * 1024 * 1024
    const raw = await client()
    const answer = raw.ask(post('y'.repeat(size)), 'POST')
    const { stream } = await upstream.request()
    const received = await bodyOf(stream)
    expect(received.length).toBe(size)
    stream.respond()
    stream.end('ok')
    expect((await answer).body).toBe('ok')
  })
})

describe('an endpoint that does not speak HTTP/2', () => {
  test('is one that cannot be connected to', async () => {
    const { RawUpstream } = await import('../support/raw.js')
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const { client, connections } = await gatewayTo(upstream.url)
    const asked = (await client()).ask(get())
    const peer = await upstream.peer()
    await peer.until((text) => text.startsWith('PRI * HTTP/2.0'))
    peer.reply('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
    expect(problem(await asked)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-connect' })
    expect(connections()).toMatchObject({ open: 0, failed: 1 })
  })
})

/** Waits for what comes about by itself. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

function ok(peer: FramePeer, stream: number, body: string): void {
  peer.headers(stream, [[':status', '200']])
  peer.send(Frame.Data, END_STREAM, stream, body)
}
