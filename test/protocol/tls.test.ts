import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { Gateway, type GatewayOptions } from '../../src/traffic/gateway/index.js'
import type { ClientCertificatesSpec, ListenerSpec } from '../../src/traffic/http/listener-spec.js'
import type { Duration } from '../../src/core/duration.js'
import { noTelemetry, type Telemetry } from '../../src/core/telemetry.js'
import { virtualClock, virtualRuntime, type VirtualClock } from '../../src/testing/index.js'
import { TestAuthority, type TestCertificate } from '../support/certificates.js'
import { closeAll, open } from '../support/gateway.js'
import { Http2Client } from '../support/http2-client.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

const authority = new TestAuthority()
const shop = authority.issue({ names: ['DNS:shop.example', 'DNS:localhost', 'IP:127.0.0.1'] })
const wild = authority.issue({ names: ['DNS:*.shop.example'] })
const www = authority.issue({ names: ['DNS:www.shop.example'] })

/** A gateway in front of a service that tells which fields it got. */
async function setUp(options: GatewayOptions = {}) {
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    outgoing.end(JSON.stringify(incoming.headers))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  const gateway = await Gateway.open(
    {
      services: { s: { endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } },
      routes: { all: { match: {}, to: 's' } },
    },
    options,
  )
  open.push(gateway)
  return gateway
}

async function listen(spec: ListenerSpec, options: GatewayOptions = {}) {
  const gateway = await setUp(options)
  return { gateway, listener: await gateway.listen(0, '127.0.0.1', spec) }
}

const withCertificates = (...certificates: TestCertificate[]): ListenerSpec => ({ tls: { certificates } })

/** A runtime on virtual time, whose wall clock is right, and what lets the files of listeners be looked at. */
function watchedRuntime(telemetry: Partial<Telemetry>) {
  const virtual = virtualClock({ wall: Date.now() })
  let looks = 0
  const clock: VirtualClock = Object.create(virtual, {
    schedule: {
      value: (at: number, callback: () => void) => {
        if (at - virtual.now() === 10_000) looks++
        return virtual.schedule(at, callback)
      },
    },
  }) as VirtualClock
  /** Waits until a look is over, and the next one arranged. */
  const look = async (by: Duration = '10s'): Promise<void> => {
    const before = looks
    await clock.advance(by)
    while (looks === before) await new Promise((resolve) => setImmediate(resolve))
  }
  return { runtime: { ...virtualRuntime(), clock, telemetry: { ...noTelemetry, ...telemetry } }, look }
}

/** Shakes hands; rejects if that fails, or if the other side hangs up at once. */
async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: authority.pem, checkServerIdentity: () => undefined, ...options }) // prettier-ignore
  open.push({ close: () => socket.destroy() })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed')))
    socket.once('secureConnect', resolve)
  })
  socket.on('error', () => undefined)
  return socket
}

/** What is answered to a request on a connection. */
function answerOn(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (data: Buffer) => resolve(data.toString()))
    socket.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
  })
}

/** The common name of the certificate that is shown to a client who asks for that name. */
async function shownFor(port: number, servername?: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = await handshake(port, { ...(servername === undefined ? {} : { servername }), ...options })
  const name = socket.getPeerCertificate().subject.CN
  socket.destroy()
  return String(name)
}

/** One request over HTTP/1.1 on a connection of its own. */
function ask(
  port: number,
  options: ConnectionOptions & { headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Record<string, string>; version: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { port, host: '127.0.0.1', servername: 'shop.example', ca: authority.pem, agent: false, ...options },
      (answer) => {
        let text = ''
        answer.on('data', (data: Buffer) => (text += data.toString()))
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            version: answer.httpVersion,
            headers: answer.statusCode === 200 ? (JSON.parse(text) as Record<string, string>) : {},
          }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

describe('the certificate', () => {
  test.each([
    ['www.shop.example', 'www.shop.example'],
    ['WWW.Shop.Example', 'www.shop.example'],
    ['api.shop.example', '*.shop.example'],
    ['a.b.shop.example', 'shop.example'],
    ['other.example', 'shop.example'],
    [undefined, 'shop.example'],
  ])('for %s is that of %s: exact before wildcard, the first one for the rest', async (name, shown) => {
    const { listener } = await listen(withCertificates(shop, wild, www))
    expect(await shownFor(listener.port, name)).toBe(shown)
  })

  test('is shown for other names if it is told to', async () => {
    const { listener } = await listen(withCertificates(shop, { ...www, ...{ names: ['other.example'] } }))
    expect(await shownFor(listener.port, 'other.example')).toBe('www.shop.example')
    expect(await shownFor(listener.port, 'www.shop.example')).toBe('shop.example')
  })

  test('of two for the same names is the one whose key the client can check', async () => {
    const names = ['DNS:both.example']
    const ec = authority.issue({ names, subject: '/CN=elliptic' })
    const rsa = authority.issue({ names, subject: '/CN=rsa', keyType: 'rsa' })
    const { listener } = await listen(withCertificates(ec, rsa))
    for (const name of ['both.example', undefined]) {
      expect(await shownFor(listener.port, name)).toBe('elliptic')
      const old = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' } as const
      expect(await shownFor(listener.port, name, old)).toBe('rsa')
    }
  })

  test('may have a key with a passphrase', async () => {
    const locked = authority.issue({ names: ['DNS:locked.example'], passphrase: 'open sesame' })
    const { listener } = await listen(withCertificates({ ...locked, ...{ passphrase: 'open sesame' } }))
    expect(await shownFor(listener.port)).toBe('locked.example')
  })
})

describe('a handshake', () => {
  test.each([
    ['TLSv1.1', undefined, false],
    ['TLSv1.2', undefined, true],
    ['TLSv1.3', undefined, true],
    ['TLSv1.2', 'TLSv1.3', false],
    ['TLSv1.3', 'TLSv1.3', true],
  ] as const)('of %s with the oldest version %s: taken is %s', async (version, minVersion, taken) => {
    const spec = { tls: { certificates: [shop], ...(minVersion ? { minVersion } : {}) } }
    const { listener } = await listen(spec)
    // Its own library refuses the old one unless the level of security is lowered.
    const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const
    const result = handshake(listener.port, options)
    if (taken) expect((await result).getProtocol()).toBe(version)
    else await expect(result).rejects.toThrow()
  })

  test('takes no suite of TLS 1.2 without forward secrecy or authenticated encryption', async () => {
    const { listener } = await listen(withCertificates(authority.issue({ keyType: 'rsa' })))
    for (const ciphers of ['AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA', 'AES256-SHA'])
      await expect(handshake(listener.port, { maxVersion: 'TLSv1.2', ciphers })).rejects.toThrow()
  })

  test('settles on HTTP/2 with who speaks it, else on HTTP/1.1', async () => {
    const { gateway, listener } = await listen(withCertificates(shop))
    const spoken = async (port: number, ALPNProtocols?: string[]) =>
      (await handshake(port, ALPNProtocols ? { ALPNProtocols } : {})).alpnProtocol
    expect(await spoken(listener.port, ['http/1.1', 'h2'])).toBe('h2')
    expect(await spoken(listener.port, ['http/1.1'])).toBe('http/1.1')
    expect(await spoken(listener.port)).toBe(false)
    await expect(spoken(listener.port, ['spdy/3'])).rejects.toThrow()
    const plain = await gateway.listen(0, '127.0.0.1', { ...withCertificates(shop), http2: false })
    expect(await spoken(plain.port, ['h2', 'http/1.1'])).toBe('http/1.1')
  })

  test('that never comes is given up, and does not hold up the end', async () => {
    const { gateway, listener } = await listen(withCertificates(shop), { limits: { headTimeout: 100 } })
    const silent = await RawClient.open(listener.port)
    await silent.closed()
    const another = await RawClient.open(listener.port)
    await gateway.close(new AbortController().signal)
    await another.closed()
  })

  test('that is none at all is counted, and nobody else notices', async () => {
    const counts: unknown[] = []
    const { runtime } = watchedRuntime({
      counter: (name) => ({
        add: (amount, attributes) =>
          name === 'banyan.tls.handshake.failures' && counts.push([amount, attributes]),
      }),
    })
    const { listener } = await listen(withCertificates(shop), { runtime })
    const raw = await RawClient.open(listener.port)
    await raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').closed()
    expect(counts).toEqual([[1, { 'error.type': 'ERR_SSL_HTTP_REQUEST' }]])
    expect((await ask(listener.port)).status).toBe(200)
  })
})

describe('a request', () => {
  test('is told to the service as one by https, over either version of HTTP', async () => {
    const { listener } = await listen(withCertificates(shop))
    const first = await ask(listener.port)
    const client = await Http2Client.open(`https://127.0.0.1:${listener.port}`, { ca: authority.pem })
    open.push(client)
    const second = JSON.parse((await client.ask()).body) as Record<string, string>
    for (const headers of [first.headers, second]) {
      expect(headers['x-forwarded-proto']).toBe('https')
      expect(headers['forwarded']).toContain('proto=https')
    }
  })

  test('by HTTP/2 for the host of another certificate is misdirected, for any other host it is not', async () => {
    const { listener } = await listen(withCertificates(shop, wild))
    const options = { ca: authority.pem, servername: 'shop.example' }
    const client = await Http2Client.open(`https://127.0.0.1:${listener.port}`, options)
    open.push(client)
    const statusOf = async (host: string) => (await client.ask({ ':authority': host })).status
    expect(await statusOf('shop.example')).toBe(200)
    expect(await statusOf('LOCALHOST:8443')).toBe(200)
    expect(await statusOf('api.shop.example')).toBe(421)
    expect(await statusOf('127.0.0.1:8443')).toBe(200)
    expect(await statusOf('elsewhere.example')).toBe(200)
  })
})

describe('client certificates', () => {
  const people = new TestAuthority('People')
  const checkout = people.issue({
    subject: '/O=shop/CN=checkout',
    names: ['DNS:checkout.shop.example', 'URI:spiffe://shop/checkout'],
  })
  const stranger = new TestAuthority('Strangers').issue()
  const late = people.issue({ valid: ['20200101000000Z', '20210101000000Z'] })
  const shown = ({ cert, key }: TestCertificate) => ({ cert: readFileSync(cert), key: readFileSync(key) })
  const asking = (mode: 'request' | 'require', more: Partial<ClientCertificatesSpec> = {}): ListenerSpec => ({
    tls: { certificates: [shop, wild], clients: { ca: people.cert, mode, ...more } },
  })

  test.each(['require', 'request'] as const)(
    'that are valid are welcome (%s), whatever name is asked for',
    async (mode) => {
      const { listener } = await listen(asking(mode))
      expect((await ask(listener.port, shown(checkout))).status).toBe(200)
      const other = { ...shown(checkout), servername: 'api.shop.example' }
      expect((await ask(listener.port, other)).status).toBe(200)
    },
  )

  test('may be absent only where they are requested', async () => {
    const { gateway, listener } = await listen(asking('request'))
    expect((await ask(listener.port)).status).toBe(200)
    const strict = await gateway.listen(0, '127.0.0.1', asking('require'))
    await expect(ask(strict.port)).rejects.toThrow()
    await expect(ask(strict.port, { servername: 'api.shop.example' })).rejects.toThrow()
  })

  test.each(['require', 'request'] as const)(
    'of strangers, and expired ones, are refused (%s)',
    async (mode) => {
      const { listener } = await listen(asking(mode))
      await expect(ask(listener.port, shown(stranger))).rejects.toThrow()
      await expect(ask(listener.port, shown(late))).rejects.toThrow()
      const old = { ...shown(stranger), maxVersion: 'TLSv1.2' } as const
      await expect(ask(listener.port, old)).rejects.toThrow()
    },
  )

  test('are told to services as asked for, over either version of HTTP', async () => {
    const { listener } = await listen(
      asking('request', { forward: { subject: 'X-Client-Subject', names: 'X-Client-Names' } }),
    )
    const { headers } = await ask(listener.port, shown(checkout))
    const options = { ca: authority.pem, ...shown(checkout) }
    const client = await Http2Client.open(`https://127.0.0.1:${listener.port}`, options)
    open.push(client)
    for (const each of [headers, JSON.parse((await client.ask()).body) as Record<string, string>]) {
      const [, base64] = /^:(.+):$/.exec(each['client-cert'] ?? '') ?? []
      const pem = readFileSync(checkout.cert, 'latin1').replace(/-----[^-]+-----|\s/g, '')
      expect(base64).toBe(pem)
      expect(each['x-client-subject']).toBe('CN=checkout,O=shop')
      expect(each['x-client-names']).toBe('DNS:checkout.shop.example, URI:spiffe://shop/checkout')
    }
  })

  test('cannot be made up in fields, on whatever listener', async () => {
    const forward = { certificate: false, subject: 'X-Client-Subject' }
    const { gateway, listener } = await listen(asking('request', { forward }))
    const lies = { 'Client-Cert': ':bGll:', 'X-Client-Subject': 'CN=admin', X_Client_Subject: 'CN=admin' }
    const { headers } = await ask(listener.port, { headers: lies })
    const { port } = await gateway.listen(0)
    const raw = await RawClient.open(port)
    open.push({ close: () => raw.destroy() })
    const fields = Object.entries(lies).map(([name, value]) => `${name}: ${value}\r\n`)
    const answer = await raw.ask(`GET / HTTP/1.1\r\nHost: a\r\n${fields.join('')}\r\n`)
    for (const text of [JSON.stringify(headers), answer.body]) expect(text).not.toMatch(/admin|bGll/)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'are known again when a session is resumed (%s), until the next renewal',
    async (version) => {
      const spec = asking('require', { forward: { certificate: false, subject: 'X-Client-Subject' } })
      const { listener } = await listen(spec)
      const options = { ...shown(checkout), maxVersion: version, servername: 'shop.example' }
      const first = await handshake(listener.port, options)
      const text = await answerOn(first)
      expect(text).toContain('CN=checkout,O=shop')
      const session = first.getSession()!
      const again = await handshake(listener.port, { ...options, session })
      expect(again.isSessionReused()).toBe(true)
      expect(await answerOn(again)).toContain('CN=checkout,O=shop')
      await listener.update(spec)
      expect((await handshake(listener.port, { ...options, session })).isSessionReused()).toBe(false)
    },
  )

  test('of a proxy that is trusted do not replace what it says of clients, unless services are told', async () => {
    const spec = asking('request')
    const { gateway, listener } = await listen(spec, { trust: ['127.0.0.1'] })
    const word = { headers: { 'Client-Cert': ':b3RoZXI=:' } }
    expect((await ask(listener.port, { ...shown(checkout), ...word })).headers['client-cert']).toBe(
      ':b3RoZXI=:',
    )
    const telling = await gateway.listen(0, '127.0.0.1', asking('request', { forward: true }))
    expect((await ask(telling.port, { ...shown(checkout), ...word })).headers['client-cert']).toMatch(/^:MI/)
  })
})

describe('a change of the certificate', () => {
  test('reaches new handshakes, lets open connections live, and loses no request', async () => {
    const { listener } = await listen(withCertificates(shop))
    const old = await Http2Client.open(`https://127.0.0.1:${listener.port}`, { ca: authority.pem })
    open.push(old)
    let going = true
    let asked = 0
    const failures: unknown[] = []
    const load = async (once: () => Promise<{ status: number }>): Promise<void> => {
      while (going) {
        await once().then(({ status }) => status !== 200 && failures.push(status), (error: unknown) => failures.push(error)) // prettier-ignore
        asked++
      }
    }
    const loads = [load(() => old.ask()), load(() => ask(listener.port)), load(() => ask(listener.port))]
    const versions = ['/CN=second', '/CN=third', '/CN=fourth'].map((subject) =>
      authority.issue({ subject, names: ['DNS:shop.example'] }),
    )
    for (const version of versions) {
      const before = asked
      await listener.update(withCertificates(version))
      while (asked < before + 10) await ask(listener.port)
    }
    going = false
    await Promise.all(loads)
    expect(failures).toEqual([])
    expect(await shownFor(listener.port)).toBe('fourth')
    expect((await old.ask()).status).toBe(200)
  })

  test('that cannot be used is refused as a whole, and the old one serves on', async () => {
    const { listener } = await listen(withCertificates(shop))
    const mixed = { cert: www.cert, key: shop.key }
    await expect(listener.update(withCertificates(shop, mixed))).rejects.toMatchObject({
      code: 'BANYAN_CERTIFICATE',
      message: `certificates.1.key: \`${shop.key}\` is not the key of the certificate in \`${www.cert}\``,
    })
    expect(await shownFor(listener.port)).toBe('shop.example')
  })

  test('may turn TLS on and off', async () => {
    const { listener } = await listen({})
    const raw = await RawClient.open(listener.port)
    open.push({ close: () => raw.destroy() })
    await listener.update(withCertificates(shop))
    expect((await ask(listener.port)).status).toBe(200)
    expect((await raw.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).complete).toBe(true)
    await listener.update({ h2c: true })
    const client = await Http2Client.open(`http://127.0.0.1:${listener.port}`)
    open.push(client)
    expect((await client.ask()).status).toBe(200)
  })

  test('in its files is noticed, once both belong together', async () => {
    const logs: [string, string][] = []
    const { runtime, look } = watchedRuntime({ log: (level, message) => void logs.push([level, message]) })
    const files = { cert: `${shop.cert}.live`, key: `${shop.key}.live` }
    const install = (from: TestCertificate): void => {
      copyFileSync(from.cert, files.cert)
      copyFileSync(from.key, files.key)
    }
    install(shop)
    const { listener } = await listen(withCertificates(files), { runtime })
    copyFileSync(www.cert, files.cert)
    await look()
    await look()
    expect(await shownFor(listener.port)).toBe('shop.example')
    expect(logs.map(([level]) => level)).toEqual(['error'])
    install(www)
    await look()
    expect(await shownFor(listener.port)).toBe('www.shop.example')
    writeFileSync(files.key, 'nonsense')
    await look()
    install(www)
    await look()
    expect(logs.map(([level]) => level)).toEqual(['error', 'info'])
  })
})

describe('the end of a certificate', () => {
  test('shows in a metric, and in a warning a day from two weeks before', async () => {
    const warnings: string[] = []
    let read: (() => number) | undefined
    const { runtime, look } = watchedRuntime({
      log: (level, _message, attributes) =>
        level === 'warn' && warnings.push(String(attributes?.['banyan.certificate'])),
      gauge: (name, _options, value) => {
        if (name === 'banyan.tls.certificate.expiry') read = value
        return () => undefined
      },
    })
    const day = 24 * 3600
    const date = (days: number): string =>
      new Date(runtime.clock.wall() + days * day * 1000).toISOString().replace(/[-:T]|\.\d+/g, '')
    const short = authority.issue({ names: ['DNS:short.example'], valid: [date(-1), date(17)] })
    await listen(withCertificates(short), { runtime })
    expect(read!()).toBeCloseTo(17 * day, -2)
    expect(warnings).toEqual([])
    for (let days = 16; days >= 14; days--) {
      await look(day * 1000 - 10_000)
      await look()
    }
    expect(read!()).toBeCloseTo(14 * day, -3)
    expect(warnings).toEqual(['short.example'])
  })
})

test('a socket that is closed in the middle of a handshake leaves nothing behind', async () => {
  const { gateway, listener } = await listen(withCertificates(shop))
  for (let count = 0; count < 20; count++) {
    const socket = connectTcp(listener.port, '127.0.0.1', () =>
      socket.write(Buffer.from([22, 3, 1, 2, 0, 1])),
    )
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.once('ready', resolve))
    socket.destroy()
  }
  expect((await ask(listener.port)).status).toBe(200)
  await gateway.close(new AbortController().signal)
  expect(gateway.connectionCount).toBe(0)
})
