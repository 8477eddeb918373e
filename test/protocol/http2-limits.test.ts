import { constants } from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import type { HttpLimits } from '../../src/traffic/http/limits.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { closeAll, ok, open, setUp } from '../support/gateway.js'
import { Http2Client } from '../support/http2-client.js'
import { END_STREAM, Frame, FramePeer } from '../support/http2-frames.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

async function setUpHttp2(limits: Partial<HttpLimits> = {}) {
  const runtime = virtualRuntime()
  const { upstream, gateway } = await setUp({ service: { idleTimeout: '1h' } }, { runtime, limits })
  const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
  const frames = async (): Promise<FramePeer> => {
    const each = await FramePeer.connect(port)
    open.push({ close: () => each.socket.destroy() })
    // The settings of the gateway: it has read ours.
    await each.next(Frame.Settings)
    await each.next(Frame.Settings)
    return each
  }
  const client = async (): Promise<Http2Client> => {
    const each = await Http2Client.open(`http://127.0.0.1:${port}`)
    open.push(each)
    return each
  }
  return { upstream, gateway, port, clock: runtime.clock, frames, client }
}

const head = (method = 'GET', path = '/'): [string, string][] => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'shop.example'],
]

const word = (value: number): Buffer => {
  const data = Buffer.alloc(4)
  data.writeUInt32BE(value)
  return data
}

/** What the gateway has said at last. */
async function goodbye(peer: FramePeer): Promise<number> {
  return (await peer.next(Frame.GoAway)).payload.readUInt32BE(4)
}

/** Everything sent before has been read once this is answered. */
async function arrived(peer: FramePeer): Promise<void> {
  peer.send(Frame.Ping, 0, 0, 'the end!')
  while ((await peer.next(Frame.Ping)).payload.toString('latin1') !== 'the end!');
}

const many = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))

function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const data = Buffer.from(payload as string, 'latin1')
  const start = Buffer.alloc(9)
  start.writeUIntBE(data.length, 0, 3)
  start[3] = type
  start[4] = flags
  start.writeUInt32BE(stream, 5)
  return Buffer.concat([start, data])
}

describe('a client that floods is sent away', () => {
  test.each([
    ['pings', (index: number) => frame(Frame.Ping, 0, 0, String(index).padStart(8, '0'))],
    ['settings', () => frame(Frame.Settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))],
    ['priorities', () => frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 16]))],
    ['window updates', () => frame(Frame.WindowUpdate, 0, 0, word(1))],
    ['frames of an unknown type', () => frame(0x77, 0, 0, 'x')],
  ])('%s', async (_what, make) => {
    const { clock, frames } = await setUpHttp2()
    const peer = await frames()
    // Not all at once: the codec itself ends it with who does not take 1000 acknowledgements.
    for (let batch = 0; batch < 10; batch++) {
      peer.socket.write(many(200, make))
      await arrived(peer)
    }
    await clock.advance(2_000)
    expect(await goodbye(peer)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    await peer.closed()
  })

  test('empty frames of a body', async () => {
    const { frames } = await setUpHttp2()
    const peer = await frames()
    peer.headers(1, head('POST'))
    peer.socket.write(many(2000, () => frame(Frame.Data, 0, 1)))
    await peer.closed()
  })

  test('a header section that never ends', async () => {
    const { frames } = await setUpHttp2()
    const peer = await frames()
    peer.socket.write(frame(Frame.Headers, 0, 1, Buffer.from([0, 1, 0x61, 1, 0x62])))
    peer.socket.write(many(100, () => frame(9, 0, 1)))
    expect(await goodbye(peer)).not.toBe(0)
    await peer.closed()
  })

  test('requests that are called off at once (rapid reset), before many reach a service', async () => {
    const { upstream, frames } = await setUpHttp2({ streamResets: 50 })
    const peer = await frames()
    for (let stream = 1; stream < 150; stream += 2) {
      peer.headers(stream, head(), END_STREAM)
      peer.reset(stream, constants.NGHTTP2_CANCEL)
    }
    expect(await goodbye(peer)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    await peer.closed()
    expect(upstream.peers.length).toBeLessThan(51)
  })

  test('requests that are none', async () => {
    const { frames } = await setUpHttp2({ streamResets: 50 })
    const peer = await frames()
    for (let stream = 1; stream < 150; stream += 2) peer.headers(stream, head('GET', '/#'), END_STREAM)
    expect(await goodbye(peer)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })

  test('more requests at once than it was told', async () => {
    const { upstream, frames } = await setUpHttp2({ streams: 2 })
    const peer = await frames()
    for (const stream of [1, 3, 5]) peer.headers(stream, head(), END_STREAM)
    expect(await goodbye(peer)).not.toBe(constants.NGHTTP2_NO_ERROR)
    await peer.closed()
    expect(upstream.peers.length).toBeLessThan(3)
  })

  test('but who keeps to the number gets all its answers', async () => {
    const { upstream, client } = await setUpHttp2({ streams: 2 })
    const each = await client()
    const answers = Array.from({ length: 6 }, (_, index) => each.ask({ ':path': `/${index}` }))
    const serve = async (): Promise<void> => {
      const service = await upstream.peer()
      for (;;) {
        const request = await service.request()
        if (request === '') return
        service.reply(ok(/^GET (\S+)/.exec(request)![1]!))
      }
    }
    void serve()
    void serve()
    const bodies = await Promise.all(answers.map(async (answer) => (await answer).body))
    expect(bodies).toEqual(['/0', '/1', '/2', '/3', '/4', '/5'])
    expect(upstream.peers.length).toBeLessThan(3)
  })

  test('but who calls off a few, pings now and then and uploads slowly taken bodies stays', async () => {
    const { upstream, clock, frames } = await setUpHttp2()
    const peer = await frames()
    peer.headers(1, head('POST'))
    const service = await upstream.peer()
    await service.until((text) => text.includes('\r\n\r\n'))
    service.socket.pause()
    // More than anybody has seen yet: it waits for the service to take it.
    for (let count = 0; count < 12; count++) peer.send(Frame.Data, 0, 1, 'x'.repeat(16_000))
    for (let stream = 3; stream < 30; stream += 2) {
      peer.headers(stream, head(), END_STREAM)
      peer.reset(stream, constants.NGHTTP2_CANCEL)
    }
    for (let count = 0; count < 20; count++) peer.send(Frame.Ping, 0, 0, 'are you?')
    await arrived(peer)
    await clock.advance(3_000)
    await arrived(peer)
    expect(peer.frames.some(({ type }) => type === Frame.GoAway)).toBe(false)
  })
})

describe('time is bounded', () => {
  test.each([
    ['in the middle of its first words', 'PRI * HTT'],
    ['before its first frame', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['in the middle of its first frame', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0'],
  ])('for a client that stops %s', async (_when, words) => {
    const { clock, port } = await setUpHttp2({ headTimeout: 5_000, keepAliveTimeout: 1e9 })
    const raw = await RawClient.open(port)
    let closed = false
    void raw
      .send(words)
      .closed()
      .then(() => (closed = true))
    // How soon the gateway gets to see it is not told by anything; its time runs from then.
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set by the callback above
    while (!closed) {
      await clock.advance(1_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
  })

  test('for a connection without requests', async () => {
    const { clock, frames } = await setUpHttp2({ keepAliveTimeout: 20_000 })
    const peer = await frames()
    await clock.advance(19_000)
    await arrived(peer)
    await clock.advance(3_000)
    expect(await goodbye(peer)).toBe(constants.NGHTTP2_NO_ERROR)
    await peer.closed()
  })

  test('for a body that stops coming: 408', async () => {
    const { upstream, clock, client } = await setUpHttp2({ idleTimeout: 30_000, minimumRate: 0 })
    const each = await client()
    const stream = each.request({ ':method': 'POST' })
    stream.write('part')
    const service = await upstream.peer()
    await service.until((text) => text.includes('part'))
    const status = new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
    await clock.advance(31_000)
    expect(await status).toBe(408)
    await service.end()
  })

  test('for a body that comes too slowly: 408', async () => {
    const { upstream, clock, client } = await setUpHttp2({ minimumRate: 100 })
    const each = await client()
    const stream = each.request({ ':method': 'POST' })
    const service = await upstream.peer()
    const status = new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
    for (let second = 0; second < 8; second++) {
      stream.write(String(second))
      await service.until((text) => text.includes(`\r\n${second}\r\n`))
      await clock.advance(1_000)
    }
    expect(await status).toBe(408)
  })

  test('for an answer that the client has no window for', async () => {
    const { upstream, clock, frames } = await setUpHttp2({ idleTimeout: 30_000 })
    const peer = await frames()
    // No window at all for answers.
    peer.send(Frame.Settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))
    peer.headers(1, head(), END_STREAM)
    const service = await upstream.peer()
    await service.request()
    service.reply(ok('never taken'))
    await peer.next(Frame.Headers)
    await arrived(peer)
    await clock.advance(31_000)
    expect((await peer.next(Frame.Reset)).payload.readUInt32BE()).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })

  test('but not for a service that thinks for long', async () => {
    const { upstream, clock, client } = await setUpHttp2({ idleTimeout: 30_000, keepAliveTimeout: 30_000 })
    const answer = (await client()).ask()
    const service = await upstream.peer()
    await service.request()
    await clock.advance(600_000)
    service.reply(ok('at last'))
    expect((await answer).body).toBe('at last')
  })
})

describe('draining', () => {
  test('says goodbye, lets what is under way finish, and takes nothing new', async () => {
    const { upstream, gateway, client } = await setUpHttp2()
    const each = await client()
    const answer = each.ask()
    const service = await upstream.peer()
    await service.request()
    const goAway = new Promise<number>((resolve) =>
      each.session.once('goaway', (code: number) => resolve(code)),
    )
    const closed = gateway.close(new AbortController().signal)
    expect(await goAway).toBe(constants.NGHTTP2_NO_ERROR)
    service.reply(ok('finished'))
    expect((await answer).body).toBe('finished')
    await each.closed()
    await closed
  })

  test('closes idle connections at once', async () => {
    const { gateway, client } = await setUpHttp2()
    const each = await client()
    await gateway.close(new AbortController().signal)
    await each.closed()
  })

  test('ends when it is told to, whatever is still under way', async () => {
    const { upstream, gateway, client } = await setUpHttp2()
    const each = await client()
    each.request({})
    const service = await upstream.peer()
    await service.request()
    await gateway.close(AbortSignal.abort())
    await each.closed()
    await service.end()
  })
})
