import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, field, get, ok, problem, setUp } from '../support/gateway.js'

afterEach(closeAll)

/** What must not get past a gateway, whichever side it comes from. */
describe('a client cannot', () => {
  test('put fields of framing, routing or rights behind a body', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n' +
        'Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 1\r\n\r\n',
    )
    const peer = await upstream.peer()
    const request = await peer.until((text) => text.includes('X-Sum'))
    expect(request.slice(request.indexOf('\r\n\r\n') + 4)).toBe('2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n')
    peer.reply(ok(''))
    await c.responses(1)
  })

  test('put the same such field behind a body twice, and so bring the gateway down', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    // All at once, so that the body is complete before there is a connection to the endpoint.
    c.send(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n' +
        'Content-Length: 5\r\nX-Sum: 1\r\nContent-Length: 6\r\nHost: b\r\nHost: c\r\n\r\n',
    )
    const peer = await upstream.peer()
    expect(await peer.until((text) => text.includes('X-Sum'))).toMatch(/\r\n0\r\nX-Sum: 1\r\n\r\n$/)
    peer.reply(ok('alive'))
    expect((await c.responses(1))[0]!.body).toBe('alive')
  })

  test.each([
    ['alone', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'],
    ['among others', 'Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n'],
    ['in capitals', 'Connection: Upgrade\r\nUpgrade: H2C\r\n'],
  ])('switch to HTTP/2, which would pass every route and policy by: %s', async (_what, fields) => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/', fields))
    const peer = await upstream.peer()
    expect(await peer.request()).not.toMatch(/h2c|http2-settings/i)
    peer.reply(ok('plain'))
    expect((await c.responses(1))[0]!.body).toBe('plain')
  })

  test('nominate a field away that the endpoint relies on', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(
      get(
        '/',
        'Authorization: Basic eA==\r\nCookie: a=b\r\nCache-Control: no-store\r\nConnection: close, Authorization, Cookie, Cache-Control, X-Forwarded-For, Forwarded, Via, Content-Length, Host\r\n',
      ),
    )
    const request = await (await upstream.peer()).request()
    for (const name of [
      'Host',
      'Authorization',
      'Cookie',
      'Cache-Control',
      'X-Forwarded-For',
      'Forwarded',
      'Via',
    ])
      expect(request, name).toMatch(new RegExp(`\\r\\n${name}: `))
  })

  test('disguise a field that we answer for with underscores, which CGI and its heirs take for hyphens', async () => {
    const { upstream, client } = await setUp({
      routes: { all: { match: {}, to: 's', headers: { request: { set: { 'X-Known-User': 'nobody' } } } } },
    })
    const c = await client()
    c.send(
      get(
        '/',
        'Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 6.6.6.6\r\nX_Known-User: root\r\nX_Own: 1\r\n',
      ),
    )
    const request = await (await upstream.peer()).request()
    expect(request).not.toMatch(/content_length|transfer_encoding|x_forwarded|x_known/i)
    expect(request).toMatch(/\r\nX-Known-User: nobody\r\n/)
    expect(request).toMatch(/\r\nX_Own: 1\r\n/)
  })

  test('ask for one site in the target and for another in Host', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('GET http://inner.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(upstream.peers.length).toBe(0)
  })

  test('have a second request read out of the body of the first', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    const inner = get('/inner')
    c.send(`POST /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
    const peer = await upstream.peer()
    await peer.until((text) => text.endsWith(inner))
    peer.reply(ok('one'))
    expect((await c.responses(1))[0]!.body).toBe('one')
    expect(await c.ask(get('/', 'Connection: close\r\nExpect: nothing\r\n'))).toMatchObject({
      start: '417 Expectation Failed 1.1',
    })
    expect(peer.text.match(/HTTP\/1\.1\r\n/g)).toHaveLength(2)
  })

  test('break a line of what the gateway writes about it', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('GET / HTTP/1.1\r\nHost: a";for=evil\r\n\r\n')
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(upstream.peers).toHaveLength(0)
  })
})

describe('an endpoint cannot', () => {
  test('pass its hop-by-hop fields on in an interim answer', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nUpgrade: x\r\nContent-Length: 10\r\n\r\n' +
        ok('x'),
    )
    const [hints, answer] = await c.responses(2)
    expect(hints).toMatchObject({ start: '103 Early Hints 1.1', fields: [['Link', '</a.css>']] })
    expect(answer!.body).toBe('x')
  })

  test('make a client wait for ever with one interim answer after another', async () => {
    const { upstream, client } = await setUp({ service: { policy: 'p' }, policies: { p: { timeout: 100 } } })
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    const drip = (): void => {
      if (!peer.closed) peer.socket.write('HTTP/1.1 102 Processing\r\n\r\n', () => setImmediate(drip))
    }
    drip()
    const text = await c.until((each) => each.includes('HTTP/1.1 504 '))
    expect(text).toContain('urn:banyan:problem:timeout')
  })

  test.each([
    ['both framings', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi'],
    ['a list of lengths', 'Content-Length: 2, 2\r\n\r\nhi'],
    ['an unknown coding', 'Transfer-Encoding: gzip\r\n\r\nhi'],
    ['a folded line', 'X: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
    ['a bare LF', 'X: a\nContent-Length: 0\r\n\r\n'],
    ['NUL in a value', 'X: a\0\r\nContent-Length: 0\r\n\r\n'],
    ['a head without end', `X: ${'x'.repeat(40_000)}`],
  ])('have its answer with %s understood in two ways: 502', async (_what, rest) => {
    const { upstream, client } = await setUp()
    const c = await client()
    const asked = c.ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`HTTP/1.1 200 OK\r\n${rest}`)
    expect(problem(await asked)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-protocol' })
    await peer.end()
    // The client's own connection is as good as before.
    const again = c.ask(get())
    const fresh = await upstream.peer()
    await fresh.request()
    fresh.reply(ok('fine'))
    expect((await again).body).toBe('fine')
  })

  test('tell clients about the inside by the way it fails', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    const asked = c.ask(get('/secret-path'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: nonsense-from-inside\r\n\r\n')
    const answer = await asked
    const said = JSON.stringify([answer.fields, answer.body])
    for (const secret of ['127.0.0.1', String(upstream.port), 'nonsense', 'Error', '.ts', '.js'])
      expect(said).not.toContain(secret)
    expect(field(answer, 'proxy-status')).toMatch(/error=http_protocol_error$/)
  })
})

describe('what is only unusual passes', () => {
  test('a request with a body that offers to switch: it is answered, and nothing is switched', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi',
    )
    const peer = await upstream.peer()
    const request = await peer.until((text) => text.endsWith('hi'))
    expect(request).not.toMatch(/upgrade/i)
    peer.reply(ok('taken'))
    expect((await c.responses(1))[0]!.body).toBe('taken')
  })

  test('an expectation in HTTP/1.0, which has none, goes no further', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi')
    const peer = await upstream.peer()
    expect(await peer.until((text) => text.endsWith('hi'))).not.toMatch(/expect/i)
    peer.reply(ok('taken'))
    await c.closed()
    expect(c.text).toMatch(/taken$/)
  })

  test('bytes above ASCII in a value arrive as they were sent, both ways', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/', 'X-Name: B\xe4\xff\x80\r\n'))
    const peer = await upstream.peer()
    expect(await peer.request()).toContain('X-Name: B\xe4\xff\x80\r\n')
    peer.reply(ok('\xe4\xff', 'X-Name: \x80\xfe\r\n'))
    const [answer] = await c.responses(1)
    expect([answer!.body, field(answer!, 'x-name')]).toEqual(['\xe4\xff', '\x80\xfe'])
  })

  test('many fields of the same name keep their order and their number', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(ok('', 'Set-Cookie: a=1\r\nX: 1\r\nset-cookie: b=2\r\nSet-Cookie: a=1\r\n'))
    const [answer] = await c.responses(1)
    expect(answer!.fields.filter(([name]) => /^(set-cookie|x)$/i.test(name))).toEqual([
      ['Set-Cookie', 'a=1'],
      ['X', '1'],
      ['set-cookie', 'b=2'],
      ['Set-Cookie', 'a=1'],
    ])
  })
})
