import { afterEach, describe, expect, test } from 'vitest'
import { HttpServer } from '../../src/traffic/http/server.js'
import type { HttpLimits } from '../../src/traffic/http/limits.js'
import { Body } from '../../src/traffic/http/body.js'
import type { Exchange } from '../../src/traffic/http/exchange.js'
import { virtualClock, type VirtualClock } from '../../src/testing/index.js'
import type { ReadMessage } from '../support/http-messages.js'
import { RawClient } from '../support/raw.js'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Answers with what was asked, once the whole request is there. */
function echo(exchange: Exchange): void {
  const { request, body } = exchange
  let text = `${request.method} ${request.target} `
  body.pipe({
    write: (data) => {
      text += data.toString('latin1')
      return true
    },
    end: () => exchange.respondWith(200, [], Buffer.from(text, 'latin1')),
    fail: () => undefined,
  })
}

async function serve(onExchange: (exchange: Exchange) => void = echo, limits: Partial<HttpLimits> = {}) {
  const clock = virtualClock()
  const server = new HttpServer({ clock, limits, onExchange })
  const { port } = await server.listen(0, '127.0.0.1')
  cleanUps.push(() => server.close(AbortSignal.abort()))
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    cleanUps.push(() => each.destroy())
    return each
  }
  return { server, clock, client, port }
}

const get = (target = '/', more = ''): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const post = (target: string, body: string, more = ''): string =>
  `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`
const field = (message: ReadMessage, name: string): string | undefined =>
  message.fields.find(([each]) => each.toLowerCase() === name)?.[1]

/** Everything that was sent before has been read by the server once it has answered this. */
async function arrived(client: () => Promise<RawClient>): Promise<void> {
  const other = await client()
  await other.ask(get('/barrier', 'Connection: close\r\n'))
  await other.closed()
}

/** A promise and what settles it. */
function turn<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}

/** Moves the time on in steps small enough for sockets to follow. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) await clock.advance(Math.min(100, left))
}

describe('one connection, request after request', () => {
  test('stays open for HTTP/1.1, and closes when the client says so', async () => {
    const { client } = await serve()
    const c = await client()
    for (const target of ['/1', '/2', '/3']) {
      const answer = await c.ask(get(target))
      expect([answer.body, field(answer, 'connection')]).toEqual([`GET ${target} `, undefined])
    }
    const last = await c.ask(get('/4', 'Connection: close\r\n'))
    expect([last.body, field(last, 'connection')]).toEqual(['GET /4 ', 'close'])
    await c.closed()
  })

  test('closes after HTTP/1.0, unless the client asks to keep it', async () => {
    const { client } = await serve()
    const c = await client()
    const kept = await c.ask('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    expect([kept.body, field(kept, 'connection')]).toEqual(['GET /1 ', 'keep-alive'])
    expect(field(await c.ask('GET /2 HTTP/1.0\r\n\r\n'), 'connection')).toBe('close')
    await c.closed()
  })

  test('thousands of requests in one write are answered in their order', async () => {
    const { client } = await serve()
    const c = await client()
    const targets = Array.from({ length: 3_000 }, (_, index) => `/${index}`)
    c.send(
      targets.map((target, index) => (index % 3 === 0 ? post(target, 'abc') : get(target))).join('') +
        get('/last', 'Connection: close\r\n'),
    )
    await c.closed()
    const bodies = (await c.responses(3_001)).map(({ body }) => body)
    expect(bodies).toEqual([
      ...targets.map((target, index) => (index % 3 === 0 ? `POST ${target} abc` : `GET ${target} `)),
      'GET /last ',
    ])
  })

  test('the next request waits until the one before is answered', async () => {
    const waiting: Exchange[] = []
    const { client } = await serve((exchange) => {
      if (exchange.request.target === '/barrier') echo(exchange)
      else waiting.push(exchange)
    })
    const c = await client()
    c.send(get('/1') + get('/2'))
    await arrived(client)
    expect(waiting.map(({ request }) => request.target)).toEqual(['/1'])
    waiting[0]!.respondWith(200, [], Buffer.from('one'))
    expect((await c.responses(1))[0]!.body).toBe('one')
    await arrived(client)
    expect(waiting.map(({ request }) => request.target)).toEqual(['/1', '/2'])
  })

  test('what is not valid behind a request that is under way is refused after its answer', async () => {
    let first!: Exchange
    const { client } = await serve((exchange) => {
      if (exchange.request.target === '/barrier') echo(exchange)
      else first = exchange
    })
    const c = await client()
    c.send(`${get('/1')}nonsense\r\n\r\n`)
    await arrived(client)
    expect(c.text).toBe('')
    first.respondWith(200, [], Buffer.from('whole'))
    await c.closed()
    const answers = await c.responses(2)
    expect(answers.map(({ start }) => start)).toEqual(['200 OK 1.1', '400 Bad Request 1.1'])
    expect(answers[0]!.body).toBe('whole')
  })

  test('a client that goes away aborts its exchange, once', async () => {
    const { promise, resolve } = turn<Exchange>()
    let aborts = 0
    const aborted = turn<undefined>()
    const { client } = await serve((exchange) => {
      exchange.onAbort = () => {
        aborts++
        aborted.resolve(undefined)
      }
      resolve(exchange)
    })
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    const exchange = await promise
    c.socket.resetAndDestroy()
    await aborted.promise
    expect([aborts, exchange.aborted, exchange.body.error?.message]).toEqual([
      1,
      true,
      'The client has closed the connection',
    ])
  })

  test('a request that breaks off in its head is answered with 400', async () => {
    const { client } = await serve()
    const c = await client()
    c.socket.end('GET / HTTP/1.1\r\nHost:')
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('nobody is told a word who has said none', async () => {
    const { client } = await serve()
    const c = await client()
    c.socket.end()
    await c.closed()
    expect(c.text).toBe('')
  })
})

describe('an answer', () => {
  const bytes = Buffer.from('0123456789')

  test('to HEAD, 204 and 304 has no body, and the next one is read right', async () => {
    const { client } = await serve((exchange) => {
      const [status = 200, length] = exchange.request.target.slice(1).split('/').map(Number)
      exchange.respond({ status, fields: '', body: Body.of(bytes), statedLength: length })
    })
    const c = await client()
    const head = await c.ask('HEAD /200/10 HTTP/1.1\r\nHost: a\r\n\r\n', 'HEAD')
    expect([field(head, 'content-length'), head.body]).toEqual(['10', ''])
    expect(field(await c.ask(get('/304/10')), 'content-length')).toBe('10')
    expect(field(await c.ask(get('/304')), 'content-length')).toBeUndefined()
    expect(field(await c.ask(get('/204')), 'content-length')).toBeUndefined()
    expect((await c.ask(get('/200'))).body).toBe('0123456789')
  })

  test('of unknown length is chunked, or ends with the connection for HTTP/1.0', async () => {
    const { client } = await serve((exchange) => {
      const body = new Body(undefined, undefined)
      exchange.respond({ status: 200, fields: '', body })
      body.push(Buffer.from('to'))
      body.push(Buffer.from('gether'))
      body.finish(undefined)
    })
    const modern = await client()
    const answer = await modern.ask(get())
    expect([field(answer, 'transfer-encoding'), answer.body]).toEqual(['chunked', 'together'])
    const old = await client()
    old.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    await old.closed()
    expect(old.text).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntogether')
  })

  test('that breaks off is cut off, without the chunk that would end it', async () => {
    const { client } = await serve((exchange) => {
      const body = new Body(undefined, undefined)
      exchange.respond({ status: 200, fields: '', body })
      body.push(Buffer.from('half'))
      body.fail(new Error('broken'))
    })
    const c = await client()
    c.send(get())
    await c.closed()
    expect(c.text).not.toContain('\r\n0\r\n')
    expect(await c.responses(1)).toEqual([])
  })

  test('is given once: a second one, or an interim one after it, goes nowhere', async () => {
    const { client } = await serve((exchange) => {
      exchange.interim(103, 'Early Hints', 'Link: a\r\n')
      exchange.respondWith(200, [], Buffer.from('first'))
      exchange.respondWith(200, [], Buffer.from('second'))
      exchange.interim(103, 'Early Hints', 'Link: b\r\n')
    })
    const c = await client()
    c.send(get('/', 'Connection: close\r\n'))
    await c.closed()
    expect((await c.responses(3)).map(({ start, body }) => [start, body])).toEqual([
      ['103 Early Hints 1.1', ''],
      ['200 OK 1.1', 'first'],
    ])
  })

  test('comes without interim ones for HTTP/1.0, which does not know them', async () => {
    const { client } = await serve((exchange) => {
      exchange.interim(100, 'Continue', '')
      exchange.respondWith(200, [], Buffer.from('x'))
    })
    const c = await client()
    c.send('GET / HTTP/1.0\r\n\r\n')
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('before the end of the request closes the connection, and the client gets to read it', async () => {
    const { client } = await serve((exchange) => exchange.respondWith(403, [], Buffer.from('no')))
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n')
    // Much more than the kernel holds: were the rest not read, this would not end.
    await new Promise<void>((resolve) => c.socket.write(Buffer.alloc(8_000_000), () => resolve()))
    const [answer] = await c.responses(1)
    expect([answer!.start, answer!.body, field(answer!, 'connection')]).toEqual([
      '403 Forbidden 1.1',
      'no',
      'close',
    ])
    await c.closed()
  })
})

describe('a limit', () => {
  const limits = { headBytes: 200, targetBytes: 50, fieldCount: 5, bodyBytes: 10 }
  const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

  test.each([
    ['of the target', get(`/${'t'.repeat(49)}`), 200],
    ['of the target', get(`/${'t'.repeat(50)}`), 414],
    ['of the head', get('/', `X: ${'x'.repeat(200 - get().length - 5)}\r\n`), 200],
    ['of the head', get('/', `X: ${'x'.repeat(200 - get().length - 4)}\r\n`), 431],
    ['of the fields', get('/', 'X: 1\r\n'.repeat(4)), 200],
    ['of the fields', get('/', 'X: 1\r\n'.repeat(5)), 431],
    ['of a stated body', post('/', 'x'.repeat(10)), 200],
    ['of a stated body', post('/', 'x'.repeat(11)), 413],
    ['of a chunked body', `${chunked}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n`, 200],
    ['of a chunked body', `${chunked}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n`, 413],
    ['of the fields after a body', `${chunked}0\r\n${'X: 1\r\n'.repeat(6)}\r\n`, 431],
  ])('%s holds to the byte, and is told as a problem: %s', async (_what, bytes, status) => {
    const { client } = await serve(echo, limits)
    const c = await client()
    const answer = await c.ask(bytes)
    expect(answer.start).toMatch(new RegExp(`^${status} `))
    if (status === 200) return
    expect(field(answer, 'content-type')).toBe('application/problem+json')
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', status })
    await c.closed()
  })

  test('of a chunked body holds also when it is passed after the request was handed over', async () => {
    const handedOver = turn<Exchange>()
    const { client } = await serve((exchange) => handedOver.resolve(exchange), limits)
    const c = await client()
    c.send(`${chunked}5\r\n01234\r\n`)
    const exchange = await handedOver.promise
    c.send('6\r\n56789a\r\n')
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 413 /)
    expect([exchange.refused, exchange.body.error?.message]).toEqual([413, 'The request body is too large'])
  })

  describe('of the connections', () => {
    test('is kept: one more than allowed is closed while all are at work, and let in when one has gone', async () => {
      const held: Exchange[] = []
      const { client, server } = await serve((exchange) => held.push(exchange), { connections: 2 })
      const busy = [(await client()).send(get()), (await client()).send(get())]
      while (held.length < 2) await new Promise((resolve) => setImmediate(resolve))
      const third = await client()
      await third.closed()
      expect([third.text, server.connectionCount]).toEqual(['', 2])
      const gone = new Promise<void>((resolve) => (held[0]!.onAbort = resolve))
      busy[0]!.destroy()
      await gone
      ;(await client()).send(get('/again'))
      while (held.length < 3) await new Promise((resolve) => setImmediate(resolve))
      expect(held[2]!.request.target).toBe('/again')
    })

    test('makes those give way that wait for nothing', async () => {
      const { client, server } = await serve(echo, { connections: 2 })
      const idle = await client()
      await idle.ask(get())
      const other = await client()
      await other.ask(get())
      expect((await (await client()).ask(get('/third'))).body).toBe('GET /third ')
      await idle.closed()
      expect(server.connectionCount).toBe(2)
    })
  })
})

describe('time', () => {
  test('for a head: 408 when it is over; single bytes do not extend it', async () => {
    const { clock, client } = await serve(echo, { headTimeout: 10_000 })
    const c = await client()
    for (const byte of 'GET / HTTP') {
      c.send(byte)
      await arrived(client)
      await pass(clock, 900)
    }
    expect(c.text).toBe('')
    await pass(clock, 2_000)
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('for a first head is counted from the connection, however long nobody came before', async () => {
    const { clock, client } = await serve(echo, { headTimeout: 10_000 })
    await (await client()).ask(get('/', 'Connection: close\r\n'))
    await pass(clock, 100_000)
    const c = await client()
    await pass(clock, 9_000)
    expect((await c.ask(get('/late'))).body).toBe('GET /late ')
  })

  test('for a client that never says a word: the connection is closed, without one of ours', async () => {
    const { clock, client } = await serve(echo, { headTimeout: 10_000 })
    const c = await client()
    await arrived(client)
    await pass(clock, 11_000)
    await c.closed()
    expect(c.text).toBe('')
  })

  test('for a body: each part extends it; silence is answered with 408', async () => {
    const exchanges: Exchange[] = []
    const { clock, client } = await serve(
      (exchange) => {
        exchanges.push(exchange)
        echo(exchange)
      },
      { idleTimeout: 5_000, minimumRate: 0 },
    )
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n')
    for (let part = 0; part < 5; part++) {
      c.send('part')
      await arrived(client)
      await pass(clock, 4_500)
    }
    expect(c.text).toBe('')
    await pass(clock, 2_000)
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 408 /)
    expect(exchanges[0]!.refused).toBe(408)
  })

  test('for a body that comes too slowly on the whole: 408, however steadily', async () => {
    const { clock, client } = await serve(echo, { minimumRate: 100 })
    const c = await client()
    c.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    for (let second = 0; second < 8 && c.text === ''; second++) {
      // Half of what is asked for: the 5 s of grace are used up after 10.
      c.send('x'.repeat(50))
      await arrived(client)
      await pass(clock, 1_000)
    }
    expect(c.text).toBe('')
    await pass(clock, 4_000)
    await c.closed()
    expect(c.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('for a body does not run while nobody takes it, nor before the client is asked to go on', async () => {
    const exchanges: Exchange[] = []
    const { clock, client } = await serve((exchange) => exchanges.push(exchange), { minimumRate: 1_000 })
    const c = await client()
    c.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(199_999)}`)
    while (exchanges.length === 0 || exchanges[0]!.body.heldBytes < 65_536)
      await new Promise((resolve) => setImmediate(resolve))
    await pass(clock, 600_000)
    echo(exchanges[0]!)
    const waiting = await client()
    waiting.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    while (exchanges.length < 2) await new Promise((resolve) => setImmediate(resolve))
    await pass(clock, 50_000)
    echo(exchanges[1]!)
    expect((await waiting.ask('ok')).body).toBe('PUT / ok')
    expect((await c.ask('x')).body.length).toBe('POST / '.length + 200_000)
  })

  test('between two requests: closed without a word, not before', async () => {
    const { clock, client } = await serve(echo, { keepAliveTimeout: 20_000 })
    const c = await client()
    await c.ask(get())
    await pass(clock, 19_500)
    await c.ask(get())
    await pass(clock, 21_000)
    await c.closed()
    expect(c.text).toBe('')
  })

  test('does not run out for an answer that takes long', async () => {
    const handedOver = turn<Exchange>()
    const { clock, client } = await serve((exchange) => handedOver.resolve(exchange))
    const c = await client()
    c.send(get())
    const exchange = await handedOver.promise
    await pass(clock, 600_000)
    exchange.respondWith(200, [], Buffer.from('at last'))
    expect((await c.responses(1))[0]!.body).toBe('at last')
  })

  const size = 16 << 20
  const large = (exchange: Exchange): void => {
    if (exchange.request.target === '/barrier') echo(exchange)
    else exchange.respond({ status: 200, fields: '', body: Body.of(Buffer.alloc(size, 'x')) })
  }

  test('for a client that takes nothing of its answer: cut off, and no connection is left', async () => {
    const { clock, client, server } = await serve(
      (exchange) => {
        if (exchange.request.target === '/barrier') {
          echo(exchange)
          return
        }
        const body = new Body(size * 2, undefined)
        exchange.respond({ status: 200, fields: '', body })
        body.push(Buffer.alloc(size, 'x'))
      },
      { idleTimeout: 5_000 },
    )
    const c = await client()
    c.socket.pause()
    c.send(get())
    await arrived(client)
    await pass(clock, 4_000)
    expect(server.connectionCount).toBe(1)
    await pass(clock, 2_000)
    expect(server.connectionCount).toBe(0)
  })

  test('to read the end of an answer is not cut short because the connection closes after it', async () => {
    const { clock, client } = await serve(large)
    const c = await client()
    c.socket.pause()
    c.send('GET / HTTP/1.0\r\n\r\n')
    await arrived(client)
    await pass(clock, 30_000)
    c.socket.resume()
    await c.closed()
    expect(c.length).toBeGreaterThan(size)
  })

  test('after our last word is short', async () => {
    const { clock, client, server } = await serve()
    const c = await client()
    c.socket.allowHalfOpen = true
    c.send('nonsense\r\n\r\n')
    await c.closed()
    await pass(clock, 1_500)
    expect(server.connectionCount).toBe(1)
    await pass(clock, 2_000)
    expect(server.connectionCount).toBe(0)
  })
})

describe('closing', () => {
  async function busy() {
    const handedOver = turn<Exchange>()
    const served = await serve((exchange) => {
      if (exchange.request.target === '/slow') handedOver.resolve(exchange)
      else echo(exchange)
    })
    const c = await served.client()
    c.send(get('/slow') + get('/behind'))
    return { ...served, c, exchange: await handedOver.promise }
  }

  test('ends idle connections, lets answers finish, and starts nothing new', async () => {
    const { server, client, c, exchange } = await busy()
    const idle = await client()
    await idle.ask(get())
    const closed = server.close(new AbortController().signal)
    await idle.closed()
    exchange.respondWith(200, [], Buffer.from('done'))
    await c.closed()
    const answers = await c.responses(2)
    expect(answers.map((answer) => [answer.body, field(answer, 'connection')])).toEqual([['done', 'close']])
    await closed
    expect(server.connectionCount).toBe(0)
  })

  test('cuts what is left when its signal says so', async () => {
    const { server, c, exchange } = await busy()
    const patience = new AbortController()
    const closed = server.close(patience.signal)
    patience.abort()
    await c.closed()
    await closed
    expect([exchange.aborted, server.connectionCount]).toEqual([true, 0])
  })

  test('may be asked for again by somebody with less patience', async () => {
    const { server } = await busy()
    const patient = server.close(new AbortController().signal)
    await server.close(AbortSignal.abort())
    await patient
  })
})
