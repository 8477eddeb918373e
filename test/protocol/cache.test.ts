import type { ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import type { CacheSpec } from '../../src/traffic/gateway/filters/cache/spec.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { virtualRuntime } from '../../src/testing/index.js'
import type { RouteSpec } from '../../src/traffic/gateway/index.js'
import { closeAll, field, problem } from '../support/gateway.js'
import { inFrontOf, type Origin } from '../support/origin.js'
import type { RawClient } from '../support/raw.js'

afterEach(closeAll)

const fresh = (fields: Record<string, string> = { 'Cache-Control': 'max-age=60' }): Origin['answer'] => {
  let count = 0
  return (_request, response) => void response.writeHead(200, fields).end(`answer ${++count}`)
}

async function start(
  answer: Origin['answer'],
  cache: true | CacheSpec = true,
  route: Partial<RouteSpec> = {},
) {
  const gauges = new Map<string, () => number>()
  const runtime = virtualRuntime({
    telemetry: {
      ...noTelemetry,
      gauge(name, _options, read) {
        gauges.set(name, read)
        return () => void gauges.delete(name)
      },
    },
  })
  /** Until that many requests wait for the answer to another one. */
  const queued = async (count: number): Promise<void> => {
    while (gauges.get('banyan.cache.waiting')!() < count) await new Promise(setImmediate)
  }
  const set = await inFrontOf(
    (request, response) => {
      // The test's time, not the machine's.
      response.setHeader('Date', new Date(runtime.clock.wall()).toUTCString())
      answer(request, response)
    },
    { cache, ...route },
    { runtime },
  )
  const c = await set.client()
  const ask = (path = '/', fields: Record<string, string> = {}, method = 'GET', from: RawClient = c) =>
    from.ask(
      `${method} ${path} HTTP/1.1\r\nHost: shop.example\r\n${Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`,
      method,
    )
  return { ...set, ask, c, clock: runtime.clock, queued }
}

const status = (message: { fields: [string, string][] }): string | undefined => field(message, 'cache-status')

describe('an answer that is fresh', () => {
  test('is given again without asking, with its age and how it came', async () => {
    const { ask, origin, clock } = await start(fresh())
    const first = await ask()
    expect([first.body, status(first), field(first, 'age')]).toEqual([
      'answer 1',
      'banyan; fwd=uri-miss; fwd-status=200; stored',
      undefined,
    ])
    await clock.advance('10s')
    const second = await ask()
    expect([second.body, status(second), field(second, 'age')]).toEqual([
      'answer 1',
      'banyan; hit; ttl=50',
      '10',
    ])
    expect(origin.count).toBe(1)
    await clock.advance('51s')
    expect((await ask()).body).toBe('answer 2')
  })

  test('is as old as it was when it came', async () => {
    const { ask, origin, clock } = await start(fresh({ 'Cache-Control': 'max-age=60', Age: '55' }))
    await ask()
    await clock.advance('4s')
    expect(field(await ask(), 'age')).toBe('59')
    await clock.advance('2s')
    await ask()
    expect(origin.count).toBe(2)
  })

  test('is for s-maxage before max-age', async () => {
    const { ask, origin, clock } = await start(fresh({ 'Cache-Control': 'max-age=1, s-maxage=100' }))
    await ask()
    await clock.advance('50s')
    await ask()
    expect(origin.count).toBe(1)
  })

  test('answers a HEAD too', async () => {
    const { ask, origin } = await start(fresh())
    await ask()
    const head = await ask('/', {}, 'HEAD')
    expect([head.body, field(head, 'content-length'), origin.count]).toEqual(['', '8', 1])
  })

  test('is a 304 for a client that has it', async () => {
    const { ask, origin } = await start(fresh({ 'Cache-Control': 'max-age=60', ETag: '"a"', 'X-Other': '1' }))
    const first = await ask('/', { 'If-None-Match': '"a"' })
    expect(first.start).toBe('304 Not Modified 1.1')
    // The service was asked for the whole, so that others have it too.
    expect(origin.last.headers['if-none-match']).toBeUndefined()
    const second = await ask('/', { 'If-None-Match': 'W/"a"' })
    expect([second.start, second.body, field(second, 'etag'), field(second, 'x-other')]).toEqual([
      '304 Not Modified 1.1',
      '',
      '"a"',
      undefined,
    ])
    expect((await ask('/', { 'If-None-Match': '"b"' })).body).toBe('answer 1')
    expect(origin.count).toBe(1)
  })

  test('is not another path, query or host', async () => {
    const { ask, origin, c } = await start(fresh())
    await ask('/a?x=1')
    await ask('/a?x=2')
    await ask('/b')
    await c.ask('GET /a?x=1 HTTP/1.1\r\nHost: other.example\r\n\r\n')
    expect(origin.count).toBe(4)
    await ask('/a?x=1')
    expect(origin.count).toBe(4)
  })

  test('is not for who came by another name, which the service may have written into it', async () => {
    const { c, origin } = await start(
      (request, response) =>
        response
          .writeHead(200, { 'Cache-Control': 'max-age=60' })
          .end(`https://${String(request.headers['x-forwarded-host'])}/next`),
      true,
      { rewrite: { host: 'inside.example' } },
    )
    for (const host of ['evil.example', 'shop.example', 'shop.example']) {
      const { body } = await c.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect(body).toBe(`https://${host}/next`)
    }
    expect(origin.count).toBe(2)
  })

  test('is for requests that say the same in what it varies with', async () => {
    const { ask, origin } = await start((request, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'Accept-Language' })
      response.end(request.headers['accept-language'] ?? 'none')
    })
    for (const language of ['de', 'en', 'de', 'en']) {
      expect((await ask('/', { 'Accept-Language': language })).body).toBe(language)
    }
    expect(origin.count).toBe(2)
    expect(status(await ask('/', { 'Accept-Language': 'fr' }))).toMatch(/fwd=vary-miss/)
  })

  test('varies also with what the route itself puts into the request', async () => {
    const { ask, origin } = await start(
      (request, response) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'X-Tenant' })
        response.end(request.headers['x-tenant'])
      },
      true,
      { headers: { request: { set: { 'X-Tenant': 'ours' } } } },
    )
    await ask('/', { 'X-Tenant': 'a' })
    expect((await ask('/', { 'X-Tenant': 'b' })).body).toBe('ours')
    expect(origin.count).toBe(1)
  })
})

describe('an answer is not kept', () => {
  test.each<[string, Record<string, string>]>([
    ['if it says no-store', { 'Cache-Control': 'No-Store, max-age=60' }],
    ['if it is private', { 'Cache-Control': 'private, max-age=60' }],
    ['if it says nothing', {}],
    ['if it sets a cookie', { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'a=b' }],
    ['if it varies with everything', { 'Cache-Control': 'max-age=60', Vary: '*' }],
    ['if it has expired', { Expires: '0' }],
    ['if it was guessed to be fresh only', { 'Last-Modified': 'Sun, 06 Nov 1994 08:49:37 GMT' }],
  ])('%s', async (_what, fields) => {
    const { ask, origin } = await start(fresh(fields))
    await ask()
    expect((await ask()).body).toBe('answer 2')
    expect(origin.count).toBe(2)
  })

  test.each<[string, Record<string, string>, number]>([
    ['to requests with credentials', { 'Cache-Control': 'max-age=60' }, 2],
    ['unless it is public', { 'Cache-Control': 'public, max-age=60' }, 1],
    ['unless it is meant for shared caches', { 'Cache-Control': 's-maxage=60' }, 1],
  ])('%s', async (_what, fields, count) => {
    const { ask, origin } = await start(fresh(fields))
    const credentials = { Authorization: 'Bearer x' }
    await ask('/', credentials)
    await ask('/', credentials)
    expect(origin.count).toBe(count)
  })

  test('for those with credentials, if it was given to one without', async () => {
    const { ask, origin } = await start(fresh())
    await ask()
    await ask('/', { Authorization: 'Bearer x' })
    expect(origin.count).toBe(2)
  })

  test('if it is too long, or broken off', async () => {
    let broken = true
    const { ask, origin, client } = await start(
      (request, response) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60' })
        if (request.url === '/long') response.end('x'.repeat(5000))
        else if (broken) {
          response.write('so far')
          response.socket!.end()
        } else response.end('whole')
      },
      { entryBytes: 4096 },
    )
    expect((await ask('/long')).body.length).toBe(5000)
    expect((await ask('/long')).body.length).toBe(5000)
    expect(origin.count).toBe(2)
    const cut = await client()
    cut.send('GET /broken HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    await cut.closed()
    broken = false
    expect((await ask('/broken')).body).toBe('whole')
  })

  test('beyond the memory for it: what was not asked for longest goes first', async () => {
    const { ask, origin } = await start(
      (_request, response) =>
        response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x'.repeat(10_000)),
      { bytes: 45_000, entryBytes: 11_000 },
    )
    for (const path of ['/1', '/2', '/3', '/4', '/1', '/5']) await ask(path)
    expect(origin.count).toBe(5)
    await ask('/1')
    expect(origin.count).toBe(5)
    await ask('/2')
    expect(origin.count).toBe(6)
  })

  test('is kept for the default time if it says nothing and nobody is known', async () => {
    const { ask, origin, clock } = await start(fresh({}), { defaultTtl: '5s' })
    await ask('/', { Cookie: 'session=1' })
    await ask()
    await ask()
    expect(origin.count).toBe(2)
    await clock.advance('6s')
    await ask()
    expect(origin.count).toBe(3)
  })
})

describe('a request passes by', () => {
  test.each([
    [{ Range: 'bytes=0-1' }, 'bypass'],
    [{ 'If-Match': '"a"' }, 'bypass'],
    [{ 'Cache-Control': 'no-store' }, 'request'],
  ])('with %j', async (fields, how) => {
    const { ask, origin } = await start(fresh())
    await ask()
    expect(status(await ask('/', fields as Record<string, string>))).toBe(`banyan; fwd=${how}`)
    expect(origin.count).toBe(2)
  })

  test('with no-cache, and its answer is for the next ones', async () => {
    const { ask, origin } = await start(fresh())
    await ask()
    expect((await ask('/', { 'Cache-Control': 'no-cache' })).body).toBe('answer 2')
    expect((await ask()).body).toBe('answer 2')
    expect((await ask('/', { Pragma: 'no-cache' })).body).toBe('answer 3')
    expect(origin.count).toBe(3)
  })

  test('with max-age if what is kept is older', async () => {
    const { ask, origin, clock } = await start(fresh())
    await ask()
    await clock.advance('10s')
    await ask('/', { 'Cache-Control': 'max-age=20' })
    expect(origin.count).toBe(1)
    await ask('/', { 'Cache-Control': 'max-age=5' })
    expect(origin.count).toBe(2)
  })

  test('not where clients have no say', async () => {
    const { ask, origin } = await start(fresh(), { ignoreClients: true })
    await ask()
    for (const value of ['no-cache', 'max-age=0', 'no-store']) await ask('/', { 'Cache-Control': value })
    expect(origin.count).toBe(1)
  })

  test('not with only-if-cached', async () => {
    const { ask, origin } = await start(fresh())
    expect(problem(await ask('/', { 'Cache-Control': 'only-if-cached' })).status).toBe(504)
    expect(origin.count).toBe(0)
    await ask()
    expect((await ask('/', { 'Cache-Control': 'only-if-cached' })).body).toBe('answer 1')
  })
})

describe('an answer that is stale', () => {
  const validated = (): Origin['answer'] => {
    let version = 1
    return (request, response) => {
      if (request.url === '/change') version++
      const etag = `"${version}"`
      const fields = { 'Cache-Control': 'max-age=10', ETag: etag, 'X-Asked': String(Date.now()) }
      if (request.headers['if-none-match'] === etag) response.writeHead(304, fields).end()
      else response.writeHead(200, fields).end(`version ${version}`)
    }
  }

  test('is fresh again if the service confirms it, also for a client that asks under a condition of its own', async () => {
    const { ask, origin, clock } = await start(validated())
    await ask()
    await clock.advance('11s')
    const confirmed = await ask('/', { 'If-None-Match': '"other"' })
    expect([confirmed.start, confirmed.body]).toEqual(['200 OK 1.1', 'version 1'])
    expect(status(confirmed)).toBe('banyan; fwd=stale; fwd-status=304; stored; ttl=10')
    expect(origin.last.headers['if-none-match']).toBe('"1"')
    await clock.advance('5s')
    expect(status(await ask())).toBe('banyan; hit; ttl=5')
    expect(origin.count).toBe(2)
  })

  test('is replaced if there is a new one', async () => {
    const { ask, clock } = await start(validated())
    await ask()
    await ask('/change')
    await clock.advance('11s')
    expect((await ask()).body).toBe('version 2')
    expect((await ask()).body).toBe('version 2')
  })

  test('is asked for again as a whole if the 304 speaks of another one', async () => {
    let asked = 0
    const { ask, clock } = await start((_request, response) => {
      asked++
      if (asked === 2) response.writeHead(304, { ETag: '"elsewhere"' }).end()
      else response.writeHead(200, { 'Cache-Control': 'max-age=10', ETag: '"a"' }).end(`answer ${asked}`)
    })
    await ask()
    await clock.advance('11s')
    expect((await ask()).body).toBe('answer 3')
  })

  test('is given while one request asks for a new one', async () => {
    const { ask, origin, clock } = await start(
      fresh({ 'Cache-Control': 'max-age=10, stale-while-revalidate=60' }),
    )
    await ask()
    await clock.advance('15s')
    const waiting: ServerResponse[] = []
    const { answer } = origin
    origin.answer = (_request, response) => void waiting.push(response)
    for (let round = 0; round < 3; round++) {
      const stale = await ask()
      expect([stale.body, status(stale)]).toEqual([
        'answer 1',
        'banyan; hit; ttl=-5; detail=stale-while-revalidate',
      ])
    }
    const request = await origin.asked(2)
    answer(request, waiting[0]!)
    let now = await ask()
    while (now.body === 'answer 1') now = await ask()
    expect([now.body, origin.count]).toEqual(['answer 2', 2])
  })

  test('is given if the service fails, for as long as allowed', async () => {
    const { ask, origin, clock } = await start(fresh({ 'Cache-Control': 'max-age=10, stale-if-error=60' }))
    await ask()
    await clock.advance('11s')
    origin.answer = (_request, response) => void response.writeHead(503).end('down')
    const stale = await ask()
    expect([stale.body, status(stale)]).toEqual(['answer 1', 'banyan; hit; ttl=-1; detail=stale-if-error'])
    origin.answer = (_request, response) => void response.socket!.destroy()
    expect((await ask()).body).toBe('answer 1')
    await clock.advance('60s')
    expect(problem(await ask()).status).toBe(502)
  })

  test('is not given if it must be confirmed', async () => {
    const { ask, origin, clock } = await start(
      fresh({ 'Cache-Control': 'max-age=10, must-revalidate, stale-if-error=60' }),
      { staleIfError: '1h', staleWhileRevalidate: '1h' },
    )
    await ask()
    await clock.advance('11s')
    origin.answer = (_request, response) => void response.writeHead(503).end('down')
    expect((await ask()).body).toBe('down')
  })
})

describe('a write', () => {
  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])(
    'by %s makes what is kept of its resource outdated',
    async (method) => {
      const { ask, origin } = await start(fresh())
      await ask('/item')
      await ask('/list')
      expect(origin.count).toBe(2)
      await ask('/item', { 'Content-Length': '0' }, method)
      expect((await ask('/item')).body).toBe('answer 4')
      expect((await ask('/list')).body).toBe('answer 2')
    },
  )

  test('does so for what its answer names of the same host, but nothing of others', async () => {
    const { ask, origin } = await start((request, response) => {
      if (request.method === 'POST')
        response
          .writeHead(201, { Location: request.url === '/evil' ? 'http://other.example/list' : '/list' })
          .end()
      else response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x')
    })
    await ask('/list')
    await ask('/evil', { 'Content-Length': '0' }, 'POST')
    await ask('/list')
    expect(origin.count).toBe(2)
    await ask('/good', { 'Content-Length': '0' }, 'POST')
    await ask('/list')
    expect(origin.count).toBe(4)
  })

  test('that fails changes nothing', async () => {
    const { ask, origin } = await start((request, response) => {
      if (request.method === 'POST') response.writeHead(409).end()
      else response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x')
    })
    await ask()
    await ask('/', { 'Content-Length': '0' }, 'POST')
    await ask()
    expect(origin.count).toBe(2)
  })

  test('while an answer is on its way keeps that from being given to those who come after', async () => {
    const waiting: ServerResponse[] = []
    const { ask, origin, client } = await start((request, response) => {
      response.setHeader('Cache-Control', 'max-age=60')
      if (request.method === 'POST' || origin.count > 2) response.end('new')
      else waiting.push(response)
    })
    const early = ask('/', {}, 'GET', await client())
    await origin.asked(1)
    await ask('/', { 'Content-Length': '0' }, 'POST')
    expect((await ask()).body).toBe('new')
    waiting[0]!.end('old')
    expect((await early).body).toBe('old')
    expect((await ask()).body).toBe('new')
    expect(origin.count).toBe(3)
  })
})

describe('many who want the same', () => {
  async function herd(size: number, answer: Origin['answer'], cache: true | CacheSpec = true) {
    const set = await start(answer, cache)
    const clients = await Promise.all(Array.from({ length: size }, () => set.client()))
    return { ...set, clients, askAll: () => clients.map((client) => set.ask('/', {}, 'GET', client)) }
  }

  test('are one request to the service', async () => {
    const waiting: ServerResponse[] = []
    const { origin, askAll, queued } = await herd(20, (_request, response) => void waiting.push(response))
    const all = askAll()
    await queued(19)
    waiting[0]!.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('for all')
    const answers = await Promise.all(all)
    expect(answers.map(({ body }) => body)).toEqual(Array(20).fill('for all'))
    expect(answers.filter((each) => status(each)!.includes('collapsed'))).toHaveLength(19)
    expect(origin.count).toBe(1)
  })

  test('do not lose their answer if the first of them goes', async () => {
    const waiting: ServerResponse[] = []
    const { origin, clients, ask, queued } = await herd(
      5,
      (_request, response) => void waiting.push(response),
    )
    const [first, ...others] = clients
    first!.send('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    await origin.asked(1)
    const rest = others.map((client) => ask('/', {}, 'GET', client))
    await queued(4)
    first!.destroy()
    await origin.asked(2)
    waiting[1]!.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('for the rest')
    expect((await Promise.all(rest)).map(({ body }) => body)).toEqual(Array(4).fill('for the rest'))
    expect(origin.count).toBe(2)
  })

  test('do not wait for one with credentials, whose answer may be its own', async () => {
    const waiting: ServerResponse[] = []
    const { origin, ask, clients } = await herd(2, (_request, response) => void waiting.push(response))
    const known = ask('/', { Authorization: 'Bearer x' }, 'GET', clients[0])
    await origin.asked(1)
    const other = ask('/', {}, 'GET', clients[1])
    await origin.asked(2)
    waiting[1]!.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('for all')
    expect((await other).body).toBe('for all')
    waiting[0]!.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('for one')
    expect((await known).body).toBe('for one')
    expect((await ask()).body).toBe('for all')
  })

  test('ask for themselves if the answer is for one only', async () => {
    let release: (() => void) | undefined
    const { origin, askAll } = await herd(5, (request, response) => {
      const answer = (): void =>
        void response.writeHead(200, { 'Cache-Control': 'private' }).end(`for ${request.socket.remotePort}`)
      if (release) answer()
      else release = answer
    })
    const all = askAll()
    await origin.asked(1)
    release!()
    const bodies = (await Promise.all(all)).map(({ body }) => body)
    expect(bodies).toHaveLength(5)
    expect(origin.count).toBe(5)
  })

  test('are told together that the service has failed', async () => {
    const waiting: ServerResponse[] = []
    const { origin, askAll, queued } = await herd(10, (_request, response) => void waiting.push(response))
    const all = askAll()
    await queued(9)
    waiting[0]!.socket!.resetAndDestroy()
    for (const answer of await Promise.all(all)) expect(problem(answer).status).toBe(502)
    expect(origin.count).toBe(1)
  })

  test('wait for each other for a time only', async () => {
    const waiting: ServerResponse[] = []
    const { origin, askAll, clock } = await herd(3, (_request, response) => void waiting.push(response), {
      waitFor: '1s',
    })
    const all = askAll()
    await origin.asked(1)
    while (origin.count < 3) await clock.advance('100ms')
    for (const response of waiting) response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('own')
    expect((await Promise.all(all)).map(({ body }) => body)).toEqual(['own', 'own', 'own'])
  })

  test('do not wait for a slow reader among them', async () => {
    const body = 'x'.repeat(900_000)
    const { origin, client, ask } = await start((_request, response) =>
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(body),
    )
    const slow = await client()
    slow.socket.pause()
    slow.send('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    await origin.asked(1)
    expect((await ask()).body.length).toBe(body.length)
    expect(origin.count).toBe(1)
  })
})

describe('with compression', () => {
  test('one answer without a coding is kept, and compressed for whoever takes it', async () => {
    const text = 'all work and no play '.repeat(500)
    const { ask, origin } = await start(
      (_request, response) =>
        response
          .writeHead(200, {
            'Cache-Control': 'max-age=60',
            'Content-Type': 'text/plain',
            Vary: 'Accept-Encoding',
            ETag: '"a"',
          })
          .end(text),
      true,
      { compress: true },
    )
    expect(
      gunzipSync(Buffer.from((await ask('/', { 'Accept-Encoding': 'gzip' })).body, 'latin1')).toString(),
    ).toBe(text)
    expect(origin.last.headers['accept-encoding']).toBeUndefined()
    expect((await ask()).body).toBe(text)
    const br = await ask('/', { 'Accept-Encoding': 'br' })
    expect([field(br, 'content-encoding'), field(br, 'vary')]).toEqual(['br', 'Accept-Encoding'])
    const unchanged = await ask('/', { 'Accept-Encoding': 'br', 'If-None-Match': 'W/"a"' })
    expect([unchanged.start, field(unchanged, 'etag')]).toEqual(['304 Not Modified 1.1', 'W/"a"'])
    expect(origin.count).toBe(1)
  })
})
