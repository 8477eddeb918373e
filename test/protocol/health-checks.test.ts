import { createServer as createHttp2, type Http2Server, type IncomingHttpHeaders } from 'node:http2'
import { createServer, type Server } from 'node:http'
import { createServer as createTcp, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import { systemRandom } from '../../src/core/random.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { grpcProbe } from '../../src/traffic/health/probes/grpc.js'
import { httpProbe } from '../../src/traffic/health/probes/http.js'
import { tcpProbe } from '../../src/traffic/health/probes/tcp.js'
import type { Probe } from '../../src/traffic/health/health-check.js'
import { Pool } from '../../src/traffic/http/pool.js'
import { Sweeper } from '../../src/traffic/http/sweeper.js'
import { Connector } from '../../src/traffic/http/upstream/connector.js'
import { closeAll, open } from '../support/gateway.js'
import { RawUpstream } from '../support/raw.js'

afterEach(closeAll)

const ask = (probe: Probe): Promise<void> => probe(() => undefined)

async function listen(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => server.close() })
  return (server.address() as AddressInfo).port
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createTcp()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('a check by HTTP', () => {
  function http(port: number, expected: [number, number][] = [[200, 299]]): Probe {
    const sweeper = new Sweeper(systemClock)
    const openPool = (): Pool =>
      new Pool({
        address: { host: '127.0.0.1', port, tls: false },
        protocol: 'http1',
        tls: undefined,
        label: 'e',
        attributes: {},
        runtime: { clock: systemClock, random: systemRandom, telemetry: noTelemetry },
        sweeper,
        maxConnections: 1,
        maxPending: 1,
        maxConnectionAge: Infinity,
        maxRequests: Infinity,
        connectTimeout: 1_000,
        idleTimeout: 1_000,
        maxIdle: 1_000,
      })
    return httpProbe(openPool, { path: '/healthz?deep', host: 'shop.example', expected })
  }

  test('asks for its path and Host on a connection of its own, and passes on an expected status', async () => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const passed = ask(http(upstream.port))
    const peer = await upstream.peer()
    expect(await peer.request()).toMatch(/^GET \/healthz\?deep HTTP\/1\.1\r\nHost: shop\.example\r\n/)
    peer.reply('HTTP/1.1 204 No Content\r\n\r\n')
    await passed
    await peer.end()
    expect(peer.closed).toBe(true)
  })

  test('fails on another status, and says which', async () => {
    const port = await listen(createServer((_, response) => response.writeHead(500).end('oh')))
    await expect(ask(http(port))).rejects.toThrow('answered 500, not 200-299')
    await ask(http(port, [[500, 500]]))
  })

  test('fails where nobody listens', async () => {
    await expect(ask(http(await freePort()))).rejects.toThrow('ECONNREFUSED')
  })

  test('fails where the answer is no HTTP', async () => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const asked = ask(http(upstream.port))
    ;(await upstream.peer()).reply('220 smtp.example ready\r\n')
    await expect(asked).rejects.toThrow()
  })

  test('that is given up closes its connection', async () => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const cancels: (() => void)[] = []
    const asked = http(upstream.port)((cancel) => cancels.push(cancel)).catch(() => undefined)
    const peer = await upstream.peer()
    await peer.request()
    for (const cancel of cancels) cancel()
    await peer.end()
    expect(peer.closed).toBe(true)
    // Nobody waits for it any more; it may settle or not.
    void asked
  })

  test('is content with the beginning of an answer without end', async () => {
    const port = await listen(
      createServer((_, response) => {
        const more = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(16_384), more)
        }
        more()
      }),
    )
    await ask(http(port))
  })
})

describe('a check by TCP', () => {
  test('passes where a connection is accepted, and closes it', async () => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    await ask(tcpProbe('127.0.0.1', upstream.port))
    const peer = await upstream.peer()
    await peer.end()
    expect(peer.text).toBe('')
  })

  test('fails where it is refused', async () => {
    await expect(ask(tcpProbe('127.0.0.1', await freePort()))).rejects.toThrow('ECONNREFUSED')
  })
})

describe('a check by gRPC', () => {
  /** A gRPC health service as the protocol describes it, in bytes. */
  async function health(
    answer: { body?: number[]; status?: string; message?: string; http?: number },
    seen: { headers?: IncomingHttpHeaders; question?: Buffer } = {},
  ): Promise<Probe> {
    const server = createHttp2()
    server.on('stream', (stream, headers) => {
      seen.headers = headers
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        seen.question = Buffer.concat(chunks)
        const { body, status = '0', message, http = 200 } = answer
        stream.respond({ ':status': http, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () =>
          stream.sendTrailers({ 'grpc-status': status, ...(message ? { 'grpc-message': message } : {}) }),
        )
        stream.end(body && Buffer.from([0, 0, 0, 0, body.length, ...body]))
      })
    })
    const port = await listen(server)
    const connector = new Connector({ host: '127.0.0.1', port, tls: false }, 'e', 'http2', undefined)
    return grpcProbe(connector, 'shop.example:50051', 'shop.Orders')
  }

  test('asks Health/Check for its service, and passes on SERVING', async () => {
    const seen: { headers?: IncomingHttpHeaders; question?: Buffer } = {}
    await ask(await health({ body: [0x08, 1] }, seen))
    expect(seen.headers).toMatchObject({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      ':authority': 'shop.example:50051',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    // A message of 13 bytes: field 1, a text of 11 bytes.
    expect(seen.question!.toString('latin1')).toBe('\0\0\0\0\x0d\x0a\x0bshop.Orders')
  })

  test.each([
    [{ body: [0x08, 2] }, 'is NOT_SERVING'],
    [{ body: [0x08, 3] }, 'is SERVICE_UNKNOWN'],
    [{ body: [] }, 'is UNKNOWN'],
    [{ status: '5', message: 'unknown%20service' }, 'answered with gRPC status 5: unknown service'],
    [{ status: '12' }, 'answered with gRPC status 12'],
    [{ http: 404 }, 'answered 404, not with gRPC'],
    [{}, 'answered without a message'],
  ])('fails on %j', async (answer, message) => {
    await expect(ask(await health(answer))).rejects.toThrow(message)
  })

  test('fails where nobody speaks HTTP/2', async () => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const connector = new Connector(
      { host: '127.0.0.1', port: upstream.port, tls: false },
      'e',
      'http2',
      undefined,
    )
    const asked = ask(grpcProbe(connector, 'a', ''))
    ;(await upstream.peer()).reply('HTTP/1.1 400 Bad Request\r\n\r\n')
    await expect(asked).rejects.toThrow()
  })

  test('fails where nobody listens', async () => {
    const connector = new Connector(
      { host: '127.0.0.1', port: await freePort(), tls: false },
      'e',
      'http2',
      undefined,
    )
    await expect(ask(grpcProbe(connector, 'a', ''))).rejects.toThrow('ECONNREFUSED')
  })
})
