import { constants } from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import type { GatewayOptions, GatewaySpec } from '../../src/traffic/gateway/index.js'
import { closeAll, get, ok, open, setUp } from '../support/gateway.js'
import { answerOf, codeOf, Http2Client } from '../support/http2-client.js'
import { END_STREAM, Frame, FramePeer } from '../support/http2-frames.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

/** A gateway that takes HTTP/2 without TLS, in front of an upstream that the test plays in HTTP/1.1. */
async function setUpHttp2(spec: Partial<GatewaySpec> = {}, options: GatewayOptions = {}) {
  const { upstream, gateway } = await setUp(spec, options)
  const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
  const client = async (): Promise<Http2Client> => {
    const each = await Http2Client.open(`http://127.0.0.1:${port}`)
    open.push(each)
    return each
  }
  const frames = async (): Promise<FramePeer> => {
    const each = await FramePeer.connect(port)
    open.push({ close: () => each.socket.destroy() })
    return each
  }
  return { upstream, gateway, port, client, frames }
}

const head = (path = '/', method = 'GET'): [string, string][] => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'shop.example'],
]

describe('a request and its answer', () => {
  test('pass with their fields, in the form that HTTP/1.1 has for them', async () => {
    const { upstream, client } = await setUpHttp2()
    const answer = (await client()).ask({
      ':path': '/a?b=c',
      'x-one': ['1', '2'],
      cookie: ['a=1', 'b=2'],
      'x-forwarded-for': '6.6.6.6',
      'client-cert': ':bGllcw==:',
    })
    const peer = await upstream.peer()
    const request = await peer.request()
    expect(request).toMatch(/^GET \/a\?b=c HTTP\/1\.1\r\nHost: shop\.example\r\n/)
    expect(request).toContain('x-one: 1\r\nx-one: 2\r\n')
    expect(request).toContain('cookie: a=1; b=2\r\n')
    expect(request).toMatch(/Via: 2\.0 banyan-/)
    expect(request).toContain('X-Forwarded-Proto: http\r\n')
    expect(request).not.toMatch(/6\.6\.6\.6|client-cert|transfer-encoding/i)
    peer.reply(
      ok('hello', 'X-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: timeout=5\r\n'),
    )
    const { status, headers, body } = await answer
    expect([status, body]).toEqual([200, 'hello'])
    expect(headers).toMatchObject({
      'content-length': '5',
      'x-a': '1, 2',
      'set-cookie': ['a=1', 'b=2'],
    })
    expect(headers['keep-alive']).toBeUndefined()
    expect(headers.connection).toBeUndefined()
  })

  test('without a body say their length all the same', async () => {
    const { upstream, client } = await setUpHttp2()
    const answer = (await client()).ask({ ':method': 'HEAD' })
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n')
    expect(await answer).toMatchObject({ status: 200, body: '', headers: { 'content-length': '12' } })
  })

  test('have bodies with a stated length, and without', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    const first = each.ask({ 'content-length': 3 }, 'abc')
    const peer = await upstream.peer()
    expect(await peer.until((text) => text.endsWith('abc'))).toMatch(/content-length: 3\r\n/i)
    peer.text = ''
    peer.reply('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
    peer.reply('3\r\ntwo\r\n0\r\n\r\n')
    expect(await first).toMatchObject({ status: 200, body: 'onetwo', trailers: undefined })
    const second = each.ask({}, 'defg')
    expect(await peer.until((text) => text.endsWith('0\r\n\r\n'))).toMatch(
      /Transfer-Encoding: chunked\r\n[^]*4\r\ndefg\r\n0\r\n\r\n$/,
    )
    peer.reply(ok(''))
    expect((await second).body).toBe('')
  })

  test('bring interim answers before, and trailers after, in both directions', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    const stream = each.session.request(
      { ':method': 'POST', ':authority': 'a', te: 'trailers', expect: '100-continue' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1', 'x-bad': '2' }))
    const continued = new Promise<void>((resolve) => stream.once('continue', resolve))
    const answer = answerOf(stream)
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('\r\n\r\n'))
    peer.reply('HTTP/1.1 100 Continue\r\n\r\n')
    await continued
    stream.end('hi')
    await peer.until((text) => text.includes('x-sum: 1\r\n'))
    peer.reply('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    peer.reply(
      'HTTP/1.1 200 OK\r\nTrailer: X-Total\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Total: 9\r\n\r\n',
    )
    const { interims, trailers, body } = await answer
    expect(interims.at(-1)).toMatchObject({ ':status': 103, link: '</a>' })
    expect([body, trailers?.['x-total']]).toEqual(['ok', '9'])
  })

  test('tell a field that should stand once in one line, however often the service says it', async () => {
    const { upstream, client } = await setUpHttp2()
    const answer = (await client()).ask()
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(ok('', 'ETag: "a"\r\nETag: "b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n'))
    expect((await answer).headers).toMatchObject({ etag: '"a", "b"', 'set-cookie': ['a=1', 'b=2'] })
  })

  test('go side by side on one connection', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    const answers = ['a', 'b', 'c'].map((name) => each.ask({ ':path': `/${name}` }))
    const peers = [await upstream.peer(), await upstream.peer(), await upstream.peer()]
    for (const peer of peers.reverse()) {
      const [, path = ''] = /^GET (\S+)/.exec(await peer.request())!
      peer.reply(ok(path))
    }
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['/a', '/b', '/c'])
  })

  test('of HTTP/1.1 are served on the same port, whatever piece of them comes first', async () => {
    const { upstream, port } = await setUpHttp2()
    const raw = await RawClient.open(port)
    open.push({ close: () => raw.destroy() })
    raw.send('P')
    raw.send('ATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    const peer = await upstream.peer()
    expect(await peer.request()).toMatch(/^PATCH \/ /)
    peer.reply(ok('one'))
    const [first] = await raw.responses(1)
    expect(first!.body).toBe('one')
    raw.send(get())
    await peer.request()
    peer.reply(ok('two'))
    expect((await raw.responses(1))[0]!.body).toBe('two')
  })
})

describe('bodies flow no faster than they are taken', () => {
  test('towards the client', async () => {
    const { upstream, client } = await setUpHttp2()
    const stream = (await client()).request({})
    stream.pause()
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n')
    const piece = Buffer.alloc(50_000)
    let sent = 0
    await new Promise<void>((resolve) => {
      const more = (): void => {
        while (sent < 1000) {
          sent++
          if (!peer.socket.write(piece)) {
            peer.socket.once('drain', more)
            return
          }
        }
        resolve()
      }
      more()
      // The system's buffers hold some megabytes; when nothing moves for so long, nothing will.
      let before = -1
      const look = setInterval(() => {
        if (sent === before) {
          clearInterval(look)
          resolve()
        }
        before = sent
      }, 150)
    })
    expect(sent).toBeLessThan(400)
    let received = 0
    stream.on('data', (data: Buffer) => (received += data.length)).resume()
    await new Promise((resolve) => stream.once('end', resolve))
    expect(received).toBe(50_000_000)
  })

  test('towards the service', async () => {
    const { upstream, client } = await setUpHttp2()
    const stream = (await client()).request({ ':method': 'POST' })
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('\r\n\r\n'))
    peer.socket.pause()
    const total = 30_000_000
    let taken = 0
    const piece = Buffer.alloc(60_000)
    const write = (): void => {
      while (taken < total) {
        taken += piece.length
        if (!stream.write(piece)) {
          stream.once('drain', write)
          return
        }
      }
      stream.end()
    }
    write()
    await new Promise<void>((resolve) => {
      let before = -1
      const look = setInterval(() => {
        if (taken === before) {
          clearInterval(look)
          resolve()
        }
        before = taken
      }, 150)
    })
    expect(taken).toBeLessThan(total / 2)
    let received = 0
    peer.socket.removeAllListeners('data')
    peer.socket.on('data', (data: Buffer) => {
      received += data.length
      if (data.toString('latin1').endsWith('0\r\n\r\n')) peer.reply(ok('done'))
    })
    peer.socket.resume()
    const { body } = await answerOf(stream)
    expect(body).toBe('done')
    expect(received).toBeGreaterThan(total)
  })
})

test('a hundred answers that nobody takes leave room for one that is', async () => {
  const { upstream, client } = await setUpHttp2()
  const each = await client()
  const stalled = Array.from({ length: 99 }, () => each.request({}).pause())
  for (const stream of stalled) {
    expect(stream.closed).toBe(false)
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
    peer.socket.write(Buffer.alloc(1_000_000))
  }
  const answer = each.ask()
  const peer = await upstream.peer()
  await peer.request()
  peer.reply(ok('served'))
  expect((await answer).body).toBe('served')
})

describe('what ends early', () => {
  test('a reset by the client cancels the request to the service at once', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    const stream = each.request({})
    const peer = await upstream.peer()
    await peer.request()
    stream.close(constants.NGHTTP2_CANCEL)
    await peer.end()
    expect(peer.closed).toBe(true)
    const next = each.ask()
    const other = await upstream.peer()
    await other.request()
    other.reply(ok('still here'))
    expect((await next).body).toBe('still here')
  })

  test('so does a reset in the middle of the body, which the service never takes for complete', async () => {
    const { upstream, frames } = await setUpHttp2()
    const client = await frames()
    client.headers(1, head('/', 'POST'))
    client.send(Frame.Data, 0, 1, 'part')
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('part'))
    client.reset(1, constants.NGHTTP2_NO_ERROR)
    await peer.end()
    expect(peer.text).not.toContain('0\r\n\r\n')
  })

  test('so does the end of the connection', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    each.request({ ':method': 'POST' }).write('part')
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('part'))
    each.close()
    await peer.end()
    expect(peer.text).not.toContain('0\r\n\r\n')
  })

  test('an answer that breaks off is a reset, and the connection goes on', async () => {
    const { upstream, client } = await setUpHttp2()
    const each = await client()
    const stream = each.request({})
    const code = codeOf(stream)
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await new Promise((resolve) => stream.once('data', resolve))
    peer.socket.destroy()
    expect(await code).toBe(constants.NGHTTP2_INTERNAL_ERROR)
    const next = each.ask()
    const other = await upstream.peer()
    await other.request()
    other.reply(ok('still here'))
    expect((await next).body).toBe('still here')
  })

  test('an answer before the end of the request is whole, and the client is told to send no more', async () => {
    const { client } = await setUpHttp2({ routes: { none: { match: { path: '/none' }, to: 's' } } })
    const each = await client()
    const stream = each.request({ ':method': 'POST', ':path': '/other' })
    stream.write('part')
    const { status, headers } = await answerOf(stream)
    expect([status, headers['content-type']]).toEqual([404, 'application/problem+json'])
    expect((await each.ask({ ':path': '/other' })).status).toBe(404)
  })

  test('a request for a service that cannot be reached is answered, not reset', async () => {
    const { client } = await setUpHttp2({ services: { s: { endpoints: ['http://127.0.0.1:1'] } } })
    expect((await (await client()).ask()).status).toBe(502)
  })
})

describe('what is no request', () => {
  const cases: [string, [string, string][], number | 'reset'][] = [
    ['a Host that differs from the authority', [...head(), ['host', 'other.example']], 400],
    ['two Hosts', [...head(), ['host', 'shop.example'], ['host', 'shop.example']], 'reset'],
    ['no authority', head().slice(0, 3), 'reset'],
    ['user information in the authority', [...head().slice(0, 3), [':authority', 'a@b']], 400],
    ['a path of another host', [...head().slice(0, 2), [':path', 'http://b/'], [':authority', 'a']], 'reset'],
    ['a fragment in the path', head('/a#b'), 400],
    ['a scheme that is not HTTP', [[':method', 'GET'], [':scheme', 'ftp'], ...head().slice(2)], 400],
    ['an expectation nobody meets', [...head(), ['expect', 'wonders']], 417],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:443'],
      ],
      405,
    ],
    ['TRACE', head('/', 'TRACE'), 405],
    ['a field about the connection', [...head(), ['connection', 'x']], 'reset'],
    ['a transfer coding', [...head(), ['transfer-encoding', 'chunked']], 'reset'],
    ['an offer to switch', [...head(), ['upgrade', 'h2c']], 'reset'],
    ['another TE than trailers', [...head(), ['te', 'gzip']], 'reset'],
    ['capitals in a field name', [...head(), ['X-A', '1']], 'reset'],
    ['a pseudo-header field after the others', [['x', '1'], ...head()], 'reset'],
    ['a pseudo-header field twice', [...head(), [':path', '/b']], 'reset'],
    ['an unknown pseudo-header field', [...head(), [':x', '1']], 'reset'],
    ['a pseudo-header field of answers', [...head(), [':status', '200']], 'reset'],
    ['no method', head().slice(1), 'reset'],
    ['no path', [head()[0]!, head()[1]!, head()[3]!], 'reset'],
    ['an empty path', head(''), 'reset'],
    ['a length that is not a number', [...head(), ['content-length', '+1']], 'reset'],
    ['a length of a body that does not come', [...head(), ['content-length', '4']], 'reset'],
  ]
  test.each(cases)('%s', async (_what, fields, expected) => {
    const { upstream, frames } = await setUpHttp2()
    const peer = await frames()
    peer.headers(1, fields, END_STREAM)
    if (expected === 'reset') {
      expect((await peer.next(Frame.Reset)).payload.readUInt32BE()).toBe(constants.NGHTTP2_PROTOCOL_ERROR)
    } else {
      const { payload } = await peer.next(Frame.Headers)
      expect(statusIn(payload)).toBe(expected)
    }
    expect(upstream.peers).toHaveLength(0)
  })

  test.each([
    ['a line break in a value', 'x-a', '1\r\nX-Evil: 1'],
    ['a line break in a name', 'x\r\nx-evil: 1\r\nx', '1'],
    ['a zero byte in a value', 'x-a', '1\0'],
    ['space around a value', 'x-a', ' 1 '],
  ])('%s never reaches a service', async (_what, name, value) => {
    const { upstream, frames } = await setUpHttp2()
    const peer = await frames()
    peer.headers(1, [...head(), [name, value]], END_STREAM)
    const seen = upstream.peer().then((service) => service.request())
    const answered = peer.next(Frame.Reset).then(() => 'reset')
    const result = await Promise.race([seen, answered])
    expect(result).not.toMatch(/evil|x-a/i)
  })

  test('fields beyond the limits are answered with 431, a path beyond them with 414', async () => {
    const { client } = await setUpHttp2({}, { limits: { headBytes: 2000, fieldCount: 20, targetBytes: 500 } })
    const each = await client()
    expect((await each.ask({ 'x-long': 'x'.repeat(2000) })).status).toBe(431)
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`x-${index}`, '1']))
    expect((await each.ask(many)).status).toBe(431)
    expect((await each.ask({ ':path': `/${'x'.repeat(600)}` })).status).toBe(414)
  })

  test('a body beyond the limit is answered with 413, stated or not', async () => {
    const { client } = await setUpHttp2({}, { limits: { bodyBytes: 10 } })
    const each = await client()
    expect((await each.ask({ 'content-length': 11 }, 'x'.repeat(11))).status).toBe(413)
    expect((await each.ask({}, 'x'.repeat(11))).status).toBe(413)
  })
})

/** The status in a section of fields; a few are in HPACK's static table. */
function statusIn(section: Buffer): number {
  const indexed: Record<number, number> = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 }
  const first = section[0]!
  if (first & 0x80) return indexed[first & 0x7f] ?? 0
  const huffman = (section[1]! & 0x80) !== 0
  const length = section[1]! & 0x7f
  const value = section.subarray(2, 2 + length)
  if (!huffman) return Number(value.toString('latin1'))
  return Number(digitsOf(value))
}

/** HPACK's Huffman code of the digits (RFC 7541, appendix B). */
function digitsOf(data: Buffer): string {
  const codes: Record<string, string> = {
    '00000': '0', '00001': '1', '00010': '2', '011001': '3', '011010': '4',
    '011011': '5', '011100': '6', '011101': '7', '011110': '8', '011111': '9',
  } // prettier-ignore
  const bits = Array.from(data, (byte) => byte.toString(2).padStart(8, '0')).join('')
  let digits = ''
  let code = ''
  for (const bit of bits) {
    code += bit
    const digit = codes[code]
    if (digit === undefined) continue
    digits += digit
    code = ''
  }
  return digits
}
