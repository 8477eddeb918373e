import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { noTelemetry, type Attributes, type Telemetry } from '../../src/core/telemetry.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { Gateway } from '../../src/traffic/gateway/index.js'
import type { OpenApiSpec } from '../../src/traffic/gateway/filters/openapi/spec.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'
import { ScriptedUpstream } from '../support/scripted.js'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-openapi-'))
})
afterEach(closeAll)

const API = `openapi: 3.1.0
info: { title: Orders, version: '1' }
paths:
  /orders:
    get:
      parameters:
        - { name: limit, in: query, schema: { type: integer, maximum: 100 } }
        - { name: tag, in: query, schema: { type: array, items: { type: string }, maxItems: 2 } }
        - { name: X-Tenant, in: header, required: true, schema: { type: string, pattern: '^[a-z]+$' } }
        - { name: session, in: cookie, schema: { type: string, minLength: 4 } }
        - { name: filter, in: query, content: { application/json: { schema: { type: object } } } }
      responses:
        '200': { content: { application/json: { schema: { type: array, items: { $ref: '#/components/schemas/Order' } } } } }
    post:
      requestBody:
        required: true
        content:
          application/json: { schema: { $ref: '#/components/schemas/Order' } }
          application/x-www-form-urlencoded:
            schema: { type: object, required: [total], properties: { total: { type: number }, tags: { type: array } } }
          image/*: {}
      responses:
        '201': { description: made }
  /orders/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: integer, minimum: 1 } }]
    get: { responses: { default: { description: any } } }
    delete: { responses: { '204': { description: gone } } }
components:
  schemas:
    Order:
      type: object
      required: [id, total]
      additionalProperties: false
      properties:
        id: { type: integer, readOnly: true }
        total: { type: number, exclusiveMinimum: 0 }
        at: { type: string, format: date-time }
        state: { enum: [open, done] }
        parts: { type: array, items: { $ref: '#/components/schemas/Order' } }
`

/** A gateway in front of one upstream, whose API a document describes. */
async function setUp(
  spec: Partial<OpenApiSpec> = {},
  options: { api?: string; route?: object; telemetry?: Telemetry } = {},
) {
  const { api = API, route = {}, telemetry = noTelemetry } = options
  const document = join(directory, 'api.yaml')
  writeFileSync(document, api)
  const runtime = virtualRuntime({ telemetry })
  const upstream = await ScriptedUpstream.open()
  open.push(upstream)
  const gateway = await Gateway.open(
    {
      services: { orders: { endpoints: [upstream.url], openapi: { document, ...spec } } },
      routes: { orders: { match: {}, to: 'orders', ...route } },
    },
    { runtime },
  )
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = await RawClient.open(port)
  open.push({ close: () => client.destroy() })
  return { upstream, client, runtime, document, gateway }
}

const TENANT = 'X-Tenant: a\r\n'
const post = (body: string, type = 'application/json', more = '', path = '/orders'): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n${more}\r\n${body}`

describe('a request that keeps the document', () => {
  test.each([
    [
      'GET /orders?limit=5&tag=a&tag=b&filter=%7B%7D',
      get('/orders?limit=5&tag=a&tag=b&filter=%7B%7D', `${TENANT}Cookie: session=abcd\r\n`),
    ],
    ['POST /orders', post('{"total":1,"at":"2026-01-01T00:00:00Z","state":"open","parts":[{"total":2}]}')],
    ['POST /orders', post('total=1.5&tags=a&tags=b', 'application/x-www-form-urlencoded')],
    ['POST /orders', post('not looked at', 'image/png')],
    [
      'POST /orders',
      post(
        gzipSync('{"total":1}').toString('latin1'),
        'application/json; charset=utf-8',
        'Content-Encoding: gzip\r\n',
      ),
    ],
    ['DELETE /orders/7', 'DELETE /orders/7 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('passes: %s', async (target, request) => {
    const { upstream, client } = await setUp()
    client.send(request)
    const held = await upstream.request(target)
    expect(held.body).toBe(request.slice(request.indexOf('\r\n\r\n') + 4))
    held.json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
  })

  test('and comes in parts, with a client that waits for 100, reaches the service whole', async () => {
    const { upstream, client } = await setUp()
    client.send(
      'POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n',
    )
    await client.until((text) => text.includes('100 Continue\r\n\r\n'))
    client.send('5\r\n{"tot\r\n6\r\nal":1}\r\n0\r\n\r\n')
    const held = await upstream.request('POST /orders')
    expect(held.body).toBe('{"total":1}')
    expect(held.field('Expect')).toBeUndefined()
    held.json({})
    expect((await client.responses(2)).map(({ start }) => start)).toEqual(['100 Continue 1.1', '200 OK 1.1'])
  })
})

describe('a request that breaks the document is refused, and told why', () => {
  test.each([
    [
      'a parameter of the wrong type',
      get('/orders?limit=many', TENANT),
      400,
      [{ in: 'query', name: 'limit', pointer: '#', detail: 'must be integer' }],
    ],
    [
      'a parameter out of bounds',
      get('/orders?limit=101', TENANT),
      400,
      [{ in: 'query', name: 'limit', pointer: '#', detail: 'must be <= 100' }],
    ],
    [
      'too many of a list',
      get('/orders?tag=a&tag=b&tag=c', TENANT),
      400,
      [{ in: 'query', name: 'tag', pointer: '#', detail: 'must NOT have more than 2 items' }],
    ],
    [
      'a parameter twice that stands once',
      get('/orders?limit=1&limit=2', TENANT),
      400,
      [{ in: 'query', name: 'limit', pointer: '#', detail: 'stands more than once' }],
    ],
    [
      'a missing header field',
      get('/orders'),
      400,
      [{ in: 'header', name: 'X-Tenant', pointer: '#', detail: 'is missing' }],
    ],
    [
      'a header field against its pattern',
      get('/orders', 'X-Tenant: A1\r\n'),
      400,
      [{ in: 'header', name: 'X-Tenant', pointer: '#', detail: 'must match pattern "^[a-z]+$"' }],
    ],
    [
      'a cookie that is too short',
      get('/orders', `${TENANT}Cookie: session=abc\r\n`),
      400,
      [{ in: 'cookie', name: 'session', pointer: '#', detail: 'must NOT have fewer than 4 characters' }],
    ],
    [
      'a parameter that is no JSON',
      get('/orders?filter=x', TENANT),
      400,
      [{ in: 'query', name: 'filter', pointer: '#', detail: 'is not JSON' }],
    ],
    [
      'a part of the path',
      get('/orders/0'),
      400,
      [{ in: 'path', name: 'id', pointer: '#', detail: 'must be >= 1' }],
    ],
    ['a body that is missing', post(''), 400, [{ in: 'body', pointer: '#', detail: 'is missing' }]],
    [
      'a body that is no JSON',
      post('{'),
      400,
      [{ in: 'body', pointer: '#', detail: 'it is not JSON in UTF-8' }],
    ],
    [
      'a name that stands twice',
      post('{"total":1,"total":2}'),
      400,
      [{ in: 'body', pointer: '#', detail: 'a name stands twice in one object' }],
    ],
    [
      'a body that does not end',
      post(`${'['.repeat(100)}${']'.repeat(100)}`),
      400,
      [{ in: 'body', pointer: '#', detail: 'it is deeper than 64 levels' }],
    ],
    [
      'a body with several mistakes',
      post('{"at":"yesterday","state":"gone","more":1,"parts":[{"total":0}]}'),
      422,
      [
        { in: 'body', pointer: '#/total', detail: 'is missing' },
        { in: 'body', pointer: '#/more', detail: 'is not a property that may be here' },
        { in: 'body', pointer: '#/at', detail: 'must match format "date-time"' },
        {
          in: 'body',
          pointer: '#/state',
          detail: 'must be equal to one of the allowed values: "open", "done"',
        },
        { in: 'body', pointer: '#/parts/0/total', detail: 'must be > 0' },
      ],
    ],
    [
      'a form',
      post('tags=a', 'application/x-www-form-urlencoded'),
      422,
      [{ in: 'body', pointer: '#/total', detail: 'is missing' }],
    ],
  ])('%s', async (_name, request, status, errors) => {
    const { upstream, client } = await setUp()
    const answer = await client.ask(request)
    expect(problem(answer)).toMatchObject({ status, errors })
    expect(upstream.seen).toEqual([])
  })

  test.each([
    [
      'a type that is not taken',
      post('x', 'text/plain'),
      415,
      'unsupported-media-type',
      ['accept', 'application/json, application/x-www-form-urlencoded, image/*'],
    ],
    [
      'a body where none belongs',
      post('x', 'text/plain', '', '/orders/7').replace('POST', 'DELETE'),
      415,
      'unsupported-media-type',
      undefined,
    ],
    [
      'a coding that is not known',
      post('x', 'application/json', 'Content-Encoding: zstd\r\n'),
      415,
      'unsupported-media-type',
      undefined,
    ],
    ['a body that is too large', post(`"${'x'.repeat(1000)}"`), 413, 'body-too-large', undefined],
    [
      'a body that grows too large',
      post(
        gzipSync(Buffer.alloc(100_000)).toString('latin1'),
        'application/json',
        'Content-Encoding: gzip\r\n',
      ),
      413,
      'body-too-large',
      undefined,
    ],
    ['a path that is not described', get('/customers'), 404, 'operation-unknown', undefined],
    [
      'a method that is not described',
      get('/orders/7').replace('GET', 'PUT'),
      405,
      'method-not-allowed',
      ['allow', 'DELETE, GET'],
    ],
  ])('%s', async (_name, request, status, kind, header) => {
    const { client } = await setUp({ maxBytes: 900 })
    const answer = await client.ask(request)
    expect(problem(answer)).toMatchObject({ status, type: `urn:banyan:problem:${kind}` })
    if (header) expect(field(answer, header[0]!)).toBe(header[1])
  })

  test('a client is told so many mistakes and no more', async () => {
    const { client } = await setUp({ maxErrors: 3 })
    const parts = JSON.stringify({ total: 1, parts: Array.from({ length: 500 }, () => ({})) })
    const small = problem(await client.ask(post(parts))) as unknown as { errors: unknown[] }
    expect(small.errors).toHaveLength(3)
    // All mistakes of a large body could be millions: it is left at the first.
    const large = JSON.stringify({ total: 1, parts: Array.from({ length: 50_000 }, () => ({})) })
    const first = problem(await client.ask(post(large))) as unknown as { errors: unknown[] }
    expect(first.errors).toEqual([{ in: 'body', pointer: '#/parts/0/total', detail: 'is missing' }])
  })
})

describe('the document', () => {
  test('is matched with the path that the service gets', async () => {
    const { upstream, client } = await setUp(
      { base: '/v1' },
      { route: { match: { path: '/shop/*' }, rewrite: { path: '/v1/orders' } } },
    )
    client.send(get('/shop/7'))
    ;(await upstream.request('/v1/orders/7')).json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
    expect(problem(await client.ask(get('/shop/x'))).status).toBe(400)
  })

  test('may leave alone what it does not know', async () => {
    const { upstream, client } = await setUp({ unknown: 'pass' })
    client.send(get('/customers'))
    ;(await upstream.request('/customers')).json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
  })

  test('is read again when it has changed, and a wrong one changes nothing', async () => {
    const { client, document, runtime } = await setUp()
    expect(problem(await client.ask(get('/orders/0'))).status).toBe(400)
    writeFileSync(document, API.replace('minimum: 1', 'minimum: 5'))
    await runtime.clock.advance('1s')
    expect(await client.ask(get('/orders/4')).then(({ body }) => body)).toContain('must be >= 5')
    writeFileSync(document, 'openapi: 2')
    await runtime.clock.advance('1s')
    expect(await client.ask(get('/orders/3')).then(({ body }) => body)).toContain('must be >= 5')
  })

  test('of 3.0 means what 3.0 says', async () => {
    const api = API.replace('3.1.0', '3.0.3')
      .replace('exclusiveMinimum: 0', 'minimum: 0, exclusiveMinimum: true')
      .replace('format: date-time', 'format: date-time, nullable: true')
    const { upstream, client } = await setUp({}, { api })
    client.send(post('{"total":1,"at":null}'))
    ;(await upstream.request('POST /orders')).json({})
    await client.responses(1)
    expect(await client.ask(post('{"total":0}')).then(({ body }) => body)).toContain('must be > 0')
  })

  test('that is wrong opens no gateway', async () => {
    await expect(setUp({}, { api: API.replace('type: integer', 'type: int') })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
      message: expect.stringMatching(
        /^routes\.orders\.openapi: .*api\.yaml: 7:\d+: is not a JSON Schema/,
      ) as string,
    })
  })
})

describe('a dry run', () => {
  /** Counts, and keeps what is logged. */
  function listening() {
    const counts: Record<string, number> = {}
    const logs: Attributes[] = []
    let changed = (): void => undefined
    const telemetry: Telemetry = {
      ...noTelemetry,
      counter: (name) => ({
        add: (amount) => {
          counts[name] = (counts[name] ?? 0) + amount
        },
      }),
      log: (_level, _message, attributes = {}) => {
        logs.push(attributes)
        changed()
      },
    }
    const logged = async (): Promise<void> => {
      if (logs.length === 0) await new Promise<void>((resolve) => (changed = resolve))
    }
    return { counts, logs, telemetry, logged }
  }

  test('of requests refuses none, and tells operators', async () => {
    const { counts, logs, telemetry } = listening()
    const { upstream, client } = await setUp({ requests: 'log' }, { telemetry })
    client.send(get('/orders/0'))
    ;(await upstream.request('/orders/0')).json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
    expect(counts['banyan.openapi.invalid_requests']).toBe(1)
    expect(logs[0]!['banyan.openapi.errors']).toContain('must be >= 1')
  })

  test('of requests lets a body pass that is too large to check', async () => {
    const { upstream, client } = await setUp({ requests: 'log', maxBytes: 10 })
    client.send(post('{"total":1000000}'))
    ;(await upstream.request('POST /orders')).json({})
    expect((await client.responses(1))[0]!.start).toBe('200 OK 1.1')
  })

  test('of answers changes none, and tells operators', async () => {
    const { counts, logs, telemetry, logged } = listening()
    const { upstream, client } = await setUp({ responses: 'log' }, { telemetry })
    client.send(get('/orders', TENANT))
    ;(await upstream.request('/orders')).json([{ id: 1, total: -1 }])
    const answer = (await client.responses(1))[0]!
    expect(answer.body).toBe('[{"id":1,"total":-1}]')
    await logged()
    expect(counts['banyan.openapi.invalid_responses']).toBe(1)
    expect(logs[0]).toMatchObject({
      'url.template': '/orders',
      'http.response.status_code': 200,
      'banyan.openapi.errors': '#/0/total must be > 0',
    })
  })

  test('of answers asks for what only the service writes, and knows its statuses and types', async () => {
    for (const [reply, expected] of [
      [
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n[{"total": 1}]',
        '#/0/id is missing',
      ],
      ['HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n', 'the status 202 is not described'],
      [
        'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx',
        'the type text/html is not described',
      ],
    ]) {
      const { logs, telemetry, logged } = listening()
      const { upstream, client } = await setUp({ responses: 'log' }, { telemetry })
      client.send(get('/orders', TENANT))
      ;(await upstream.request('/orders')).reply(reply!.replace('13', '14'))
      await client.responses(1)
      await logged()
      expect(logs[0]!['banyan.openapi.errors']).toBe(expected)
    }
  })
})
