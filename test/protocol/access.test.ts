import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BanyanError } from '../../src/core/index.js'
import { certificate } from '../../src/traffic/gateway/filters/access/certificate.js'
import { hashKey, newKey } from '../../src/traffic/gateway/filters/access/key-hash.js'
import { hashPassword } from '../../src/traffic/gateway/filters/access/password.js'
import type { Forwarding } from '../../src/traffic/gateway/forwarding.js'
import type { GatewaySpec } from '../../src/traffic/gateway/index.js'
import { systemRuntime } from '../../src/core/index.js'
import { bearer, gatewayFor, Issuer, server, shiftingRuntime } from '../support/access.js'
import { closeAll, open } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

type Authenticators = NonNullable<GatewaySpec['authenticators']>

const guardedBy = (spec: Authenticators[string], access: object = {}) => ({
  authenticators: { a: spec },
  routes: { all: { match: {}, to: 's', access: { by: 'a', ...access } } },
})

const basicFields = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

describe('an API key', () => {
  const withKey = (key: string) => ({ headers: { 'x-api-key': key } })

  test('opens the route and is not passed on; a wrong one does not', async () => {
    const key = newKey()
    const { base, got } = await gatewayFor(guardedBy({ apiKey: { keys: { acme: { hash: hashKey(key) } } } }))
    expect((await fetch(base, withKey(key))).status).toBe(200)
    expect(got[0]!.headers['x-api-key']).toBeUndefined()
    for (const wrong of [newKey(), `${key}x`, key.slice(0, -1), hashKey(key)]) {
      const answer = await fetch(base, withKey(wrong))
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'ApiKey realm="banyan"'])
    }
    expect((await fetch(base)).status).toBe(401)
  })

  test('that has expired or was taken back opens nothing', async () => {
    const [old, gone] = [newKey(), newKey()]
    const keys = {
      old: { hash: hashKey(old), expires: '2026-01-01' },
      gone: { hash: hashKey(gone), revoked: true },
    }
    const runtime = shiftingRuntime()
    runtime.pass(Date.UTC(2026, 0, 1) - runtime.clock.wall() - 5_000)
    const { base } = await gatewayFor(guardedBy({ apiKey: { keys } }), { runtime })
    expect((await fetch(base, withKey(old))).status).toBe(200)
    expect((await fetch(base, withKey(gone))).status).toBe(401)
    runtime.pass(5_000)
    expect((await fetch(base, withKey(old))).status).toBe(401)
  })

  test('of a file is known within a second of being written, and unknown within a second of being taken out', async () => {
    const runtime = shiftingRuntime()
    const folder = mkdtempSync(join(tmpdir(), 'banyan-keys-'))
    open.push({ close: () => rmSync(folder, { recursive: true }) })
    const file = join(folder, 'keys.yaml')
    const [first, second] = [newKey(), newKey()]
    const write = (text: string): void => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    write(`first:\n  hash: ${hashKey(first)}\n`)
    const { base } = await gatewayFor(guardedBy({ apiKey: { file } }), { runtime })
    const statuses = async (): Promise<number[]> =>
      Promise.all([first, second].map(async (key) => (await fetch(base, withKey(key))).status))
    expect(await statuses()).toEqual([200, 401])
    write(`second: { hash: '${hashKey(second)}', scopes: [a] }`)
    runtime.pass(1_000)
    expect(await statuses()).toEqual([401, 200])
    // What cannot be read leaves what was there before in force.
    write('second: { hash: nonsense }')
    runtime.pass(1_000)
    expect(await statuses()).toEqual([401, 200])
    rmSync(file)
    runtime.pass(1_000)
    expect(await statuses()).toEqual([401, 200])
  })

  test.each([
    ['x: { hash: abc }', 'the key `x` needs a `hash`'],
    ['x: 5', 'the key `x` must be an object'],
    ['- a', 'must hold keys by name'],
    [`x: { hash: '${hashKey('a')}', scope: [b] }`, 'the key `x` has an unknown field `scope`'],
    [`x: { hash: '${hashKey('a')}', expires: tomorrow }`, 'the key `x` has no date or time'],
  ])('a file with %j keeps the gateway from starting, and says why', async (text, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'banyan-keys-'))
    open.push({ close: () => rmSync(folder, { recursive: true }) })
    const file = join(folder, 'keys.yaml')
    writeFileSync(file, text)
    await expect(gatewayFor(guardedBy({ apiKey: { file } }))).rejects.toThrow(message)
  })
})

describe('a name and password', () => {
  let hash = ''
  beforeAll(async () => {
    hash = await hashPassword('correct: horse ä', 14)
  })

  test('open the route; a wrong one of either does not', async () => {
    const { base, got } = await gatewayFor(guardedBy({ basic: { users: { ada: { hash, scopes: ['x'] } } } }))
    expect((await fetch(base, { headers: basicFields('ada', 'correct: horse ä') })).status).toBe(200)
    expect(got[0]!.headers.authorization).toBeUndefined()
    for (const [user, password] of [
      ['ada', 'correct'],
      ['ada', ''],
      ['eve', 'correct: horse ä'],
      ['', ''],
    ] as const) {
      const answer = await fetch(base, { headers: basicFields(user, password) })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        'Basic realm="banyan", charset="UTF-8"',
      ])
    }
  })

  test.each(['Basic', 'Basic !!!', 'Basic YWRh', 'basic'])(
    'that are not well-formed are told so: %s',
    async (value) => {
      const { base } = await gatewayFor(guardedBy({ basic: { users: { ada: { hash } } } }))
      expect((await fetch(base, { headers: { authorization: value } })).status).toBe(400)
    },
  )

  test('are verified a few at a time, and those for whom there is no room are told to come back', async () => {
    const { base } = await gatewayFor(
      guardedBy({ basic: { users: { ada: { hash } }, concurrency: 1, queue: 2 } }),
    )
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => fetch(base, { headers: basicFields('ada', `wrong ${index}`) })),
    )
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toContain(401)
    expect(statuses).toContain(503)
    expect((await fetch(base, { headers: basicFields('ada', 'correct: horse ä') })).status).toBe(200)
  })

  test('that were right are not hashed again for a while', async () => {
    const runtime = shiftingRuntime()
    const { base } = await gatewayFor(
      guardedBy({ basic: { users: { ada: { hash } }, concurrency: 1, queue: 0 } }),
      {
        runtime,
      },
    )
    const headers = basicFields('ada', 'correct: horse ä')
    expect((await fetch(base, { headers })).status).toBe(200)
    // There is room to verify one, so that one of these would be refused, were both verified.
    const both = async (): Promise<number[]> => {
      const answers = [basicFields('ada', 'wrong'), headers].map((each) => fetch(base, { headers: each }))
      return (await Promise.all(answers)).map(({ status }) => status)
    }
    expect(await both()).toEqual([401, 200])
    runtime.pass(5 * 60_000)
    expect(await both()).toContain(503)
  })

  test('are refused when a page of another site sends them', async () => {
    const { base, got } = await gatewayFor(guardedBy({ basic: { users: { ada: { hash } } } }))
    const headers = basicFields('ada', 'correct: horse ä')
    const post = async (more: Record<string, string>): Promise<number> =>
      (await fetch(base, { method: 'POST', headers: { ...headers, ...more } })).status
    expect(await post({ origin: 'https://evil.example' })).toBe(403)
    expect(await post({ 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await post({ 'sec-fetch-site': 'same-origin' })).toBe(200)
    expect(await post({ origin: base })).toBe(200)
    expect(got).toHaveLength(2)
  })
})

describe('an issuer that is asked about tokens', () => {
  process.env['BANYAN_TEST_CLIENT_SECRET'] = 's:cret +ü'

  async function asked(answer: Parameters<typeof server>[0], more: object = {}, runtime = shiftingRuntime()) {
    const issuer = await server(answer)
    const introspection = {
      url: issuer.url,
      clientId: 'gate:way',
      clientSecret: { env: 'BANYAN_TEST_CLIENT_SECRET' },
      ...more,
    }
    const identityHeaders = { 'X-User': 'sub', 'X-Scopes': 'scopes' }
    const made = await gatewayFor(guardedBy({ introspection }, { identityHeaders }), { runtime })
    const statusOf = async (token: string): Promise<number> =>
      (await fetch(made.base, { headers: bearer(token) })).status
    return { ...made, issuer, runtime, statusOf }
  }

  test('gets the token as a form and the client as RFC 6749 encodes it; what it says is told to the service', async () => {
    const { issuer, statusOf, got } = await asked(() => ({
      body: { active: true, username: 'ada', scope: 'a b' },
    }))
    expect(await statusOf('opaque+/=')).toBe(200)
    const [{ body, headers }] = issuer.seen as [(typeof issuer.seen)[0]]
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      token: 'opaque+/=',
      token_type_hint: 'access_token',
    })
    const [, pair] = headers.authorization!.split(' ')
    expect(Buffer.from(pair!, 'base64').toString()).toBe('gate%3Away:s%3Acret+%2B%C3%BC')
    expect([got[0]!.headers['x-user'], got[0]!.headers['x-scopes']]).toEqual(['ada', 'a b'])
  })

  test('is asked once about a token for a while, also by many at the same time', async () => {
    const { issuer, statusOf, runtime } = await asked(() => ({ body: { active: true, sub: 'ada' } }))
    expect(await Promise.all([statusOf('a'), statusOf('a'), statusOf('a')])).toEqual([200, 200, 200])
    expect(await statusOf('a')).toBe(200)
    expect(issuer.seen).toHaveLength(1)
    runtime.pass(60_000)
    expect(await statusOf('a')).toBe(200)
    expect(issuer.seen).toHaveLength(2)
  })

  test('decides by `exp` how long its answer holds, and a no holds for a while too', async () => {
    const runtime = shiftingRuntime()
    const exp = Math.floor(runtime.clock.wall() / 1000) + 5
    const { issuer, statusOf } = await asked(
      ({ body }) => ({
        body: body.includes('token=bad') ? { active: false } : { active: true, sub: 'ada', exp },
      }),
      {},
      runtime,
    )
    expect([await statusOf('good'), await statusOf('bad'), await statusOf('bad')]).toEqual([200, 401, 401])
    expect(issuer.seen).toHaveLength(2)
    runtime.pass(5_000)
    expect(await statusOf('good')).toBe(401)
    runtime.pass(5_000)
    await statusOf('bad')
    expect(issuer.seen).toHaveLength(4)
  })

  test('that does not answer makes 503, not 401; what it had said counts on if that is wanted', async () => {
    let up = true
    const answer = () => (up ? { body: { active: true, sub: 'ada' } } : { status: 500, body: 'down' })
    const strict = await asked(answer)
    const lenient = await asked(answer, { useStaleFor: '10m' })
    for (const { statusOf } of [strict, lenient]) expect(await statusOf('a')).toBe(200)
    up = false
    for (const { runtime } of [strict, lenient]) runtime.pass(61_000)
    expect(await strict.statusOf('a')).toBe(503)
    expect(await strict.statusOf('new')).toBe(503)
    expect(await lenient.statusOf('a')).toBe(200)
    lenient.runtime.pass(10 * 60_000)
    expect(await lenient.statusOf('a')).toBe(503)
  })

  test('is asked about so many tokens at a time and no more', async () => {
    const waiting: (() => void)[] = []
    const { issuer, statusOf } = await asked(
      () =>
        new Promise((resolve) => {
          waiting.push(() => resolve({ body: { active: true, sub: 'ada' } }))
          if (waiting.length === 2) void refused.then(() => waiting.forEach((answer) => answer()))
        }),
      { concurrency: 2 },
    )
    let seen: (value?: unknown) => void = () => undefined
    const refused = new Promise((resolve) => (seen = resolve))
    const statuses = ['a', 'b', 'c'].map((token) => statusOf(token).then((status) => (seen(), status)))
    expect((await Promise.all(statuses)).sort()).toEqual([200, 200, 503])
    expect(issuer.seen).toHaveLength(2)
  })

  test.each([
    [{ active: 'true', sub: 'ada' }, 503],
    [{ sub: 'ada' }, 503],
    ['no JSON', 503],
    [{ active: true }, 401],
    [{ active: true, sub: 'ada', nbf: 4_000_000_000 }, 401],
    [{ active: true, sub: 'ada', exp: 1 }, 401],
    [{ active: true, sub: 'ada', aud: 'other' }, 401],
    [{ active: true, sub: 'ada', aud: ['other', 'shop'] }, 200],
  ])('that answers %j is understood as %d', async (body, status) => {
    const { statusOf } = await asked(() => ({ body }), 'aud' in Object(body) ? { audience: 'shop' } : {})
    expect(await statusOf('a')).toBe(status)
  })
})

describe('a client certificate', () => {
  const presented = {
    subject: 'CN=orders,O=Acme',
    alternativeNames: ['DNS:orders.internal', 'URI:spiffe://acme/ns/shop/sa/orders'],
    fingerprint: 'ab'.repeat(32),
  }
  const judge = (spec: object, tls?: object | null) =>
    certificate(spec, { name: 'mesh', runtime: systemRuntime, fetch }).authenticate({
      exchange: { client: { tls: tls === undefined ? { certificate: presented } : (tls ?? undefined) } },
    } as unknown as Forwarding)

  test.each([
    [{ subjects: ['CN=orders,O=Acme'] }, 'CN=orders,O=Acme'],
    [{ subjects: ['CN=*,O=Acme'] }, 'CN=orders,O=Acme'],
    [{ names: ['URI:spiffe://acme/ns/*/sa/orders'] }, 'URI:spiffe://acme/ns/shop/sa/orders'],
    [{ names: ['DNS:*.internal'] }, 'DNS:orders.internal'],
    [{ fingerprints: [Array.from({ length: 32 }, () => 'AB').join(':')] }, 'CN=orders,O=Acme'],
  ])('that fits %j is known', (spec, subject) => {
    expect(judge(spec)).toMatchObject({ kind: 'known', identity: { by: 'mesh', subject } })
  })

  test.each([
    { subjects: ['CN=*'] },
    { subjects: ['*,O=Other'] },
    { subjects: ['cn=orders,o=acme'] },
    { names: ['DNS:*'] },
    { names: ['URI:spiffe://acme/*'] },
    { names: ['URI:spiffe://acme/ns/*/sa/other'] },
    { fingerprints: ['cd'.repeat(32)] },
  ])('that does not fit %j is somebody else', (spec) => {
    expect(judge(spec)).toMatchObject({ kind: 'invalid' })
  })

  test('that is not there is none', () => {
    expect(judge({ subjects: ['*'] }, { certificate: undefined })).toEqual({ kind: 'none' })
    expect(judge({ subjects: ['*'] }, null)).toEqual({ kind: 'none' })
  })

  test('brings the scopes that are named for it', () => {
    const scopes = { 'DNS:orders.internal': ['pay'] }
    expect(judge({ names: ['DNS:*.internal'], scopes })).toMatchObject({ identity: { scopes: ['pay'] } })
  })
})

describe('access', () => {
  const key = newKey()
  const apiKey = {
    keys: {
      acme: { hash: hashKey(key), scopes: ['read', 'write'], claims: { plan: 'gold', roles: ['a', 'b'] } },
    },
  }
  const keyed = { headers: { 'x-api-key': key } }

  test('takes the first authenticator that knows who asks', async () => {
    const issuer = await Issuer.open()
    const other = await Issuer.open()
    const { base, got } = await gatewayFor({
      authenticators: {
        users: { jwt: issuer.jwt },
        partners: { jwt: { ...other.jwt, issuer: 'https://other.example/' } },
        keys: { apiKey },
      },
      routes: {
        all: {
          match: {},
          to: 's',
          access: { by: ['users', 'partners', 'keys'], identityHeaders: { 'X-By': 'by' } },
        },
      },
    })
    const byOf = async (headers: Record<string, string>): Promise<unknown> => {
      expect((await fetch(base, { headers })).status).toBe(200)
      return got.at(-1)!.headers['x-by']
    }
    expect(await byOf(bearer(await issuer.token()))).toBe('users')
    expect(await byOf(bearer(await other.token({ iss: 'https://other.example/' })))).toBe('partners')
    expect(await byOf(keyed.headers)).toBe('keys')
    const nobody = await fetch(base)
    expect(nobody.headers.get('www-authenticate')).toBe('Bearer realm="banyan", ApiKey realm="banyan"')
  })

  test('that is optional lets those pass who say nothing, not those who say something wrong', async () => {
    const { base, got } = await gatewayFor(
      guardedBy({ apiKey }, { optional: true, identityHeaders: { 'X-User': 'sub' } }),
    )
    expect((await fetch(base)).status).toBe(200)
    expect(got[0]!.headers['x-user']).toBeUndefined()
    expect((await fetch(base, keyed)).status).toBe(200)
    expect(got[1]!.headers['x-user']).toBe('acme')
    expect((await fetch(base, { headers: { 'x-api-key': 'wrong' } })).status).toBe(401)
  })

  test.each([
    [{ scopes: ['read'] }, 200],
    [{ scopes: ['read', 'admin'] }, 403],
    [{ claims: { plan: 'gold' } }, 200],
    [{ claims: { plan: ['free', 'gold'] } }, 200],
    [{ claims: { plan: 'free' } }, 403],
    [{ claims: { roles: 'b' } }, 200],
    [{ claims: { roles: ['c'] } }, 403],
    [{ claims: { toString: 'x' } }, 403],
    [{ subjects: ['ac*'] }, 200],
    [{ subjects: ['a', 'acme2'] }, 403],
    [{ rule: 'identity.subject == "acme" && "read" in identity.scopes' }, 200],
    [{ rule: 'identity.claims.level > 3' }, 403],
    [{ scopes: ['read'], rule: 'request.method == "POST"' }, 403],
  ])('allows %j: %d', async (allow, status) => {
    const { base } = await gatewayFor(guardedBy({ apiKey }, { allow }))
    expect((await fetch(base, keyed)).status).toBe(status)
    expect((await fetch(base)).status).toBe(401)
  })

  test('tells a client with a token which scopes are missing', async () => {
    const issuer = await Issuer.open()
    const { base } = await gatewayFor(
      guardedBy({ jwt: issuer.jwt }, { allow: { scopes: ['orders:read', 'x'] } }),
    )
    const answer = await fetch(base, { headers: bearer(await issuer.token({ scope: 'x y' })) })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      403,
      'Bearer realm="banyan", error="insufficient_scope", scope="orders:read x"',
    ])
  })

  test('can be a rule alone, which asks nobody who they are', async () => {
    const { base } = await gatewayFor({
      routes: {
        home: {
          match: { path: '/home' },
          to: 's',
          access: { allow: { rule: 'client.address.inNetwork("127.0.0.0/8")' } },
        },
        away: {
          match: { path: '/away' },
          to: 's',
          access: { allow: { rule: 'client.address.inNetwork("10.0.0.0/8")' } },
        },
      },
    })
    expect((await fetch(`${base}/home`)).status).toBe(200)
    expect((await fetch(`${base}/away`)).status).toBe(403)
  })

  test('on optional routes with a rule asks those who are not known for credentials', async () => {
    const rule = 'request.method == "GET" || identity.subject == "acme"'
    const { base } = await gatewayFor(guardedBy({ apiKey }, { optional: true, allow: { rule } }))
    expect((await fetch(base)).status).toBe(200)
    expect((await fetch(base, { method: 'POST' })).status).toBe(401)
    expect((await fetch(base, { method: 'POST', ...keyed })).status).toBe(200)
  })

  test.each([
    [{ by: 'nobody' }, 'routes.all.access.by: unknown authenticator `nobody`'],
    [{}, 'routes.all.access: needs `by`'],
    [{ allow: { scopes: ['a'], rule: 'true' } }, 'routes.all.access: needs `by`'],
    [
      { by: 'a', allow: { rule: 'identity.name == "x"' } },
      'routes.all.access.allow.rule: No such key: name (character 10)',
    ],
  ])('%j cannot be opened', async (access, message) => {
    const opening = gatewayFor({
      authenticators: { a: { apiKey } },
      routes: { all: { match: {}, to: 's', access } },
    })
    await expect(opening).rejects.toThrow(BanyanError)
    await expect(opening).rejects.toThrow(message)
  })

  test('holds for a switch of protocols too', async () => {
    const { port, got } = await gatewayFor(guardedBy({ apiKey }))
    const client = await RawClient.open(port)
    open.push({ close: () => client.destroy() })
    const answer = await client.ask(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    expect(answer.start).toMatch(/^401 /)
    expect(got).toHaveLength(0)
  })
})

describe('fields that tell a service who asks', () => {
  const key = newKey()
  const claims = {
    name: 'Jürgen\r\nX-Admin: 1',
    groups: ['a,b', 'c'],
    level: 3,
    admin: false,
    address: { city: 'Köln' },
  }
  const spec = {
    authenticators: {
      keys: { apiKey: { keys: { acme: { hash: hashKey(key), scopes: ['r', 'w'], claims } } } },
    },
    routes: {
      known: {
        match: { path: '/known' },
        to: 's',
        access: {
          by: 'keys',
          identityHeaders: {
            'X-User': 'sub',
            'X-Scopes': 'scopes',
            'X-Name': 'name',
            'X-Groups': 'groups',
            'X-Level': 'level',
            'X-Admin': 'admin',
            'X-City': 'address.city',
            'X-None': 'nothing',
          },
        },
      },
      marked: { match: { path: '/marked', headers: { 'X-User': '*' } }, to: 's' },
      rest: { match: {}, to: 's' },
    },
  }

  test('hold claims in a form that cannot break out of the field', async () => {
    const { base, got } = await gatewayFor(spec)
    await fetch(`${base}/known`, { headers: { 'x-api-key': key, 'x-none': 'mine' } })
    const { headers } = got[0]!
    expect(headers).toMatchObject({
      'x-user': 'acme',
      'x-scopes': 'r w',
      'x-name': 'J%C3%BCrgen%0D%0AX-Admin: 1',
      'x-groups': 'a%2Cb,c',
      'x-level': '3',
      'x-admin': 'false',
      'x-city': 'K%C3%B6ln',
    })
    expect(headers['x-none']).toBeUndefined()
  })

  test('are dropped from what clients send, on every route, under every name that a service may take for them', async () => {
    const { port, got } = await gatewayFor(spec)
    const client = await RawClient.open(port)
    open.push({ close: () => client.destroy() })
    const forged =
      'X-User: root\r\nx-user: root\r\nX_User: root\r\nX-USER: root\r\nX-Admin: 1\r\nX-Other: 1\r\n'
    for (const path of ['/', '/known', '/marked']) {
      await client.ask(
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: X-Key\r\nX-Api-Key: ${key}\r\n${forged}\r\n`,
      )
    }
    expect(got).toHaveLength(3)
    for (const { url, headers } of got) {
      expect(headers['x-user']).toBe(url === '/known' ? 'acme' : undefined)
      expect(headers['x_user']).toBeUndefined()
      expect(headers['x-admin']).toBe(url === '/known' ? 'false' : undefined)
      expect(headers['x-other']).toBe('1')
    }
  })

  test('are dropped from trailers too', async () => {
    const { port, got } = await gatewayFor(spec)
    const client = await RawClient.open(port)
    open.push({ close: () => client.destroy() })
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-User, X-Sum\r\n\r\n'
    client.send(`${head}2\r\nhi\r\n`)
    client.send('0\r\nX-User: root\r\nX_Scopes: all\r\nX-Sum: 1\r\n\r\n')
    const [answer] = await client.responses(1)
    expect(answer!.body).toBe('here you are')
    expect(got[0]!.trailers).toEqual({ 'x-sum': '1' })
  })
})

test('what authenticators remember outlives a change of routes', async () => {
  const issuer = await Issuer.open()
  const { gateway, base } = await gatewayFor(guardedBy({ jwt: issuer.jwt }))
  const headers = bearer(await issuer.token())
  expect((await fetch(base, { headers })).status).toBe(200)
  const services = { s: { endpoints: ['http://127.0.0.1:1'] } }
  await gateway.apply({ services, ...guardedBy({ jwt: issuer.jwt }, { allow: { scopes: ['x'] } }) })
  expect((await fetch(base, { headers })).status).toBe(403)
  expect(issuer.fetches).toBe(1)
})

test('rate limits count by who asks, by a claim, by each key; those who are not known by address', async () => {
  const keys = [newKey(), newKey(), newKey()] as const
  const { base } = await gatewayFor({
    authenticators: {
      keys: {
        apiKey: {
          keys: {
            one: { hash: hashKey(keys[0]), subject: 'acme', claims: { plan: 'gold' } },
            two: { hash: hashKey(keys[1]), subject: 'acme', claims: { plan: 'gold' } },
            three: { hash: hashKey(keys[2]), subject: '127.0.0.1', claims: { plan: 'gold' } },
          },
        },
      },
    },
    policies: Object.fromEntries(
      ['identity', 'key', 'identity:plan'].map((by) => [
        by.replace(':', '-'),
        { rateLimit: { limit: 1, window: '1h', by } },
      ]),
    ),
    routes: Object.fromEntries(
      ['identity', 'key', 'identity-plan'].map((policy) => [
        policy,
        { match: { path: `/${policy}` }, to: 's', policy, access: { by: 'keys', optional: true } },
      ]),
    ),
  })
  const statuses = async (path: string): Promise<number[]> => {
    const all: number[] = []
    for (const key of [...keys, undefined]) {
      all.push(
        (await fetch(`${base}/${path}`, { headers: key === undefined ? {} : { 'x-api-key': key } })).status,
      )
    }
    return all
  }
  expect(await statuses('identity')).toEqual([200, 429, 200, 200])
  expect(await statuses('key')).toEqual([200, 200, 200, 200])
  expect(await statuses('key')).toEqual([429, 429, 429, 429])
  expect(await statuses('identity-plan')).toEqual([200, 429, 429, 200])
})

test('an answer for somebody who is known is no stale answer for others', async () => {
  const keys = [newKey(), newKey()] as const
  const { base, got, close } = await gatewayFor({
    authenticators: {
      keys: { apiKey: { keys: { a: { hash: hashKey(keys[0]) }, b: { hash: hashKey(keys[1]) } } } },
    },
    policies: { p: { fallback: { staleFor: '1h' } } },
    routes: { all: { match: {}, to: 's', policy: 'p', access: { by: 'keys' } } },
  })
  const statusOf = async (key: string): Promise<number> =>
    (await fetch(base, { headers: { 'x-api-key': key } })).status
  expect(await statusOf(keys[0])).toBe(200)
  expect(got).toHaveLength(1)
  close()
  expect([await statusOf(keys[0]), await statusOf(keys[1])]).toEqual([502, 502])
})

test('requests of an aggregation count for whoever it answers', async () => {
  const keys = [newKey(), newKey()] as const
  const upstream = await server(() => ({ body: { ok: true } }))
  const { base } = await gatewayFor({
    services: { s: { endpoints: [upstream.url], policy: 'p' } },
    authenticators: {
      keys: { apiKey: { keys: { a: { hash: hashKey(keys[0]) }, b: { hash: hashKey(keys[1]) } } } },
    },
    policies: { p: { rateLimit: { limit: 1, window: '1h', by: 'identity' } } },
    routes: {
      all: {
        match: {},
        access: { by: 'keys' },
        aggregate: { branches: { one: { service: 's', path: '/' } } },
      },
    },
  })
  const statusOf = async (key: string): Promise<number> =>
    (await fetch(base, { headers: { 'x-api-key': key } })).status
  expect([await statusOf(keys[0]), await statusOf(keys[1])]).toEqual([200, 200])
  expect(await statusOf(keys[0])).not.toBe(200)
  expect(upstream.seen).toHaveLength(2)
})
