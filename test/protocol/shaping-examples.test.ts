import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { blockOf, startExample } from '../support/example.js'
import { closeAll, field, get, open } from '../support/gateway.js'
import { RawClient } from '../support/raw.js'
import { ScriptedUpstream } from '../support/scripted.js'

afterEach(closeAll)

async function start(page: string, names: readonly string[], more: Record<string, string> = {}) {
  const upstream = await ScriptedUpstream.open()
  open.push(upstream)
  const env = { ...Object.fromEntries(names.map((name) => [name, upstream.url])), ...more }
  const { ports } = await startExample(page, {
    env,
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0'),
  })
  const client = await RawClient.open(ports[0]!)
  open.push({ close: () => client.destroy() })
  return { upstream, client }
}

test('the example of aggregation answers as its page says', async () => {
  const { upstream, client } = await start('traffic/aggregation.md', ['USERS', 'ORDERS', 'STOCK'])
  client.send(get('/pages/7', 'Authorization: Bearer x\r\n'))
  const user = await upstream.request('/users/7')
  expect(user.field('Authorization')).toBe('Bearer x')
  user.json({ name: 'Ada', number: 12 })
  ;(await upstream.request('/orders?customer=12&limit=10')).json([{ sku: 'a' }, { sku: 'b' }])
  ;(await upstream.request('/items/a')).json({ left: 3 })
  ;(await upstream.request('/items/b')).json({}, '', '500 Internal Server Error')
  const answer = (await client.responses(1))[0]!
  const documented = blockOf('traffic/aggregation.md', 'http').trimEnd().split('\n\n')
  expect(answer.body).toBe(documented[1])
  for (const line of documented[0]!.split('\n').slice(1)) {
    const [name, value] = line.split(': ')
    expect([name, field(answer, name!.toLowerCase())]).toEqual([name, value])
  }
})

test('the example of transformation changes both ways as its page says', async () => {
  const { upstream, client } = await start('traffic/transformation.md', ['ORDERS'])
  const body = '{"customerNumber":12,"items":[{"sku":"a"}]}'
  client.send(
    `PUT /v1/orders/7?limit=5 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const held = await upstream.request('PUT /orders/7?pageSize=5')
  expect(JSON.parse(held.body)).toEqual({ customer: { number: 12 }, lines: [{ sku: 'a' }] })
  held.json(
    { customer: { number: 12 }, lines: [{ sku: 'a', quantity: 2, cost: 1 }], total: { amount: 9 } },
    'X-Internal: 1\r\n',
  )
  const answer = (await client.responses(1))[0]!
  expect(JSON.parse(answer.body)).toEqual({ customerNumber: 12, items: [{ sku: 'a', count: 2 }] })
  expect(field(answer, 'x-total')).toBe('9')
  expect(field(answer, 'x-internal')).toBeUndefined()
})

test('the example of validation refuses as its page says, and describes what it serves', async () => {
  const api = join(mkdtempSync(join(tmpdir(), 'banyan-validation-')), 'orders.yaml')
  writeFileSync(api, blockOf('traffic/validation.md', 'yaml', 1))
  const { upstream, client } = await start('traffic/validation.md', ['ORDERS'], { API: api })
  const post = (body: string): string =>
    `POST /shop/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const refused = await client.ask(post('{"total":0}'))
  expect(JSON.parse(refused.body)).toEqual(JSON.parse(blockOf('traffic/validation.md', 'json')))
  client.send(post('{"total":1}'))
  ;(await upstream.request('POST /v1/orders')).reply('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n')
  expect((await client.responses(1))[0]!.start).toBe('201 Created 1.1')
  const document = JSON.parse((await client.ask(get('/openapi.json'))).body) as { paths: object }
  expect(Object.keys(document.paths)).toEqual(['/shop/orders'])
})
