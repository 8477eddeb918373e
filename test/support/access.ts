import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTHeaderParameters } from 'jose'
import { Gateway, type GatewayOptions, type GatewaySpec } from '../../src/traffic/gateway/index.js'
import { systemRuntime, type Clock, type Runtime } from '../../src/core/index.js'
import { open } from './gateway.js'

/** A request as a service got it. */
export interface Got {
  method: string
  url: string
  headers: IncomingHttpHeaders
  trailers: NodeJS.Dict<string>
}

async function listen(server: Server): Promise<{ url: string; close: () => void }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  open.push({ close })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** A service that answers everything with 200 and keeps what it got. */
export async function service(
  headers: Record<string, string> = {},
): Promise<{ url: string; got: Got[]; close: () => void }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const { method, url, headers: fields, trailers } = request
      got.push({ method: method!, url: url!, headers: fields, trailers })
      response.writeHead(200, headers).end('here you are')
    })
  })
  return { ...(await listen(server)), got }
}

/** A gateway in front of one service `s`. */
export async function gatewayFor(
  spec: Omit<GatewaySpec, 'services'> & Partial<GatewaySpec>,
  options?: GatewayOptions,
) {
  const upstream = await service()
  const gateway = await Gateway.open({ services: { s: { endpoints: [upstream.url] } }, ...spec }, options)
  open.push(gateway)
  const { port } = await gateway.listen(0)
  return { gateway, port, base: `http://127.0.0.1:${port}`, got: upstream.got, close: upstream.close }
}

/** A server that answers as the test says, and counts. */
export async function server(
  answer: (request: {
    body: string
    headers: IncomingHttpHeaders
  }) => { status?: number; body: unknown } | Promise<{ status?: number; body: unknown }>,
) {
  const seen: { body: string; headers: IncomingHttpHeaders }[] = []
  const http = createServer((request, response) => {
    let body = ''
    request.on('data', (data: Buffer) => (body += data.toString()))
    request.once('end', () => {
      const one = { body, headers: request.headers }
      seen.push(one)
      void Promise.resolve(answer(one)).then(({ status = 200, body: reply }) => {
        const text = typeof reply === 'string' ? reply : JSON.stringify(reply)
        response.writeHead(status, { 'content-type': 'application/json' }).end(text)
      })
    })
  })
  return { ...(await listen(http)), seen }
}

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

/** Whoever issues tokens: publishes its keys on a real server, and rotates them when the test says so. */
export class Issuer {
  static readonly ISSUER = 'https://issuer.example/'
  static readonly AUDIENCE = 'shop'
  readonly published: { keys: JWK[] } = { keys: [] }
  /** Whether the server of the keys is in order. */
  up = true
  fetches = 0
  url = ''
  #signer: { key: KeyPair['privateKey']; kid: string; alg: string } | undefined
  #count = 0

  static async open(alg = 'ES256'): Promise<Issuer> {
    const issuer = new Issuer()
    await issuer.rotate(alg)
    const { url } = await server(() => {
      issuer.fetches++
      return issuer.up ? { body: issuer.published } : { status: 500, body: 'down' }
    })
    issuer.url = `${url}/keys`
    return issuer
  }

  /** Signs with a new key from now on; the old one is published no more. */
  async rotate(alg = 'ES256'): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(alg)
    const kid = `key-${++this.#count}`
    this.published.keys = [{ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }]
    this.#signer = { key: privateKey, kid, alg }
  }

  /** A token that is right, but for what the test changes. */
  async token(
    claims: Record<string, unknown> = {},
    header: Partial<JWTHeaderParameters> = {},
    now = Date.now(),
  ): Promise<string> {
    const { key, kid, alg } = this.#signer!
    const seconds = Math.floor(now / 1000)
    const payload = {
      iss: Issuer.ISSUER,
      aud: Issuer.AUDIENCE,
      sub: 'ada',
      iat: seconds,
      exp: seconds + 300,
      ...claims,
    }
    return new SignJWT(payload).setProtectedHeader({ alg, kid, ...header }).sign(key)
  }

  /** An authenticator for its tokens. */
  get jwt() {
    return { keys: { url: this.url }, issuer: Issuer.ISSUER, audience: Issuer.AUDIENCE }
  }
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` })

/** The system's time, which a test may move on: for caches behind real sockets. */
export function shiftingRuntime(): Runtime & { pass(ms: number): void } {
  const { clock: system } = systemRuntime
  let passed = 0
  const clock: Clock = {
    now: () => system.now() + passed,
    wall: () => system.wall() + passed,
    schedule: (at, callback) => system.schedule(at - passed, callback),
  }
  return {
    ...systemRuntime,
    clock,
    pass: (ms) => void (passed += ms),
  }
}
