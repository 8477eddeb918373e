import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { systemRuntime, type LogLevel, type Runtime } from '../../src/core/index.js'
import { bearer, gatewayFor, Issuer, server, shiftingRuntime } from '../support/access.js'
import { closeAll, field, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

/** A gateway whose only route needs a token of the issuer. */
async function guarded(issuer: Issuer, access: object = {}, jwt: object = {}, runtime?: Runtime) {
  return gatewayFor(
    {
      authenticators: { users: { jwt: { ...issuer.jwt, ...jwt } } },
      routes: { all: { match: {}, to: 's', access: { by: 'users', ...access } } },
    },
    runtime && { runtime },
  )
}

async function told(answer: Response): Promise<[number, string | null, string]> {
  const { detail } = (await answer.json()) as { detail: string }
  return [answer.status, answer.headers.get('www-authenticate'), detail]
}

const INVALID = [401, 'Bearer realm="banyan", error="invalid_token"', 'The credentials are not valid.']
const MALFORMED = [
  400,
  'Bearer realm="banyan", error="invalid_request"',
  'The credentials are not well-formed.',
]

describe('a signed token', () => {
  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('by %s opens the route', async (alg) => {
    const issuer = await Issuer.open(alg)
    const { base, got } = await guarded(issuer)
    const answer = await fetch(base, { headers: bearer(await issuer.token()) })
    expect(answer.status).toBe(200)
    expect(got).toHaveLength(1)
  })

  test('is asked for with the scheme and realm, and nothing reaches the service before', async () => {
    const issuer = await Issuer.open()
    const { base, got } = await guarded(issuer, { realm: 'shop "EU"' })
    const answer = await fetch(base)
    expect(await told(answer)).toEqual([401, 'Bearer realm="shop \\"EU\\""', 'This needs credentials.'])
    expect(got).toHaveLength(0)
  })

  test('is not passed on to the service, unless the route says so', async () => {
    const issuer = await Issuer.open()
    const hidden = await guarded(issuer)
    const shown = await guarded(issuer, { forwardCredentials: true })
    const headers = bearer(await issuer.token())
    await fetch(hidden.base, { headers })
    await fetch(shown.base, { headers })
    expect(hidden.got[0]!.headers.authorization).toBeUndefined()
    expect(shown.got[0]!.headers.authorization).toBe(headers.authorization)
  })

  test('may stand in a cookie, which is taken out while the others stay', async () => {
    const issuer = await Issuer.open()
    const { base, got } = await guarded(issuer, {}, { from: ['cookie:session'] })
    const token = await issuer.token()
    const answer = await fetch(base, { headers: { cookie: `a=1; session=${token}; b=2` } })
    expect(answer.status).toBe(200)
    expect(got[0]!.headers.cookie).toBe('a=1; b=2')
    expect((await fetch(base, { headers: { cookie: 'a=1' } })).status).toBe(401)
    const twice = await fetch(base, { headers: { cookie: `session=${token}; session=x` } })
    expect(twice.status).toBe(400)
  })

  test('may stand in a field of its own', async () => {
    const issuer = await Issuer.open()
    const { base, got } = await guarded(issuer, {}, { from: ['header:X-Token'] })
    const answer = await fetch(base, { headers: { 'x-token': await issuer.token() } })
    expect(answer.status).toBe(200)
    expect(got[0]!.headers['x-token']).toBeUndefined()
  })

  test('of a shared secret is believed, and one of another secret is not', async () => {
    process.env['BANYAN_TEST_SECRET'] = 'a secret of no less than thirty-two bytes'
    const sign = (secret: string): Promise<string> =>
      new SignJWT({ sub: 'ada', iss: 'me', aud: 'shop' })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime('5m')
        .sign(Buffer.from(secret))
    const { base } = await gatewayFor({
      authenticators: {
        own: { jwt: { keys: { secret: { env: 'BANYAN_TEST_SECRET' } }, issuer: 'me', audience: 'shop' } },
      },
      routes: { all: { match: {}, to: 's', access: { by: 'own' } } },
    })
    const right = await sign(process.env['BANYAN_TEST_SECRET'])
    const wrong = await sign('another secret of no less than thirty-two bytes')
    expect((await fetch(base, { headers: bearer(right) })).status).toBe(200)
    expect((await fetch(base, { headers: bearer(wrong) })).status).toBe(401)
  })
})

describe('a token that is wrong is refused without saying why', () => {
  test.each<[string, Record<string, unknown>]>([
    ['expired', { exp: Math.floor(Date.now() / 1000) - 31 }],
    ['not valid yet', { nbf: Math.floor(Date.now() / 1000) + 60 }],
    ['without an end', { exp: undefined }],
    ['of another issuer', { iss: 'https://issuer.example' }],
    ['of no issuer', { iss: undefined }],
    ['for another audience', { aud: ['warehouse', 'shop '] }],
    ['for nobody', { aud: undefined }],
    ['of nobody', { sub: undefined }],
    ['of an empty subject', { sub: '' }],
    ['without a claim that is required', { tenant: undefined }],
  ])('%s', async (_, claims) => {
    const issuer = await Issuer.open()
    const { base, got } = await guarded(issuer, {}, { required: ['tenant'] })
    const token = await issuer.token({ tenant: 'acme', ...claims })
    expect(await told(await fetch(base, { headers: bearer(token) }))).toEqual(INVALID)
    expect(got).toHaveLength(0)
  })

  test('signed by nobody (`none`), by a key of another, by the public key as a secret', async () => {
    const issuer = await Issuer.open('RS256')
    const { base, got } = await guarded(issuer)
    const claims = { iss: Issuer.ISSUER, aud: Issuer.AUDIENCE, sub: 'ada' }
    const unsigned = new UnsecuredJWT(claims).setExpirationTime('5m').encode()
    const { privateKey } = await generateKeyPair('RS256')
    const [key] = issuer.published.keys
    const foreign = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: key!.kid! })
      .setExpirationTime('5m')
      .sign(privateKey)
    const confused = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: key!.kid! })
      .setExpirationTime('5m')
      .sign(Buffer.from(JSON.stringify(key)))
    const ownKey = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', jwk: await exportJWK((await generateKeyPair('RS256')).publicKey) })
      .setExpirationTime('5m')
      .sign(privateKey)
    for (const token of [unsigned, foreign, confused, ownKey]) {
      expect(await told(await fetch(base, { headers: bearer(token) }))).toEqual(INVALID)
    }
    expect(got).toHaveLength(0)
  })

  test('an algorithm that is not on the list, whoever has signed', async () => {
    const issuer = await Issuer.open('ES256')
    const { base } = await guarded(issuer, {}, { algorithms: ['RS256'] })
    expect(await told(await fetch(base, { headers: bearer(await issuer.token()) }))).toEqual(INVALID)
  })

  test('another type than the one that is asked for', async () => {
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer, {}, { type: 'at+jwt' })
    const statusOf = async (typ: string): Promise<number> =>
      (await fetch(base, { headers: bearer(await issuer.token({}, { typ })) })).status
    expect(await statusOf('at+jwt')).toBe(200)
    expect(await statusOf('JWT')).toBe(401)
  })

  test('one that is too long to be one', async () => {
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer)
    expect(await told(await fetch(base, { headers: bearer('a'.repeat(10_000)) }))).toEqual(INVALID)
  })

  test.each(['', 'a b', 'a, Bearer b', '"a"', 'ä', 'a.b.c\u0001'])(
    'no form of a token: %j',
    async (token) => {
      const issuer = await Issuer.open()
      const { port, got } = await guarded(issuer)
      const client = await RawClient.open(port)
      open.push({ close: () => client.destroy() })
      const answer = await client.ask(`GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`)
      expect(problem(answer).status).toBe(400)
      expect(got).toHaveLength(0)
    },
  )

  test('two Authorization fields, even if both are right', async () => {
    const issuer = await Issuer.open()
    const { port } = await guarded(issuer)
    const client = await RawClient.open(port)
    open.push({ close: () => client.destroy() })
    const line = `Authorization: Bearer ${await issuer.token()}\r\n`
    const answer = await client.ask(`GET / HTTP/1.1\r\nHost: a\r\n${line}${line}\r\n`)
    expect(field(answer, 'www-authenticate')).toBe(MALFORMED[1])
    expect(problem(answer)).toMatchObject({ status: 400, detail: MALFORMED[2] })
  })

  test('whatever is changed in a token that was right', async () => {
    const issuer = await Issuer.open()
    const { base, got } = await guarded(issuer)
    const token = await issuer.token()
    expect((await fetch(base, { headers: bearer(token) })).status).toBe(200)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
    // The last character of each part holds bits that mean nothing; a decoder that is strict refuses them too.
    const place = fc.nat(token.length - 1)
    await fc.assert(
      fc.asyncProperty(
        place,
        fc.constantFrom(...Array.from(alphabet)),
        fc.constantFrom('swap', 'cut', 'add'),
        async (at, by, how) => {
          const rest = token.slice(how === 'add' ? at : at + 1)
          const forged = token.slice(0, at) + (how === 'cut' ? '' : by) + rest
          fc.pre(forged !== token && !meansTheSame(forged, token))
          const { status } = await fetch(base, { headers: bearer(forged) })
          expect([400, 401]).toContain(status)
        },
      ),
      { numRuns: 150 },
    )
    expect(got).toHaveLength(1)
  })

  test('any claims with the signature of others', async () => {
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer)
    const [header, payload, signature] = (await issuer.token()).split('.') as [string, string, string]
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('sub', 'scope', 'exp', 'aud', 'admin'),
        fc.jsonValue(),
        async (name, value) => {
          const forged = { ...claims, [name]: value }
          fc.pre(JSON.stringify(forged) !== JSON.stringify(claims))
          const part = Buffer.from(JSON.stringify(forged)).toString('base64url')
          const { status } = await fetch(base, { headers: bearer(`${header}.${part}.${signature}`) })
          expect(status).toBe(401)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('logs say why, without the token, and once a second at most', async () => {
    const lines: [LogLevel, string][] = []
    const issuer = await Issuer.open()
    const telemetry = {
      ...systemRuntime.telemetry,
      log: (level: LogLevel, message: string) => void lines.push([level, message]),
    }
    const { base } = await guarded(issuer, {}, {}, { ...systemRuntime, telemetry })
    const token = await issuer.token({ exp: 1 })
    for (let round = 0; round < 5; round++) await fetch(base, { headers: bearer(token) })
    expect(lines[0]).toEqual(['info', 'access refused: "exp" claim timestamp check failed'])
    expect(lines.length).toBeLessThan(3)
    expect(JSON.stringify(lines)).not.toContain(token.slice(0, 20))
  })
})

/** Base64url leaves bits of the last character unused; with those changed the token is the same bytes. */
function meansTheSame(forged: string, token: string): boolean {
  const bytes = (text: string): string =>
    text
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('hex'))
      .join('.')
  return bytes(forged) === bytes(token)
}

describe('keys', () => {
  test('are fetched once for many requests at the same time', async () => {
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer)
    const headers = bearer(await issuer.token())
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(base, { headers })))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(issuer.fetches).toBe(1)
  })

  test('are fetched again for a key that is not known, but not for every one that is invented', async () => {
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer)
    const before = await issuer.token()
    expect((await fetch(base, { headers: bearer(before) })).status).toBe(200)
    await issuer.rotate()
    const after = await issuer.token()
    expect((await fetch(base, { headers: bearer(after) })).status).toBe(200)
    expect(issuer.fetches).toBe(2)
    // The old key is gone, and with it what was remembered of its tokens.
    expect((await fetch(base, { headers: bearer(before) })).status).toBe(401)
    for (let round = 0; round < 10; round++) {
      const token = await issuer.token({}, { kid: `invented-${round}` })
      expect((await fetch(base, { headers: bearer(token) })).status).toBe(401)
    }
    expect(issuer.fetches).toBe(2)
  })

  test('a gateway that begins while they cannot be had serves the rest, and the route once they can', async () => {
    const runtime = shiftingRuntime()
    const issuer = await Issuer.open()
    issuer.up = false
    const { base } = await gatewayFor(
      {
        authenticators: { users: { jwt: issuer.jwt } },
        routes: {
          open: { match: { path: '/open' }, to: 's' },
          closed: { match: {}, to: 's', access: { by: 'users' } },
        },
      },
      { runtime },
    )
    const headers = bearer(await issuer.token())
    const closed = await fetch(base, { headers })
    expect(closed.status).toBe(503)
    expect(closed.headers.get('retry-after')).not.toBeNull()
    expect((await fetch(`${base}/open`)).status).toBe(200)
    // What cannot be a token will not be one later either.
    expect((await fetch(base, { headers: bearer('garbage') })).status).toBe(401)
    issuer.up = true
    runtime.pass(2_000)
    expect((await fetch(base, { headers })).status).toBe(200)
  })

  test('that were had once are used while the publisher is down, for as long as that is allowed', async () => {
    const runtime = shiftingRuntime()
    const issuer = await Issuer.open()
    const keys = { url: issuer.url, refreshEvery: '1m', useStaleFor: '1h' }
    const { base } = await guarded(issuer, {}, { keys }, runtime)
    const statusOf = async (): Promise<number> => {
      const token = await issuer.token({}, {}, runtime.clock.wall())
      return (await fetch(base, { headers: bearer(token) })).status
    }
    expect(await statusOf()).toBe(200)
    issuer.up = false
    runtime.pass(50 * 60_000)
    expect(await statusOf()).toBe(200)
    runtime.pass(10 * 60_000)
    expect(await statusOf()).toBe(503)
    issuer.up = true
    runtime.pass(60_000)
    expect(await statusOf()).toBe(200)
  })

  test('are not fetched by way of a redirect, of more than 256 kB, or for ever', async () => {
    const huge = { keys: [{ kty: 'RSA', n: 'a'.repeat(300_000), e: 'AQAB' }] }
    for (const answer of [
      { status: 302, body: '' },
      { body: huge },
      { body: 'no JSON' },
      { body: { keys: [] } },
    ]) {
      const { url } = await server(() => answer)
      const issuer = await Issuer.open()
      const { base } = await guarded(issuer, {}, { keys: { url } })
      expect((await fetch(base, { headers: bearer(await issuer.token()) })).status).toBe(503)
    }
    const { url } = await server(() => new Promise(() => undefined))
    const issuer = await Issuer.open()
    const { base } = await guarded(issuer, {}, { keys: { url, timeout: '50ms' } })
    expect((await fetch(base, { headers: bearer(await issuer.token()) })).status).toBe(503)
  })

  test('that are shared secrets are no keys, wherever they were published', async () => {
    const issuer = await Issuer.open()
    const k = Buffer.from('a secret of no less than thirty-two bytes').toString('base64url')
    issuer.published.keys.push({ kty: 'oct', k, kid: 'secret', alg: 'HS256' })
    const { base } = await guarded(issuer)
    const token = await new SignJWT({ iss: Issuer.ISSUER, aud: Issuer.AUDIENCE, sub: 'ada' })
      .setProtectedHeader({ alg: 'HS256', kid: 'secret' })
      .setExpirationTime('5m')
      .sign(Buffer.from(k, 'base64url'))
    expect((await fetch(base, { headers: bearer(token) })).status).toBe(401)
  })

  test('without an id in the token are tried one after the other', async () => {
    const issuer = await Issuer.open()
    const [old] = issuer.published.keys
    await issuer.rotate()
    issuer.published.keys.unshift(old!)
    const { base } = await guarded(issuer)
    const token = await issuer.token({}, { kid: undefined as never })
    expect((await fetch(base, { headers: bearer(token) })).status).toBe(200)
  })

  test('of a file are read again when it has changed', async () => {
    const runtime = shiftingRuntime()
    const issuer = await Issuer.open()
    const folder = mkdtempSync(join(tmpdir(), 'banyan-keys-'))
    open.push({ close: () => rmSync(folder, { recursive: true }) })
    const file = join(folder, 'keys.json')
    const write = (): void => writeFileSync(file, JSON.stringify(issuer.published))
    write()
    const { base } = await guarded(issuer, {}, { keys: { file } }, runtime)
    const before = bearer(await issuer.token())
    expect((await fetch(base, { headers: before })).status).toBe(200)
    await issuer.rotate('RS256')
    write()
    runtime.pass(1_000)
    expect((await fetch(base, { headers: bearer(await issuer.token()) })).status).toBe(200)
    expect((await fetch(base, { headers: before })).status).toBe(401)
  })
})

test('a verified token is not verified again, until it expires', async () => {
  const runtime = shiftingRuntime()
  const issuer = await Issuer.open()
  const { base } = await guarded(issuer, {}, { clockSkew: 0 }, runtime)
  const headers = bearer(await issuer.token())
  expect((await fetch(base, { headers })).status).toBe(200)
  runtime.pass(299_000 - (Date.now() % 1000))
  expect((await fetch(base, { headers })).status).toBe(200)
  runtime.pass(2_000)
  expect((await fetch(base, { headers })).status).toBe(401)
})
