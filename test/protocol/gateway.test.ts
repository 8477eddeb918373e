import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, field, get, ok, open, problem, setUp } from '../support/gateway.js'
import { RawClient, RawUpstream } from '../support/raw.js'

afterEach(closeAll)

describe('a request on its way', () => {
  test('loses what is hop-by-hop, and gains Via, Forwarded and relatives', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(
      get(
        '/a?b=c',
        'Connection: keep-alive, X-Private, Host, Cookie\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-Private: 1\r\nCookie: a=b\r\nTE: gzip\r\nX-Kept: yes\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n',
      ),
    )
    const peer = await upstream.peer()
    const request = await peer.request()
    expect(request).toMatch(/^GET \/a\?b=c HTTP\/1\.1\r\nHost: shop\.example\r\n/)
    expect(request).not.toMatch(/^(connection|keep-alive|proxy-connection|x-private|te):/im)
    expect(request).toMatch(/\r\nCookie: a=b\r\n/)
    expect(request).toMatch(/\r\nX-Kept: yes\r\n/)
    expect(request).toMatch(/\r\nVia: 1\.1 banyan-[0-9a-f]{8}\r\n/)
    expect(request).toMatch(/\r\nForwarded: for=127\.0\.0\.1;host=shop\.example;proto=http\r\n/)
    expect(request).toMatch(/\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/)
    expect(request).not.toContain('6.6.6.6')
    peer.reply(ok('hello', 'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 2\r\n'))
    const [answer] = await c.responses(1)
    expect(answer!.body).toBe('hello')
    expect(field(answer!, 'x-end')).toBe('2')
    expect(field(answer!, 'x-hop')).toBeUndefined()
    expect(field(answer!, 'keep-alive')).toBeUndefined()
    expect(field(answer!, 'via')).toMatch(/^1\.1 banyan-/)
  })

  test('continues what a trusted proxy says', async () => {
    const { upstream, client } = await setUp({}, { trust: ['127.0.0.0/8'] })
    ;(await client()).send(
      get('/', 'X-Forwarded-For: 10.1.1.1\r\nForwarded: for=10.1.1.1\r\nX-Forwarded-Proto: https\r\n'),
    )
    const request = await (await upstream.peer()).request()
    expect(request).toMatch(/\r\nX-Forwarded-For: 10\.1\.1\.1, 127\.0\.0\.1\r\n/)
    expect(request).toMatch(/\r\nForwarded: for=10\.1\.1\.1, for=127\.0\.0\.1;/)
    expect(request).toMatch(/\r\nX-Forwarded-Proto: https\r\n/)
  })

  test('in absolute form is asked for at the host of its target', async () => {
    const { upstream, client } = await setUp()
    ;(await client()).send('GET http://other.example/x HTTP/1.1\r\nHost: OTHER.example\r\n\r\n')
    expect(await (await upstream.peer()).request()).toMatch(/^GET \/x HTTP\/1\.1\r\nHost: other\.example\r\n/)
  })

  test('that comes round again is answered with 508', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    const via = /Via: (.*)\r\n/.exec(await peer.request())![1]!
    peer.reply(ok(''))
    await c.responses(1)
    expect(problem(await c.ask(get('/', `Via: ${via}\r\n`))).status).toBe(508)
  })

  test('of TRACE passes only where a route names the method itself', async () => {
    const { upstream, client } = await setUp({
      routes: {
        all: { match: {}, to: 's' },
        traced: { match: { path: '/traced', method: ['GET', 'TRACE'] }, to: 's' },
      },
    })
    const c = await client()
    expect(problem(await c.ask('TRACE / HTTP/1.1\r\nHost: a\r\n\r\n')).status).toBe(405)
    c.send('TRACE /traced HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await (await upstream.peer()).request()).toMatch(/^TRACE \/traced /)
  })

  describe.each([
    ['a trusted caller', ['127.0.0.1'], 1],
    ['anybody', [], 0],
  ])('of %s', (_who, trust, failures) => {
    test('tells how much time is left, at most as much as the caller had', async () => {
      const { upstream, client } = await setUp(
        { service: { policy: 'p' }, policies: { p: { timeout: '5s' } } },
        { trust },
      )
      ;(await client()).send(get('/', 'X-Request-Timeout-Ms: 700\r\n'))
      const left = Number(/X-Request-Timeout-Ms: (\d+)\r\n/.exec(await (await upstream.peer()).request())![1])
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(700)
    })

    test(`that had too little time counts as ${failures} failures of the endpoint`, async () => {
      const { upstream, client, gateway } = await setUp(
        {
          service: { policy: 'p' },
          policies: { p: { timeout: '5s', breaker: { consecutiveFailures: 1 } } },
        },
        { trust },
      )
      const c = await client()
      expect(problem(await c.ask(get('/', 'X-Request-Timeout-Ms: 30\r\n'))).status).toBe(504)
      await (await upstream.peer()).end()
      const [endpoint] = gateway.state().services['s']!.endpoints
      expect(endpoint!.breaker!.state).toBe(failures === 0 ? 'closed' : 'open')
    })
  })

  test('carries a chunked body with its trailers, in new chunks', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n')
    const peer = await upstream.peer()
    expect(await peer.until((text) => text.includes('hello'))).toMatch(
      /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n$/,
    )
    c.send('0\r\nX-Sum: 1\r\n\r\n')
    expect(await peer.until((text) => text.includes('X-Sum'))).toMatch(/0\r\nX-Sum: 1\r\n\r\n$/)
    peer.reply(ok('done'))
    expect((await c.responses(1))[0]!.body).toBe('done')
  })

  test('that turns out not to be valid in its body is answered with 400, and the endpoint is told', async () => {
    const { upstream, client, gateway } = await setUp()
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('hello'))
    c.send('zz\r\n')
    await peer.end()
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(gateway.state().services['s']!.endpoints[0]).toMatchObject({ active: 0, failures: 0 })
  })

  test('waits for 100 Continue if it says so, and gets it from the endpoint', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    const peer = await upstream.peer()
    expect(await peer.request()).toMatch(/\r\nExpect: 100-continue\r\n/)
    peer.reply('HTTP/1.1 100 Continue\r\n\r\n')
    expect(await c.until((text) => text.includes('\r\n\r\n'))).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    c.send('abc')
    await peer.until((text) => text.endsWith('abc'))
    peer.reply(ok('', 'X-Put: 1\r\n'))
    const messages = await c.responses(2)
    expect(messages.map(({ start }) => start)).toEqual(['100 Continue 1.1', '200 OK 1.1'])
  })
})

describe('an answer on its way', () => {
  test('may be preceded by early hints', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${ok('x')}`)
    expect((await c.responses(2)).map(({ start }) => start)).toEqual(['103 Early Hints 1.1', '200 OK 1.1'])
  })

  test('keeps its trailers only for a client that takes them', async () => {
    const { upstream, client } = await setUp()
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 9\r\nContent-Length: 5\r\n\r\n'
    const c = await client()
    c.send(get('/', 'TE: trailers\r\nConnection: TE\r\n'))
    const peer = await upstream.peer()
    expect(await peer.request()).toMatch(/\r\nConnection: TE\r\nTE: trailers\r\n/)
    peer.reply(chunked)
    expect((await c.responses(1))[0]).toMatchObject({ body: 'hi', trailers: [['X-Sum', '9']] })
    c.send(get())
    await peer.request()
    peer.reply(chunked)
    expect((await c.responses(1))[0]).toMatchObject({ body: 'hi', trailers: [] })
  })

  test('to HEAD keeps its length and has no body; 204 and 304 have neither', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n')
    const [head] = await c.responses(1, 'HEAD')
    expect([field(head!, 'content-length'), head!.body]).toEqual(['1234', ''])
    for (const status of ['204 No Content', '304 Not Modified']) {
      c.send(get())
      await peer.request()
      peer.reply(`HTTP/1.1 ${status}\r\nETag: "x"\r\n\r\n`)
      const [answer] = await c.responses(1)
      expect(answer!.start).toBe(`${status} 1.1`)
      expect(field(answer!, 'transfer-encoding')).toBeUndefined()
    }
  })

  test('without a length ends with its connection, and reaches the client in full', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.0 200 OK\r\n\r\nuntil the end')
    peer.socket.end()
    expect((await c.responses(1))[0]!.body).toBe('until the end')
  })

  test('for HTTP/1.0 is not chunked, and closes', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('GET / HTTP/1.0\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n')
    await c.closed()
    expect(c.text).toMatch(/Connection: close\r\n\r\nhi$/)
    expect(c.text).not.toMatch(/transfer-encoding/i)
  })

  test('begins before it has ended: a stream is passed on part by part', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    await c.until((text) => text.includes('\r\n\r\n'))
    for (const part of ['one', 'two']) {
      peer.reply(`3\r\n${part}\r\n`)
      await c.until((text) => text.includes(part))
    }
    peer.reply('0\r\n\r\n')
    expect((await c.responses(1))[0]!.body).toBe('onetwo')
  })

  test('goes no faster than the client reads', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    c.socket.pause()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n')
    const block = Buffer.alloc(1 << 20, 'x')
    let sent = 0
    // Until the kernel's buffers on the way are full and nobody takes more.
    while (peer.socket.writableLength < 4 << 20 && sent < 64) {
      peer.socket.write(block)
      sent++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(peer.socket.writableLength).toBeGreaterThanOrEqual(4 << 20)
    while (sent++ < 64) peer.socket.write(block)
    let received = 0
    c.socket.removeAllListeners('data')
    await new Promise<void>((resolve) => {
      c.socket.on('data', (data: Buffer) => {
        received += data.length
        if (received > 67_108_864) resolve()
      })
      c.socket.resume()
    })
  })
})

describe('one connection, many requests', () => {
  test('is used again, towards the client and towards the endpoint', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    for (const path of ['/1', '/2', '/3']) {
      expect(await peer.request()).toMatch(new RegExp(`^GET ${path} `))
      peer.reply(ok(path))
      expect((await c.responses(1))[0]!.body).toBe(path)
      if (path !== '/3') c.send(get(path === '/1' ? '/2' : '/3'))
    }
    expect(upstream.peers).toHaveLength(1)
  })

  test('pipelined requests are answered in their order', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1') + 'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' + get('/3'))
    const peer = await upstream.peer()
    for (const path of ['/1', '/2', '/3']) {
      const request = await peer.until(
        (text) => text.includes('\r\n\r\n') && (path !== '/2' || text.endsWith('abc')),
      )
      expect(request).toMatch(new RegExp(`^[A-Z]+ ${path} `))
      peer.text = ''
      peer.reply(ok(path))
    }
    expect((await c.responses(3)).map(({ body }) => body)).toEqual(['/1', '/2', '/3'])
  })

  test('a request after one that is not valid is never read', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(
      `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get('/smuggled')}`,
    )
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 400 /)
    expect(c.text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(upstream.peers).toHaveLength(0)
  })

  test('a connection that the endpoint closed while it was idle costs nobody a request', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const first = await upstream.peer()
    await first.request()
    first.reply(ok('1'))
    await c.responses(1)
    // Closed in the very moment in which the next request arrives.
    first.socket.once('data', () => first.socket.destroy())
    c.send(get('/2'))
    const second = await upstream.peer()
    expect(await second.request()).toMatch(/^GET \/2 /)
    second.reply(ok('2'))
    expect((await c.responses(1))[0]!.body).toBe('2')
  })
})

describe('an endpoint that misbehaves', () => {
  test('and refuses connections: 502, and the node goes on', async () => {
    const { upstream, client } = await setUp()
    upstream.close()
    const c = await client()
    const answer = await c.ask(get())
    expect(problem(answer)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-connect' })
    expect(answer.body).not.toContain(String(upstream.port))
    expect(field(answer, 'proxy-status')).toMatch(/^banyan-[0-9a-f]{8}; error=/)
    expect((await c.ask(get())).start).toMatch(/^502 /)
  })

  test('and hangs: 504 when the time is over, and the endpoint is told', async () => {
    const { upstream, client } = await setUp({ service: { policy: 'p' }, policies: { p: { timeout: 50 } } })
    const c = await client()
    const answer = c.ask(get())
    const peer = await upstream.peer()
    await peer.request()
    expect(problem(await answer)).toMatchObject({ status: 504, type: 'urn:banyan:problem:timeout' })
    await peer.end()
  })

  test('and resets before its answer: 502', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    const answer = c.ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.socket.resetAndDestroy()
    expect(problem(await answer)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-reset' })
  })

  test.each([
    ['stops short of its length', 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort'],
    ['stops in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nshort'],
    ['stops before its last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n'],
  ])('and %s: the client can tell', async (_what, bytes) => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(bytes)
    await c.until((text) => text.includes('short'))
    peer.socket.destroy()
    await c.closed()
    expect(c.text).toMatch(/short/)
    expect(c.text).not.toMatch(/0\r\n\r\n$/)
  })

  test.each([
    ['sends more than its length', `${ok('five!')}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned`],
    ['sends two answers at once', `${ok('five!')}${ok('poisoned')}`],
  ])('and %s: the rest reaches nobody', async (_what, bytes) => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(bytes)
    expect((await c.responses(1))[0]!.body).toBe('five!')
    c.send(get('/2'))
    const fresh = await upstream.peer()
    await fresh.request()
    fresh.reply(ok('clean'))
    expect((await c.responses(1))[0]!.body).toBe('clean')
    expect(c.text).not.toContain('poisoned')
  })

  test('and speaks without being asked on an idle connection: that is closed', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(ok('1'))
    await c.responses(1)
    peer.reply(ok('poisoned'))
    await peer.end()
    c.send(get('/2'))
    const fresh = await upstream.peer()
    await fresh.request()
    fresh.reply(ok('2'))
    expect((await c.responses(1))[0]!.body).toBe('2')
  })

  test('and does not speak HTTP: 502', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    const answer = c.ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('SSH-2.0-OpenSSH_9.2\r\n')
    expect(problem(await answer)).toMatchObject({ status: 502, type: 'urn:banyan:problem:upstream-protocol' })
  })

  test('and switches protocols unasked: 502', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    const answer = c.ask(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
    expect(problem(await answer).status).toBe(502)
  })

  describe('and answers before it has the whole request', () => {
    const upload = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\nonly '

    test('closing: the client gets the answer, and nobody waits for the rest', async () => {
      const { upstream, client } = await setUp()
      const c = (await client()).send(upload)
      const peer = await upstream.peer()
      await peer.until((text) => text.endsWith('only '))
      peer.reply('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      await Promise.all([c.closed(), peer.end()])
      expect(c.text).toMatch(/^HTTP\/1\.1 413 [^]*Connection: close\r\n/)
    })

    test('keeping its connection: it gets the rest, and both connections are used again', async () => {
      const { upstream, client } = await setUp()
      const c = (await client()).send(upload)
      const peer = await upstream.peer()
      await peer.until((text) => text.endsWith('only '))
      peer.reply(ok('early'))
      expect((await c.responses(1))[0]!.body).toBe('early')
      c.send('the rest')
      await peer.until((text) => text.endsWith('only the rest'))
      c.send(get('/again'))
      await peer.until((text) => text.includes('GET /again '))
      peer.reply(ok('again'))
      expect((await c.responses(1))[0]!.body).toBe('again')
      expect(upstream.peers.length).toBe(1)
    })

    test('and closes after it: the client may still send the rest, and go on', async () => {
      const { upstream, client } = await setUp()
      const c = (await client()).send(upload)
      const peer = await upstream.peer()
      await peer.until((text) => text.endsWith('only '))
      peer.reply(ok('early'))
      await c.responses(1)
      peer.socket.destroy()
      c.send('the rest').send(get('/again'))
      const next = await upstream.peer()
      expect(await next.request()).toMatch(/^GET \/again /)
      next.reply(ok('again'))
      expect((await c.responses(1))[0]!.body).toBe('again')
    })

    test('and before the client was asked to go on: both connections close, as a body may come or not', async () => {
      const { upstream, client } = await setUp()
      const c = await client()
      c.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n')
      const peer = await upstream.peer()
      await peer.request()
      peer.reply('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
      c.send(get('/smuggled'))
      await Promise.all([c.closed(), peer.end()])
      expect(c.text).toMatch(/^HTTP\/1\.1 401 [^]*Connection: close\r\n/)
      expect(upstream.peers.length).toBe(1)
    })
  })
})

describe('a client that goes away', () => {
  test('before the answer: the endpoint is told at once', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    c.destroy()
    await peer.end()
    expect(peer.closed).toBe(true)
  })

  test('in the middle of its body: so is the endpoint', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome')
    const peer = await upstream.peer()
    await peer.until((text) => text.includes('some'))
    c.destroy()
    await peer.end()
    expect(peer.closed).toBe(true)
  })

  test('in the middle of the answer: so is the endpoint, and the slot is free', async () => {
    const { upstream, client, gateway } = await setUp({
      service: { policy: 'p' },
      policies: { p: { bulkhead: { concurrency: 1 } } },
    })
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome')
    await c.until((text) => text.includes('some'))
    expect(gateway.state().services['s']!.bulkhead!.inFlight).toBe(1)
    c.destroy()
    await peer.end()
    const next = await client()
    next.send(get())
    const fresh = await upstream.peer()
    await fresh.request()
    expect(gateway.state().services['s']!.endpoints[0]!.active).toBe(1)
  })
})

describe('switching protocols', () => {
  test('carries bytes both ways, those sent early too, and passes each end on', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/chat', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
    const peer = await upstream.peer()
    expect(await peer.request()).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: echo\r\n/)
    peer.reply('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly')
    expect(await c.until((text) => text.endsWith('early'))).toMatch(/^HTTP\/1\.1 101 [^]*Upgrade: echo\r\n/)
    c.send('to you')
    await peer.until((text) => text === 'to you')
    peer.reply('to me')
    await c.until((text) => text.endsWith('to me'))
    c.socket.end()
    await new Promise((resolve) => peer.socket.once('end', resolve))
    peer.socket.end()
    await c.closed()
  })

  test('is not passed on where the route forbids it', async () => {
    const { upstream, client } = await setUp({ routes: { all: { match: {}, to: 's', upgrade: false } } })
    ;(await client()).send(get('/', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
    expect(await (await upstream.peer()).request()).not.toMatch(/upgrade/i)
  })
})

describe('retries through the gateway', () => {
  const policies = { p: { retry: { attempts: 3, backoff: { base: 1 }, budget: false as const } } }

  test('repeat a GET that was answered with 503, and a body that is small', async () => {
    const { upstream, client } = await setUp({ service: { policy: 'p' }, policies })
    const c = await client()
    c.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody')
    const peer = await upstream.peer()
    await peer.until((text) => text.endsWith('body'))
    peer.text = ''
    peer.reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    const again = await peer.until((text) => text.endsWith('body'))
    expect(again).toMatch(/\r\nX-Request-Attempt: 2\r\n/)
    peer.reply(ok('now'))
    expect((await c.responses(1))[0]!.body).toBe('now')
  })

  test('never repeat a POST, unless it carries an Idempotency-Key', async () => {
    const { upstream, client } = await setUp({ service: { policy: 'p' }, policies })
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    expect((await c.responses(1))[0]!.start).toBe('503 No 1.1')
    c.send('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n\r\n')
    await peer.request()
    peer.reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    await peer.request()
    peer.reply(ok('now'))
    expect((await c.responses(1))[0]!.body).toBe('now')
  })

  test('never repeat a body that is too large to keep', async () => {
    const { upstream, client } = await setUp({ service: { policy: 'p' }, policies })
    const c = await client()
    c.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    c.send('x'.repeat(100_000))
    await peer.until((text) => text.length === 100_000)
    peer.reply('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    expect((await c.responses(1))[0]!.start).toBe('503 No 1.1')
  })

  test('go to another endpoint', async () => {
    const healthy = await RawUpstream.open()
    open.push(healthy)
    const dead = await RawUpstream.open()
    dead.close()
    const { client } = await setUp({
      services: { s: { endpoints: [dead.url, healthy.url], policy: 'p', balance: 'round-robin' } },
      policies,
    })
    const c = await client()
    for (let round = 0; round < 4; round++) {
      c.send(get())
      const peer = round === 0 ? await healthy.peer() : healthy.peers[0]!
      await peer.request()
      peer.reply(ok('alive'))
      expect((await c.responses(1))[0]!.body).toBe('alive')
    }
  })
})

describe('limits and routes', () => {
  test('an unknown route is a 404 problem', async () => {
    const { client } = await setUp({ routes: { a: { match: { path: '/a' }, to: 's' } } })
    expect(problem(await (await client()).ask(get('/b')))).toMatchObject({ status: 404 })
  })

  test('a rate limit answers 429 with Retry-After and the RateLimit fields', async () => {
    const { upstream, client } = await setUp({
      service: { policy: 'p' },
      policies: { p: { rateLimit: { limit: 1, window: '1m' } } },
    })
    const c = await client()
    c.send(get())
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(ok(''))
    const [first] = await c.responses(1)
    expect(field(first!, 'ratelimit-policy')).toBe('"s";q=1;w=60')
    expect(field(first!, 'ratelimit')).toMatch(/^"s";r=0;t=\d+$/)
    const second = await c.ask(get())
    expect(problem(second)).toMatchObject({ status: 429 })
    expect(Number(field(second, 'retry-after'))).toBeGreaterThan(50)
  })

  test('a head that never ends is cut off', async () => {
    const { client } = await setUp({}, { limits: { headTimeout: 300 } })
    const slow = (await client()).send('GET / HT')
    await slow.closed()
    expect(slow.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('a stopping gateway finishes what is under way, and takes nothing new', async () => {
    const { upstream, client, gateway, port } = await setUp()
    const busy = await client()
    const idle = await client()
    busy.send(get())
    const peer = await upstream.peer()
    await peer.request()
    const stopped = gateway.close(new AbortController().signal)
    await idle.closed()
    await expect(RawClient.open(port)).rejects.toThrow(/ECONNREFUSED/)
    peer.reply(ok('last'))
    const [answer] = await busy.responses(1)
    expect(answer!.body).toBe('last')
    expect(field(answer!, 'connection')).toBe('close')
    busy.destroy()
    await stopped
  })
})
