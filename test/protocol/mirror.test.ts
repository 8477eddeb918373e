import type { IncomingMessage } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { noTelemetry, type Attributes } from '../../src/core/telemetry.js'
import { virtualRuntime } from '../../src/testing/index.js'
import type { MirrorSpec } from '../../src/traffic/gateway/filters/mirror/spec.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { Origin } from '../support/origin.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

const echo: Origin['answer'] = (request, response) => {
  request.pipe(response)
}

async function start(mirror: Partial<MirrorSpec> = {}) {
  const results: Attributes[] = []
  const changed: (() => void)[] = []
  const runtime = virtualRuntime({
    telemetry: {
      ...noTelemetry,
      counter: (name) => ({
        add(_amount, attributes = {}) {
          if (name !== 'banyan.mirror.requests') return
          results.push(attributes)
          for (const resolve of changed.splice(0)) resolve()
        },
      }),
    },
  })
  const live = await Origin.open(echo)
  const shadow = await Origin.open((request, response) => {
    request.resume()
    response.writeHead(418).end('nobody reads this')
  })
  const gateway = await Gateway.open(
    {
      services: { live: { endpoints: [live.url] }, shadow: { endpoints: [shadow.url] } },
      routes: { all: { match: {}, to: 'live', mirror: { service: 'shadow', ...mirror } } },
    },
    { runtime },
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = async (): Promise<RawClient> => {
    const each = await RawClient.open(port)
    open.push({ close: () => each.destroy() })
    return each
  }
  /** What became of the next copies. */
  const outcomes = async (count: number): Promise<unknown[]> => {
    while (results.length < count) await new Promise<void>((resolve) => changed.push(resolve))
    return results.map((each) => each['banyan.mirror.result'])
  }
  return { live, shadow, client, c: await client(), outcomes, clock: runtime.clock, results }
}

const post = (body: string, more = ''): string =>
  `POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string
  return text
}

describe('a copy', () => {
  test('is the same request, marked, and its answer reaches nobody', async () => {
    const { shadow, c, outcomes, results } = await start()
    const answer = await c.ask(get('/a?b=c', 'X-Kept: yes\r\nAuthorization: Bearer x\r\n'))
    expect(answer.start).toBe('200 OK 1.1')
    const copy = await shadow.asked(1)
    expect(copy.url).toBe('/a?b=c')
    expect(copy.headers).toMatchObject({
      host: 'shop.example',
      'x-kept': 'yes',
      'x-shadow': 'true',
      authorization: 'Bearer x',
      'x-forwarded-for': '127.0.0.1',
    })
    expect(await outcomes(1)).toEqual(['answered'])
    expect(results[0]).toMatchObject({ 'http.response.status_code': 418 })
  })

  test('carries other credentials if it is to', async () => {
    const { shadow, c } = await start({
      headers: { set: { Authorization: 'Bearer sandbox' }, remove: ['Cookie'] },
    })
    await c.ask(get('/', 'Authorization: Bearer x\r\nCookie: a=b\r\n'))
    const { headers } = await shadow.asked(1)
    expect([headers.authorization, headers.cookie]).toEqual(['Bearer sandbox', undefined])
  })

  test('carries the body', async () => {
    const { live, shadow, c } = await start({ methods: ['POST'] })
    shadow.answer = () => undefined
    live.answer = echo
    expect((await c.ask(post('whole'), 'POST')).body).toBe('whole')
    expect(await textOf(await shadow.asked(1))).toBe('whole')
    c.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
    await live.asked(2)
    c.send('3\r\ndef\r\n0\r\n\r\n')
    expect((await c.responses(1))[0]!.body).toBe('abcdef')
    expect(await textOf(await shadow.asked(2))).toBe('abcdef')
  })

  test('is not made of a write, unless that is said', async () => {
    const { shadow, c, outcomes } = await start()
    await c.ask(post('x'), 'POST')
    await c.ask(get())
    await outcomes(1)
    expect(shadow.requests.map(({ method }) => method)).toEqual(['GET'])
  })

  test('is not made of a body that is too long, which passes all the same', async () => {
    const { shadow, c, outcomes } = await start({ methods: ['POST'], maxBody: 10 })
    expect((await c.ask(post('x'.repeat(11)), 'POST')).body.length).toBe(11)
    c.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n')
    c.send('6\r\nabcdef\r\n0\r\n\r\n')
    expect((await c.responses(1))[0]!.body.length).toBe(12)
    expect(await outcomes(2)).toEqual(['skipped', 'skipped'])
    expect(shadow.count).toBe(0)
  })

  test('is made of a share of the requests', async () => {
    const { c, outcomes, shadow, results } = await start({ share: 0.25 })
    for (let index = 0; index < 100; index++) await c.ask(get())
    await outcomes(15)
    // The last ones may still be under way.
    while (shadow.count > results.length) await new Promise(setImmediate)
    expect(shadow.count).toBeGreaterThan(14)
    expect(shadow.count).toBeLessThan(36)
  })

  test('is not made of a copy', async () => {
    const { shadow, live, c } = await start()
    await c.ask(get('/', 'X-Shadow: true\r\n'))
    expect([live.count, shadow.count]).toEqual([1, 0])
  })
})

describe('the live call', () => {
  test('neither waits for a copy nor hears of it, and copies do not pile up', async () => {
    const { shadow, c, outcomes, clock } = await start({ concurrency: 2, timeout: '1s' })
    shadow.answer = () => undefined
    for (let index = 0; index < 5; index++) expect((await c.ask(get())).start).toBe('200 OK 1.1')
    await shadow.asked(2)
    expect(await outcomes(3)).toEqual(['dropped', 'dropped', 'dropped'])
    await clock.advance('1s')
    expect((await outcomes(5)).slice(3)).toEqual(['failed', 'failed'])
    shadow.answer = (_request, response) => response.end()
    await c.ask(get())
    expect((await outcomes(6))[5]).toBe('answered')
  })

  test('succeeds whatever the other service does', async () => {
    const { shadow, c, outcomes } = await start()
    shadow.answer = (_request, response) => response.socket!.destroy()
    expect((await c.ask(get())).start).toBe('200 OK 1.1')
    expect(await outcomes(1)).toEqual(['failed'])
  })

  test('that fails is copied all the same, and leaves nothing behind if its body never comes', async () => {
    const { live, client, c, outcomes } = await start({ methods: ['POST'], concurrency: 1 })
    const leaving = await client()
    leaving.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    await live.asked(1)
    leaving.destroy()
    expect(await outcomes(1)).toEqual(['skipped'])
    live.answer = (_request, response) => response.socket!.destroy()
    expect(problem(await c.ask(post('x'), 'POST')).status).toBe(502)
    expect((await outcomes(2))[1]).toBe('answered')
    expect(field(await c.ask(get()), 'content-type')).toBe('application/problem+json')
  })
})
