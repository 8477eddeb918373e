import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { Gateway, type GatewayOptions, type ServiceSpec } from '../../src/traffic/gateway/index.js'
import { TestAuthority, type TestCertificate } from '../support/certificates.js'
import { closeAll, open } from '../support/gateway.js'
import { Http2Upstream } from '../support/http2-upstream.js'

let authority: TestAuthority
let stranger: TestAuthority
/** For the address, and for a name. */
let local: TestCertificate
let named: TestCertificate
let ours: TestCertificate

beforeAll(() => {
  authority = new TestAuthority()
  stranger = new TestAuthority('Stranger')
  local = authority.issue({ names: ['IP:127.0.0.1'] })
  named = authority.issue({ names: ['DNS:orders.internal'] })
  ours = authority.issue({ names: ['DNS:gateway.internal'] })
})

afterEach(closeAll)

const files = ({ cert, key }: TestCertificate) => ({ cert: readFileSync(cert), key: readFileSync(key) })

/** An endpoint with TLS that says who it thinks we are. */
async function openUpstream(options: ServerOptions) {
  // The last connection, as requests come one after another.
  let socket: TLSSocket
  const server: Server = createServer(options, (request, response) => {
    const names = socket.getPeerCertificate().subjectaltname ?? 'nobody'
    response.setHeader('Connection', request.headers['x-close'] ? 'close' : 'keep-alive')
    response.end(JSON.stringify({ names, asked: socket.servername, resumed: socket.isSessionReused() }))
  })
  server.on('secureConnection', (secured) => (socket = secured))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => server.close().closeAllConnections() })
  return { server, url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function gatewayTo(url: string, service: Partial<ServiceSpec>, options: GatewayOptions = {}) {
  const gateway = await Gateway.open(
    { services: { s: { endpoints: [url], ...service } }, routes: { all: { match: {}, to: 's' } } },
    options,
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const ask = async (headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const connections = () => gateway.state().services['s']!.endpoints[0]!.connections
  return { ask, connections, port }
}

describe('an endpoint’s certificate', () => {
  test('is taken from the named authority, for the host of the URL', async () => {
    const { url } = await openUpstream(files(local))
    const { ask } = await gatewayTo(url, { tls: { ca: authority.cert } })
    expect(await ask()).toMatchObject({ status: 200, body: { names: 'nobody' } })
  })

  test('of somebody else’s authority is refused, and so is one of nobody’s', async () => {
    const { url } = await openUpstream(files(local))
    for (const tls of [{ ca: stranger.cert }, undefined]) {
      const { ask, connections } = await gatewayTo(url, tls ? { tls } : {})
      const { status, body } = await ask()
      expect([status, body['type']]).toEqual([502, 'urn:banyan:problem:upstream-connect'])
      expect(JSON.stringify(body)).not.toContain('certificate')
      expect(connections().lastError).toMatch(/certificate/)
    }
  })

  test('for another name is refused', async () => {
    const { url } = await openUpstream(files(named))
    const { ask, connections } = await gatewayTo(url, { tls: { ca: authority.cert } })
    expect((await ask()).status).toBe(502)
    expect(connections().lastError).toContain("IP: 127.0.0.1 is not in the cert's list")
  })

  test('is asked for and checked by the given name', async () => {
    const { url } = await openUpstream(files(named))
    const { ask } = await gatewayTo(url, { tls: { ca: authority.cert, serverName: 'orders.internal' } })
    expect(await ask()).toMatchObject({ status: 200, body: { asked: 'orders.internal' } })
    const other = await gatewayTo(url, { tls: { ca: authority.cert, serverName: 'users.internal' } })
    expect((await other.ask()).status).toBe(502)
  })

  test('is not looked at where that is asked for', async () => {
    const { url } = await openUpstream(files(named))
    const { ask } = await gatewayTo(url, { tls: { verify: false } })
    expect((await ask()).status).toBe(200)
  })
})

describe('our certificate', () => {
  const asking = () => ({ ...files(local), ca: authority.pem, requestCert: true, rejectUnauthorized: true })

  test('is shown to endpoints that ask', async () => {
    const { url } = await openUpstream(asking())
    const { ask } = await gatewayTo(url, { tls: { ca: authority.cert, ...ours } })
    expect(await ask()).toMatchObject({ status: 200, body: { names: 'DNS:gateway.internal' } })
  })

  test('is missed by endpoints that need one', async () => {
    const { url } = await openUpstream(asking())
    const { ask } = await gatewayTo(url, { tls: { ca: authority.cert } })
    expect((await ask()).status).toBe(502)
  })

  test('follows its files on new connections; files that cannot be used change nothing', async () => {
    const { url } = await openUpstream(asking())
    const cert = `${ours.cert}.live`
    const key = `${ours.key}.live`
    copyFileSync(ours.cert, cert)
    copyFileSync(ours.key, key)
    const logged: string[] = []
    const telemetry = { ...noTelemetry, log: (_level: string, message: string) => void logged.push(message) }
    const { ask } = await gatewayTo(
      url,
      { tls: { ca: authority.cert, cert, key } },
      { runtime: { ...systemRuntime, telemetry } },
    )
    const names = async () => (await ask({ 'x-close': '1' })).body['names']
    expect(await names()).toBe('DNS:gateway.internal')
    const renewed = authority.issue({ names: ['DNS:renewed.internal'] })
    copyFileSync(renewed.cert, cert)
    // Half of the change: certificate and key do not belong together.
    expect(await names()).toBe('DNS:gateway.internal')
    expect(logged).toEqual(['changed certificates cannot be used; those before stay in use'])
    copyFileSync(renewed.key, key)
    expect(await names()).toBe('DNS:renewed.internal')
    writeFileSync(key, 'gone')
    expect(await names()).toBe('DNS:renewed.internal')
  })
})

describe('a second connection', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes the session of the first, with %s', async (version) => {
    const { url } = await openUpstream({ ...files(local), maxVersion: version })
    const { ask } = await gatewayTo(url, { tls: { ca: authority.cert } })
    expect((await ask({ 'x-close': '1' })).body['resumed']).toBe(false)
    expect((await ask({ 'x-close': '1' })).body['resumed']).toBe(true)
  })
})

describe('what is spoken', () => {
  const answering = async (tls: ServerOptions & { allowHTTP1?: boolean }) => {
    const upstream = await Http2Upstream.open({ tls })
    open.push(upstream)
    upstream.answerAll(({ stream }) => {
      stream.respond({ 'content-type': 'application/json' })
      stream.end('{}')
    })
    return upstream
  }

  test('is HTTP/2 with `auto` where the endpoint offers it', async () => {
    const upstream = await answering({ ...files(local), allowHTTP1: true })
    const { ask } = await gatewayTo(upstream.url, { protocol: 'auto', tls: { ca: authority.cert } })
    expect([(await ask()).status, upstream.sessions.length]).toEqual([200, 1])
  })

  test('is HTTP/1.1 with `auto` where it does not', async () => {
    const { url } = await openUpstream(files(local))
    const { ask } = await gatewayTo(url, { protocol: 'auto', tls: { ca: authority.cert } })
    expect((await ask()).status).toBe(200)
  })

  test('is HTTP/1.1 by default, whatever the endpoint offers', async () => {
    const upstream = await answering({ ...files(local), allowHTTP1: false })
    const { ask } = await gatewayTo(upstream.url, { tls: { ca: authority.cert } })
    expect((await ask()).status).toBe(502)
    expect(upstream.sessions.length).toBe(0)
  })

  test('must be offered where HTTP/2 is asked for', async () => {
    const { url } = await openUpstream(files(local))
    const { ask, connections } = await gatewayTo(url, { protocol: 'http2', tls: { ca: authority.cert } })
    expect((await ask()).status).toBe(502)
    expect(connections().lastError).toMatch(/does not offer HTTP\/2|no application protocol/)
  })

  test('a burst on an `auto` endpoint opens no more connections than HTTP/2 needs', async () => {
    const upstream = await answering({ ...files(local) })
    const { ask } = await gatewayTo(upstream.url, { protocol: 'auto', tls: { ca: authority.cert } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(upstream.sessions.length).toBe(1)
  })
})
