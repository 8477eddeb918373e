import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { constants } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { ensure } from '../../scripts/engines.mjs'
import { Gateway, type RouteSpec } from '../../src/traffic/gateway/index.js'
import { TestAuthority } from '../support/certificates.js'
import { closeAll, open } from '../support/gateway.js'
import { answerOf, codeOf, Http2Client } from '../support/http2-client.js'
import { RawUpstream } from '../support/raw.js'

afterEach(closeAll)

const run = promisify(execFile)
const authority = new TestAuthority()
const shop = authority.issue({ names: ['DNS:shop.example', 'DNS:localhost'] })
const person = authority.issue({ subject: '/CN=ann', names: ['email:ann@shop.example'] })

/** A gateway with TLS and without, in front of a service that says what it got, and that speaks WebSocket. */
async function setUp(route: Partial<RouteSpec> = {}) {
  const server = createServer((incoming: IncomingMessage, outgoing) => {
    const hash = createHash('sha256')
    incoming.on('data', (data: Buffer) => hash.update(data))
    incoming.on('end', () => {
      outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.headers, body: hash.digest('hex') }))
    })
  })
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => [...offered][0] ?? false })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  const gateway = await Gateway.open({
    services: { s: { endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } },
    routes: { all: { match: {}, to: 's', ...route } },
  })
  open.push(gateway)
  const secure = await gateway.listen(0, '127.0.0.1', {
    tls: {
      certificates: [shop],
      clients: { ca: authority.cert, mode: 'request', forward: { subject: 'X-Who' } },
    },
  })
  const plain = await gateway.listen(0, '127.0.0.1', { h2c: true })
  return {
    gateway,
    sockets,
    secure: `https://localhost:${secure.port}`,
    plain: `http://localhost:${plain.port}`,
  }
}

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await run(ensure('curl'), [
    '-sS',
    '--max-time',
    '10',
    '--cacert',
    authority.cert,
    ...args,
  ])
  return stdout
}

interface Echo {
  url: string
  headers: Record<string, string>
  body: string
}

describe('curl', () => {
  test.each([
    ['--http2', 'secure', '2'],
    ['--http1.1', 'secure', '1.1'],
    ['--http2-prior-knowledge', 'plain', '2'],
    ['--http1.1', 'plain', '1.1'],
  ] as const)('with %s (%s) speaks HTTP/%s', async (option, where, version) => {
    const base = (await setUp())[where]
    const format = ['-o', '/dev/null', '-w', '%{http_code} %{http_version}']
    expect(await curl(option, ...format, `${base}/a`)).toBe(`200 ${version}`)
  })

  test('offers HTTP/2 without TLS by an upgrade in vain, and is served in HTTP/1.1', async () => {
    const { plain } = await setUp()
    const format = ['-o', '/dev/null', '-w', '%{http_code} %{http_version}']
    expect(await curl('--http2', ...format, plain)).toBe('200 1.1')
  })

  test.each(['--http2', '--http1.1'])('with %s sends a large body, and who it is', async (option) => {
    const { secure } = await setUp()
    const data = Buffer.alloc(3_000_000, 'x')
    const child = run(ensure('curl'), ['-sS', '--max-time', '20', '--cacert', authority.cert, option, '--cert', person.cert, '--key', person.key, '--data-binary', '@-', `${secure}/upload`]) // prettier-ignore
    child.child.stdin!.end(data)
    const echo = JSON.parse((await child).stdout) as Echo
    expect(echo.body).toBe(createHash('sha256').update(data).digest('hex'))
    expect(echo.headers['x-who']).toBe('CN=ann')
    expect(echo.headers['client-cert']).toMatch(/^:MI.*:$/)
  })
})

test('h2load gets all its answers, over many streams and connections', async () => {
  const { secure } = await setUp()
  const { stdout } = await run(ensure('h2load'), ['-n', '1000', '-c', '5', '-m', '20', `${secure}/`])
  expect(stdout).toContain('Application protocol: h2')
  expect(stdout).toMatch(/1000 succeeded, 0 failed, 0 errored, 0 timeout/)
})

describe('WebSocket', () => {
  test('passes over TLS in HTTP/1.1', async () => {
    const { secure } = await setUp()
    const socket = new WebSocket(secure.replace('https', 'wss'), ['chat'], { ca: authority.pem })
    open.push({ close: () => socket.terminate() })
    const echoed = new Promise((resolve) =>
      socket.once('message', (data: Buffer) => resolve(data.toString())),
    )
    await new Promise((resolve) => socket.once('open', resolve))
    expect(socket.protocol).toBe('chat')
    socket.send('hello')
    expect(await echoed).toBe('hello')
  })

  test('passes over HTTP/2 by extended CONNECT (RFC 8441), beside other requests', async () => {
    const { secure } = await setUp()
    const client = await Http2Client.open(secure, { ca: authority.pem })
    open.push(client)
    const stream = client.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
    })
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    expect(headers['sec-websocket-accept']).toBeUndefined()
    // A masked text frame, `hi`, and its echo without a mask.
    stream.write(Buffer.from([0x81, 0x82, 1, 2, 3, 4, 0x68 ^ 1, 0x69 ^ 2]))
    const echo = await new Promise<Buffer>((resolve) => stream.once('data', resolve))
    expect([...echo]).toEqual([0x81, 2, 0x68, 0x69])
    expect((await client.ask()).status).toBe(200)
    // A masked close frame: both sides end in good order.
    const ended = codeOf(stream)
    stream.resume().end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
    expect(await ended).toBe(constants.NGHTTP2_NO_ERROR)
  })

  test('of a client that is gone closes the connection to the service', async () => {
    const { secure, sockets } = await setUp()
    const client = await Http2Client.open(secure, { ca: authority.pem })
    open.push(client)
    const closed = new Promise((resolve) =>
      sockets.once('connection', (socket) => socket.once('close', resolve)),
    )
    const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' }) // prettier-ignore
    await new Promise((resolve) => stream.once('response', resolve))
    stream.close(constants.NGHTTP2_CANCEL)
    await closed
  })

  test.each([
    ['a service that has none', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 502],
    ['a service that refuses', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 403],
    [
      'a service that has not read the key',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm8=\r\n\r\n',
      502,
    ],
  ])('of %s is no tunnel', async (_what, reply, status) => {
    const upstream = await RawUpstream.open()
    open.push(upstream)
    const gateway = await Gateway.open({ services: { s: { endpoints: [upstream.url] } }, routes: { all: { match: {}, to: 's' } } }) // prettier-ignore
    open.push(gateway)
    const { port } = await gateway.listen(0, '127.0.0.1', { h2c: true })
    const client = await Http2Client.open(`http://127.0.0.1:${port}`)
    open.push(client)
    const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' }) // prettier-ignore
    const answered = answerOf(stream)
    const peer = await upstream.peer()
    const request = await peer.request()
    expect(request).toMatch(/^GET \/ HTTP\/1\.1\r\n/)
    expect(request).toMatch(/Connection: Upgrade\r\nUpgrade: websocket\r\n/)
    expect(request).toMatch(/sec-websocket-key: [A-Za-z0-9+/]{22}==\r\n/)
    peer.reply(reply)
    expect((await answered).status).toBe(status)
    if (status === 502 && reply.includes(' 101 ')) await peer.end()
  })

  test('is the only protocol that a CONNECT may name, and only where the route lets it pass', async () => {
    const { plain } = await setUp({ upgrade: false })
    const client = await Http2Client.open(plain)
    open.push(client)
    const connect = (protocol: string) =>
      answerOf(client.request({ ':method': 'CONNECT', ':protocol': protocol, ':path': '/', 'sec-websocket-version': '13' })) // prettier-ignore
    expect((await connect('connect-udp')).status).toBe(501)
    expect((await connect('websocket')).status).toBe(502)
  })
})
