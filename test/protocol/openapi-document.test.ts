import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../src/testing/index.js'
import { Gateway, type GatewaySpec } from '../../src/traffic/gateway/index.js'
import { publicPath } from '../../src/traffic/gateway/responders/openapi-document/public-path.js'
import { Contract } from '../../src/traffic/gateway/filters/openapi/contract.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-document-'))
})
afterEach(closeAll)

const ORDERS = `openapi: 3.1.0
info: { title: Orders, version: '1' }
servers: [{ url: https://inside.example:4001/v1 }]
security: [{ key: [] }]
tags: [{ name: orders }]
paths:
  /orders:
    parameters: [{ $ref: '#/components/parameters/page' }]
    servers: [{ url: https://inside.example }]
    get:
      operationId: list
      tags: [orders]
      parameters: [{ name: page, in: query, description: mine, schema: { type: integer } }]
      responses: { 200: { content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } } }
    post: { operationId: make, servers: [{ url: https://inside.example }], responses: {} }
  /orders/{id}:
    get:
      operationId: read
      parameters: [{ name: id, in: path, required: true, schema: { $ref: '#/components/schemas/Id' } }]
      responses: { 200: { $ref: '#/components/responses/One' } }
  /internal: { get: { responses: {} } }
components:
  securitySchemes: { key: { type: apiKey, in: header, name: X-Key } }
  parameters: { page: { name: page, in: query, schema: { type: integer } } }
  responses: { One: { description: one, content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } } }
  schemas:
    Id: { type: string }
    Unused: { type: string }
    Order:
      type: object
      properties: { id: { $ref: '#/components/schemas/Id' }, parts: { type: array, items: { $ref: '#/components/schemas/Order' } } }
`

const USERS = `openapi: 3.0.3
info: { title: Users, version: '1' }
paths:
  /users/{id}:
    get:
      operationId: read
      parameters: [{ name: id, in: path, required: true, schema: { $ref: '#/components/schemas/Id' } }]
      responses:
        200: { description: one, content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } }
components:
  schemas:
    Id: { type: string }
    Order: { type: object, properties: { first: { type: string, nullable: true, example: { $ref: x } } } }
`

async function setUp(routes: GatewaySpec['routes'], more: Partial<GatewaySpec> = {}) {
  const document = (name: string, text: string): string => {
    const file = join(directory, `${name}.yaml`)
    writeFileSync(file, text)
    return file
  }
  const endpoints = ['http://127.0.0.1:1']
  const runtime = virtualRuntime()
  const spec: GatewaySpec = {
    services: {
      orders: { endpoints, openapi: document('orders', ORDERS) },
      users: { endpoints, openapi: document('users', USERS) },
      other: { endpoints },
    },
    routes: {
      docs: { match: { path: '/openapi.json' }, openapiDocument: { title: 'Shop', version: '3' } },
      ...routes,
    },
    ...more,
  }
  const gateway = await Gateway.open(spec, { runtime })
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const client = await RawClient.open(port)
  open.push({ close: () => client.destroy() })
  const read = async (): Promise<Record<string, never>> =>
    JSON.parse((await client.ask(get('/openapi.json'))).body) as Record<string, never>
  return { client, read, document, runtime, gateway, spec }
}

const ROUTES: GatewaySpec['routes'] = {
  orders: { match: { path: '/shop/*', method: ['GET'] }, rewrite: { path: '/v1/orders' }, to: 'orders' },
  users: { match: { path: '/users/*' }, to: 'users' },
  page: { match: { path: '/pages/:id' }, to: 'other' },
}

describe('the merged document', () => {
  test('has the paths that clients ask for, with components of all services, and nothing of addresses', async () => {
    const { read } = await setUp(ROUTES)
    const document = await read()
    expect(document).toEqual({
      openapi: '3.1.0',
      info: { title: 'Shop', version: '3' },
      paths: {
        '/pages/{id}': {
          get: {
            summary: 'page',
            parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
            responses: { default: { description: 'Not described.' } },
          },
        },
        '/shop': {
          get: {
            operationId: 'list',
            tags: ['orders'],
            parameters: [{ name: 'page', in: 'query', description: 'mine', schema: { type: 'integer' } }],
            responses: {
              200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } } },
            },
            security: [{ key: [] }],
          },
        },
        '/shop/{id}': {
          get: {
            operationId: 'read',
            parameters: [
              { name: 'id', in: 'path', required: true, schema: { $ref: '#/components/schemas/Id' } },
            ],
            responses: { 200: { $ref: '#/components/responses/One' } },
            security: [{ key: [] }],
          },
        },
        '/users/{id}': {
          get: {
            operationId: 'users_read',
            parameters: [
              { name: 'id', in: 'path', required: true, schema: { $ref: '#/components/schemas/Id' } },
            ],
            responses: {
              200: {
                description: 'one',
                content: { 'application/json': { schema: { $ref: '#/components/schemas/users_Order' } } },
              },
            },
          },
        },
      },
      components: {
        responses: {
          One: {
            description: 'one',
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' } } },
          },
        },
        securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } },
        schemas: {
          Id: { type: 'string' },
          Order: {
            type: 'object',
            properties: {
              id: { $ref: '#/components/schemas/Id' },
              parts: { type: 'array', items: { $ref: '#/components/schemas/Order' } },
            },
          },
          users_Order: {
            type: 'object',
            properties: { first: { type: ['string', 'null'], example: { $ref: 'x' } } },
          },
        },
      },
      tags: [{ name: 'orders' }],
    })
    expect(new Contract(JSON.stringify(document), undefined, 10).problems).toEqual([])
  })

  test('says what `access` asks of clients, in place of what the service says', async () => {
    const secret = join(directory, 'secret')
    writeFileSync(secret, 'x'.repeat(64))
    const { read } = await setUp(
      {
        orders: { ...ROUTES['orders']!, access: { by: ['staff', 'keys'], allow: { scopes: ['read'] } } },
      },
      {
        authenticators: {
          staff: {
            jwt: { keys: { secret: { file: secret } }, issuer: 'i', audience: 'a' },
          },
          keys: { apiKey: { keys: {} } },
        },
      },
    )
    const document = (await read()) as unknown as {
      paths: Record<string, { get: { security: unknown } }>
      components: { securitySchemes: unknown }
    }
    expect(document.paths['/shop']!.get.security).toEqual([{ staff: ['read'] }, { keys: ['read'] }])
    expect(document.components.securitySchemes).toEqual({
      staff: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      keys: { type: 'apiKey', in: 'header', name: 'X-Api-Key' },
    })
  })

  test('is not sent again to who has it, and only read', async () => {
    const { client } = await setUp(ROUTES)
    const etag = field(await client.ask(get('/openapi.json')), 'etag')!
    const again = await client.ask(get('/openapi.json', `If-None-Match: ${etag}\r\n`))
    expect(again.start).toBe('304 Not Modified 1.1')
    const written = await client.ask('PUT /openapi.json HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    expect(problem(written).status).toBe(405)
    expect(field(written, 'allow')).toBe('GET, HEAD')
  })

  test('changes with the documents, and with the routes', async () => {
    const { read, document, runtime, gateway, spec } = await setUp(ROUTES)
    await read()
    document('users', USERS.replace('/users/{id}', '/users/by/{id}'))
    await runtime.clock.advance('1s')
    expect(Object.keys((await read())['paths']!)).toContain('/users/by/{id}')
    const routes = { ...spec.routes }
    delete routes['page']
    await gateway.apply({ ...spec, routes })
    expect(Object.keys((await read())['paths']!)).toEqual(['/shop', '/shop/{id}', '/users/by/{id}'])
  })

  test('may be of some routes only', async () => {
    const { read } = await setUp({
      docs: {
        match: { path: '/openapi.json' },
        openapiDocument: {
          title: 'Shop',
          version: '3',
          servers: ['https://shop.example'],
          routes: ['users'],
        },
      },
      orders: ROUTES['orders']!,
      users: ROUTES['users']!,
    })
    const document = await read()
    expect(Object.keys(document['paths']!)).toEqual(['/users/{id}'])
    expect(document['servers']).toEqual([{ url: 'https://shop.example' }])
  })
})

test.each([
  ['/v1/orders/{id}', '/shop/*', '/v1/orders', '/shop/{id}'],
  ['/v1/orders', '/shop/*', '/v1/orders', '/shop'],
  ['/v1/ordersmore', '/shop/*', '/v1/orders', undefined],
  ['/orders/{id}', '/orders/*', undefined, '/orders/{id}'],
  ['/orders/{id}', '/*', undefined, '/orders/{id}'],
  ['/', '/*', undefined, '/'],
  ['/orders/{id}', '/orders/:key', undefined, '/orders/{id}'],
  ['/orders/{id}/items', '/orders/:key', undefined, undefined],
  ['/o/{id}/x', '/orders/:a/:b', '/o/:a/:b', '/orders/{id}/x'],
  ['/{any}', '/special', undefined, undefined],
  ['/t/{tenant}/x', '/x/:t', '/t/:t/x', '/x/{tenant}'],
])('%s behind %s to %s is %s', (path, match, rewrite, expected) => {
  expect(publicPath(path, { match, rewrite })).toBe(expected)
})
