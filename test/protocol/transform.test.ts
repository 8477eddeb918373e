import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { Gateway } from '../../src/traffic/gateway/index.js'
import type { TransformSpec } from '../../src/traffic/gateway/filters/transform/spec.js'
import { checkSource } from '../../src/node/config/load.js'
import { formatProblem } from '../../src/node/config/problem.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'
import { ScriptedUpstream } from '../support/scripted.js'

afterEach(closeAll)

async function setUp(transform: TransformSpec) {
  const upstream = await ScriptedUpstream.open()
  open.push(upstream)
  const gateway = await Gateway.open({
    services: { s: { endpoints: [upstream.url] } },
    routes: { items: { match: { path: '/items/:id' }, to: 's', transform } },
  })
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = await RawClient.open(port)
  open.push({ close: () => client.destroy() })
  return { upstream, client }
}

const post = (body: string, more = 'Content-Type: application/json\r\n', path = '/items/7'): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

describe('a request', () => {
  test('gets the body, the query and the fields that are made of its values', async () => {
    const { upstream, client } = await setUp({
      request: {
        query: {
          set: { page: '$(request.query.p)', tag: '$(request.body.tags)', none: '$(request.query.none)' },
          remove: ['p'],
        },
        headers: {
          set: { 'X-Id': 'item $(request.params.id)', 'X-None': '$(request.query.none)' },
          remove: ['X-Old'],
        },
        body: {
          item: { id: '$(request.body.id)', big: '$(request.body.big)' },
          by: '$(request.headers."x-user")',
        },
      },
    })
    client.send(
      post(
        '{"id":1,"big":12345678901234567890,"tags":["a b","c"],"drop":true}',
        'Content-Type: application/json\r\nX-User: ada\r\nX-Old: 1\r\nX-None: 1\r\nContent-Digest: sha-256=:x:\r\n',
        '/items/7?p=2&keep=%41+x&tag=old',
      ),
    )
    const held = await upstream.request('POST /items/7?keep=%41+x&page=2&tag=a+b&tag=c')
    expect(held.body).toBe('{"item":{"id":1,"big":12345678901234567890},"by":"ada"}')
    expect(held.field('Content-Length')).toBe(String(held.body.length))
    expect(held.field('X-Id')).toBe('item 7')
    for (const name of ['X-None', 'X-Old', 'Content-Digest']) expect(held.field(name)).toBeUndefined()
  })

  test('that is compressed is read, and goes on plain', async () => {
    const { upstream, client } = await setUp({ request: { body: '$(request.body.inner)' } })
    client.send(
      post(
        gzipSync('{"inner":[1]}').toString('latin1'),
        'Content-Type: application/json\r\nContent-Encoding: gzip\r\n',
      ),
    )
    const held = await upstream.request('POST /items/7')
    expect(held.body).toBe('[1]')
    expect(held.field('Content-Encoding')).toBeUndefined()
  })

  test('that is not JSON streams through', async () => {
    const { upstream, client } = await setUp({
      request: { body: { x: 1 }, headers: { set: { 'X-A': '$(request.body.a)b' } } },
    })
    client.send(post('a=1', 'Content-Type: text/plain\r\n'))
    const held = await upstream.request('POST /items/7')
    expect(held.body).toBe('a=1')
    expect(held.field('X-A')).toBe('b')
    held.json({})
    await client.responses(1)
    client.send(get('/items/7'))
    expect((await upstream.request('/items/7')).body).toBe('')
  })

  test('is left alone unless the condition holds', async () => {
    const { upstream, client } = await setUp({
      request: { when: "request.query.v == '1'", headers: { set: { 'X-Old': 'yes' } } },
    })
    client.send(get('/items/7?v=1'))
    const old = await upstream.request('/items/7?v=1')
    expect(old.field('X-Old')).toBe('yes')
    old.json({})
    await client.responses(1)
    client.send(get('/items/7?v=2'))
    expect((await upstream.request('/items/7?v=2')).field('X-Old')).toBeUndefined()
  })

  test.each([
    ['is no JSON', post('{'), 400],
    ['is larger than allowed', post(`"${'x'.repeat(2000)}"`), 413],
    ['does not fit an expression', post('{"a":1}'), 400],
    ['would break a header field', post('{"a":["x\\r\\nY: z"]}'), 400],
  ])('is refused if it %s', async (_name, request, status) => {
    const { upstream, client } = await setUp({
      maxBytes: '1kB',
      request: { headers: { set: { 'X-A': "$(join(',', request.body.a))" } } },
    })
    expect(problem(await client.ask(request)).status).toBe(status)
    expect(upstream.seen).toEqual([])
  })
})

describe('an answer', () => {
  const SHAPED: TransformSpec = {
    response: {
      headers: { set: { 'X-Count': '$(length(response.body.items))' }, remove: ['X-Internal'] },
      body: { names: '$(response.body.items[].name)', for: '$(request.headers."x-user")' },
    },
  }

  test('gets the body and the fields that are made of its values', async () => {
    const { upstream, client } = await setUp(SHAPED)
    client.send(get('/items/7', 'X-User: ada\r\nRange: bytes=0-1\r\nAccept-Encoding: zstd, br\r\n'))
    const held = await upstream.request('/items/7')
    expect(held.field('Range')).toBeUndefined()
    expect(held.field('Accept-Encoding')).toBe('br')
    held.json(
      { items: [{ name: 'é' }, { name: 'b' }] },
      'X-Internal: 1\r\nContent-Digest: x\r\nAccept-Ranges: bytes\r\nCache-Control: max-age=5\r\n',
    )
    const answer = (await client.responses(1))[0]!
    expect(Buffer.from(answer.body, 'latin1').toString()).toBe('{"names":["é","b"],"for":"ada"}')
    expect(field(answer, 'x-count')).toBe('2')
    expect(field(answer, 'vary')).toBe('x-user')
    expect(field(answer, 'cache-control')).toBe('max-age=5')
    for (const name of ['x-internal', 'content-digest', 'accept-ranges'])
      expect(field(answer, name)).toBeUndefined()
  })

  test('that is compressed is decoded first', async () => {
    const { upstream, client } = await setUp(SHAPED)
    client.send(get('/items/7', 'Accept-Encoding: gzip\r\n'))
    const data = gzipSync('{"items":[]}').toString('latin1')
    ;(await upstream.request('/items/7')).reply(
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: ${data.length}\r\n\r\n${data}`,
    )
    const answer = (await client.responses(1))[0]!
    expect(answer.body).toBe('{"names":[],"for":null}')
    expect(field(answer, 'content-encoding')).toBeUndefined()
  })

  test('has a tag of its own, which the service gets back as its own', async () => {
    const { upstream, client } = await setUp(SHAPED)
    client.send(get('/items/7'))
    ;(await upstream.request('/items/7')).json({ items: [] }, 'ETag: "abc"\r\n')
    const etag = field((await client.responses(1))[0]!, 'etag')!
    expect(etag).toMatch(/^"abc-[0-9a-f]{8}"$/)
    client.send(get('/items/7', `If-None-Match: "x", ${etag}\r\n`))
    const again = await upstream.request('/items/7')
    expect(again.field('If-None-Match')).toBe('"x", "abc"')
    again.reply('HTTP/1.1 304 Not Modified\r\nETag: "abc"\r\n\r\n')
    const unchanged = (await client.responses(1))[0]!
    expect(unchanged.start).toBe('304 Not Modified 1.1')
    expect(field(unchanged, 'etag')).toBe(etag)
  })

  test('to HEAD says no length of a body that nobody has made', async () => {
    const { upstream, client } = await setUp({ response: { body: '$(response.body.a)' } })
    client.send('HEAD /items/7 HTTP/1.1\r\nHost: a\r\n\r\n')
    ;(await upstream.request('HEAD /items/7')).reply(
      'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\nETag: "abc"\r\n\r\n',
    )
    const answer = (await client.responses(1, 'HEAD'))[0]!
    expect(field(answer, 'content-length')).toBeUndefined()
    expect(field(answer, 'etag')).toMatch(/^"abc-/)
  })

  test('that is not JSON streams through, part by part', async () => {
    const { upstream, client } = await setUp({ response: { body: { x: 1 } } })
    client.send(get('/items/7'))
    const held = await upstream.request('/items/7')
    held.reply(
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n',
    )
    await client.until((text) => text.includes('one'))
    held.reply('3\r\ntwo\r\n0\r\n\r\n')
    const answer = (await client.responses(1))[0]!
    expect(answer.body).toBe('onetwo')
    expect(field(answer, 'etag')).toBe('"a"')
  })

  test('of another status is left alone, unless a condition asks for it', async () => {
    for (const [when, expected] of [
      [undefined, '{"error":"x"}'],
      ['response.status == `404`', '{"message":"x"}'],
    ] as const) {
      const { upstream, client } = await setUp({
        response: {
          ...(when ? { when, status: '$(`410`)' } : {}),
          body: { message: '$(response.body.error)' },
        },
      })
      client.send(get('/items/7'))
      ;(await upstream.request('/items/7')).json({ error: 'x' }, '', '404 Not Found')
      const answer = (await client.responses(1))[0]!
      expect(answer.body).toBe(expected)
      expect(answer.start).toBe(when ? '410 Gone 1.1' : '404 Not Found 1.1')
    }
  })

  test('whose body is only read goes on byte for byte', async () => {
    const { upstream, client } = await setUp({
      response: { headers: { set: { 'X-Id': '$(response.body.id)' } } },
    })
    client.send(get('/items/7'))
    ;(await upstream.request('/items/7')).json('{ "id" : 1.0 }', 'ETag: "a"\r\n')
    const answer = (await client.responses(1))[0]!
    expect(answer.body).toBe('{ "id" : 1.0 }')
    expect(field(answer, 'x-id')).toBe('1')
    expect(field(answer, 'etag')).toBe('"a"')
  })

  test.each([
    ['is no JSON', 'Content-Length: 1\r\n\r\n{'],
    ['is coded in a way unknown here', 'Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}'],
    ['is larger than allowed', `Content-Length: 5000\r\n\r\n"${'x'.repeat(4000)}`],
    ['does not fit an expression', 'Content-Length: 9\r\n\r\n{"a":"x"}'],
    ['would break a header field', 'Content-Length: 14\r\n\r\n{"a":["x\\ny"]}'],
  ])('that %s is a 502, and never goes on unchanged', async (_name, rest) => {
    const { upstream, client } = await setUp({
      maxBytes: '2kB',
      response: { headers: { set: { 'X-A': "$(join(',', response.body.a))" } }, body: {} },
    })
    client.send(get('/items/7'))
    const held = await upstream.request('/items/7')
    held.reply(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${rest}`)
    expect(problem((await client.responses(1))[0]!)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:answer-unusable',
    })
  })
})

test('the check tells mistakes with their places', () => {
  const yaml = `listen: 8080
services: { s: { endpoints: [http://127.0.0.1:1] } }
routes:
  a:
    match: { path: /a/:id }
    to: s
    transform:
      request:
        when: response.status
        headers: { set: { Host: x, X-A: $(request.params.key) } }
      response:
        when: response.body.a
        body: { a: [$(response.boddy)] }
`
  const loaded = checkSource('f', readYaml(yaml, {}))
  expect((loaded.ok ? [] : loaded.problems).map(formatProblem)).toEqual([
    'f:9:15: routes.a.transform.request.when: unknown value `response`',
    'f:10:27: routes.a.transform.request.headers.set.Host: `Host` is set by the gateway itself and cannot be changed',
    'f:10:41: routes.a.transform.request.headers.set.X-A: `:key` is no part of the path that the route matches',
    'f:12:15: routes.a.transform.response.when: `response` has no `body`; it has status, headers',
    'f:13:21: routes.a.transform.response.body.a[0]: `response` has no `boddy`; it has status, headers, body: write `response.body.boddy`?',
  ])
})
