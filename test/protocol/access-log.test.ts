import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { constants } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { AccessLog } from '../../src/node/access-log/access-log.js'
import type { AccessLogSpec } from '../../src/node/access-log/spec.js'
import { seededRandom } from '../../src/core/random.js'
import type { GatewaySpec } from '../../src/traffic/gateway/index.js'
import { closeAll, get, ok, open, setUp } from '../support/gateway.js'
import { Http2Client } from '../support/http2-client.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-access-'))
})
afterEach(async () => {
  await closeAll()
  rmSync(folder, { recursive: true })
})

async function logged(spec: AccessLogSpec = {}, gateway: Partial<GatewaySpec> & { service?: object } = {}) {
  const output = join(folder, 'access.log')
  const runtime = { ...systemRuntime, random: seededRandom(1) }
  const log = await AccessLog.open({ output, ...spec }, runtime, () => undefined)
  const seen: (() => void)[] = []
  let count = 0
  const onReport: typeof log.report = (report) => {
    log.report(report)
    count++
    for (const look of seen) look()
  }
  const reported = async (wanted: number): Promise<void> => {
    while (count < wanted) await new Promise<void>((resolve) => seen.push(resolve))
  }
  const running = await setUp(gateway, { runtime, onReport })
  /** The lines, once that many requests are over. */
  const lines = async (wanted: number): Promise<Record<string, unknown>[]> => {
    await reported(wanted)
    await log.close()
    const text = readFileSync(output, 'utf8')
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  const exchange = async (request: string, answer: string): Promise<void> => {
    const client = await running.client()
    client.send(request)
    const peer = await running.upstream.peer()
    await peer.request()
    peer.reply(answer)
    await client.responses(1)
    client.destroy()
    peer.socket.destroy()
  }
  return { ...running, lines, exchange }
}

describe('a line', () => {
  test('tells of a request what there is to tell', async () => {
    const { exchange, lines, upstream } = await logged(
      { headers: ['X-Tenant', 'Authorization', 'X-Absent'] },
      { routes: { orders: { match: { path: '/orders/:id' }, to: 's', requestId: true } } },
    )
    const trace = '0af7651916cd43dd8448eb211c80319c'
    await exchange(
      `POST /orders/7?user=anna&page=2 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nUser-Agent: test/1\r\n` +
        `X-Tenant: blue\r\nAuthorization: Bearer secret\r\ntraceparent: 00-${trace}-b7ad6b7169203331-01\r\n\r\nhello`,
      'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    )
    const [line] = await lines(1)
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      requestId: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      traceId: trace,
      client: '127.0.0.1',
      method: 'POST',
      host: 'shop.example',
      path: '/orders/7',
      query: 'user=***&page=***',
      protocol: 'HTTP/1.1',
      route: 'orders',
      service: 's',
      endpoint: upstream.url,
      tries: 1,
      status: 201,
      bytesIn: 5,
      bytesOut: 5,
      duration: expect.any(Number) as number,
      firstByte: expect.any(Number) as number,
      userAgent: 'test/1',
      headers: { 'x-tenant': 'blue', authorization: '***' },
    })
    expect(line!['duration']).toBeGreaterThanOrEqual(line!['firstByte'] as number)
  })

  test('is written when the answer is complete, not when it began', async () => {
    const { client, upstream, lines } = await logged()
    const asking = await client()
    asking.send(get('/'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
    await asking.until((text) => text.endsWith('abc'))
    const other = await client()
    other.send('GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\n\r\n')
    const second = await upstream.peer()
    await second.request()
    second.reply(ok('other'))
    await other.responses(1)
    peer.reply('def')
    await asking.responses(1)
    expect((await lines(2)).map((line) => line['bytesOut'])).toEqual([5, 6])
  })

  test('of a request that was refused names the problem', async () => {
    const { client, lines } = await logged({}, { routes: { a: { match: { path: '/a' }, to: 's' } } })
    const asking = await client()
    await asking.ask(get('/b'))
    expect(await lines(1)).toMatchObject([{ status: 404, problem: 'no-route', tries: 0 }])
  })

  test('of a client that went before its answer says 499', async () => {
    const { client, upstream, lines } = await logged()
    const asking = await client()
    asking.send(get('/'))
    await (await upstream.peer()).request()
    asking.destroy()
    expect(await lines(1)).toMatchObject([
      { status: 499, aborted: true, error: 'client_aborted', bytesOut: 0 },
    ])
  })

  test('of a client that went in the middle of its answer has the status it was sent', async () => {
    const { client, upstream, lines } = await logged()
    const asking = await client()
    asking.send(get('/'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    await asking.until((text) => text.endsWith('abc'))
    asking.destroy()
    expect(await lines(1)).toMatchObject([{ status: 200, aborted: true, bytesOut: 3 }])
  })

  test('of an answer that broke off says so', async () => {
    const { client, upstream, lines } = await logged()
    const asking = await client()
    asking.send(get('/'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    await asking.until((text) => text.endsWith('abc'))
    peer.socket.destroy()
    await asking.closed()
    const [line] = await lines(1)
    expect(line).toMatchObject({ status: 200, error: 'BANYAN_UPSTREAM_RESET', bytesOut: 3 })
    expect(line).not.toHaveProperty('aborted')
  })

  test('of a connection that switched protocols comes when that closes, with its bytes', async () => {
    const { client, upstream, lines } = await logged()
    const asking = await client()
    asking.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello')
    await asking.until((text) => text.endsWith('hello'))
    asking.destroy()
    expect(await lines(1)).toMatchObject([{ status: 101 }])
  })

  test('cannot be forged: whatever a client sends stays inside of its string', async () => {
    const { exchange, lines } = await logged({ fields: ['userAgent', 'path'] })
    await exchange(get('/%0a%22,%22status%22:200', 'User-Agent: a","status":200,"x":"\xff\x80\r\n'), ok(''))
    expect(await lines(1)).toEqual([
      { path: '/%0a%22,%22status%22:200', userAgent: 'a","status":200,"x":"\xff\x80' },
    ])
  })
})

describe('options', () => {
  test('`fields` says which there are', async () => {
    const { exchange, lines } = await logged({ fields: ['status', 'method'] })
    await exchange(get('/'), ok(''))
    expect(await lines(1)).toEqual([{ method: 'GET', status: 200 }])
  })

  test('`sample` logs a share, and every 5xx', async () => {
    const { client, lines } = await logged(
      { sample: 0, fields: ['status'] },
      { routes: { a: { match: { path: '/a' }, to: 's' } }, service: { endpoints: ['http://127.0.0.1:1'] } },
    )
    const asking = await client()
    await asking.ask(get('/none'))
    await asking.ask(get('/a'))
    expect(await lines(2)).toEqual([{ status: 502 }])
  })

  test('`parameters` and `redact` say what of a query is written', async () => {
    const { exchange, lines } = await logged({ parameters: '*', redact: ['user'], fields: ['query'] })
    await exchange(get('/?user=anna&page=2&token=t'), ok(''))
    expect(await lines(1)).toEqual([{ query: 'user=***&page=2&token=***' }])
  })
})

describe('in HTTP/2', () => {
  async function overHttp2() {
    const running = await logged()
    const { port } = await running.gateway.listen(0, '127.0.0.1', { h2c: true })
    const client = await Http2Client.open(`http://127.0.0.1:${port}`)
    open.push(client)
    return { ...running, h2: client }
  }

  test('a line says the same', async () => {
    const { h2, upstream, lines } = await overHttp2()
    const answer = h2.ask({ ':path': '/a?b=c' }, 'hello')
    const peer = await upstream.peer()
    await peer.until((text) => text.endsWith('hello') || text.includes('hello\r\n'))
    peer.reply(ok('fine'))
    await answer
    expect(await lines(1)).toMatchObject([
      {
        protocol: 'HTTP/2',
        method: 'POST',
        path: '/a',
        query: 'b=***',
        status: 200,
        bytesIn: 5,
        bytesOut: 4,
      },
    ])
  })

  test('a stream that the client resets before its answer is 499', async () => {
    const { h2, upstream, lines } = await overHttp2()
    const stream = h2.request({ ':path': '/a' })
    await (await upstream.peer()).request()
    stream.close(constants.NGHTTP2_CANCEL)
    expect(await lines(1)).toMatchObject([{ protocol: 'HTTP/2', status: 499, aborted: true, bytesOut: 0 }])
  })

  test('and one in the middle of its answer has the status it was sent', async () => {
    const { h2, upstream, lines } = await overHttp2()
    const stream = h2.request({ ':path': '/a' })
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    await new Promise((resolve) => stream.once('data', resolve))
    stream.close(constants.NGHTTP2_CANCEL)
    expect(await lines(1)).toMatchObject([{ status: 200, aborted: true, bytesOut: 3 }])
  })
})
