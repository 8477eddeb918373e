import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startExample } from '../support/example.js'
import { closeAll } from '../support/gateway.js'
import { Origin } from '../support/origin.js'

afterEach(closeAll)

async function example(page: string, env: Record<string, string>, edit = (yaml: string) => yaml) {
  const { node, ports } = await startExample(`traffic/${page}.md`, {
    env,
    edit: (yaml) => edit(yaml.replace('127.0.0.1:8080', '127.0.0.1:0')),
  })
  return { node, base: `http://127.0.0.1:${ports[0]!}` }
}

const text = 'some text that repeats itself. '.repeat(100)

test('compression: pages for whoever takes it, event streams where they are listed', async () => {
  const shop = await Origin.open((request, response) => {
    response.writeHead(200, {
      'Content-Type': request.url!.startsWith('/events') ? 'text/event-stream' : 'text/html',
    })
    response.end(text)
  })
  const { base } = await example('compression', { SHOP: shop.url })
  const ask = (path: string, accept: string) => fetch(base + path, { headers: { 'accept-encoding': accept } })
  const page = await ask('/', 'gzip, br')
  expect([page.headers.get('content-encoding'), await page.text()]).toEqual(['br', text])
  expect((await ask('/', 'identity')).headers.get('content-encoding')).toBeNull()
  expect((await ask('/events/1', 'br, gzip')).headers.get('content-encoding')).toBe('gzip')
})

test('caching: what the service lets be kept, until it is purged', async () => {
  const shop = await Origin.open((_request, response) =>
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('x'),
  )
  const { base, node } = await example('caching', { SHOP: shop.url })
  for (const path of ['/a/1', '/a/2', '/b', '/a/1']) await fetch(base + path)
  expect(shop.count).toBe(3)
  expect(node.purge({ path: '/a/*' })).toBe(2)
  expect(node.purge({ host: 'elsewhere' })).toBe(0)
  expect(() => node.purge({ route: 'shpo' })).toThrow(/there is no route `shpo` with a cache/)
  const again = await fetch(`${base}/a/1`)
  expect(again.headers.get('cache-status')).toBe('banyan; fwd=uri-miss; fwd-status=200; stored')
  expect(shop.count).toBe(4)
})

test('static files: an application, downloads, a fixed answer', async () => {
  const site = mkdtempSync(join(tmpdir(), 'banyan-site-'))
  mkdirSync(join(site, 'assets'))
  writeFileSync(join(site, 'index.html'), '<p>')
  writeFileSync(join(site, 'assets/app.js'), 'x')
  const downloads = mkdtempSync(join(tmpdir(), 'banyan-downloads-'))
  writeFileSync(join(downloads, 'a.zip'), 'zip')
  const { base } = await example('static-files', { SITE: site, DOWNLOADS: downloads })
  const app = await fetch(`${base}/assets/app.js`)
  expect(app.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  const page = await fetch(`${base}/some/view`, { headers: { accept: 'text/html' } })
  expect([page.status, await page.text()]).toEqual([200, '<p>'])
  expect(await (await fetch(`${base}/downloads/a.zip`)).text()).toBe('zip')
  expect((await fetch(`${base}/downloads/`)).status).toBe(404)
  expect(await (await fetch(`${base}/status`)).json()).toEqual({ status: 'fine' })
})

test('mirroring: a share of the reads, with other credentials', async () => {
  const orders = await Origin.open((_request, response) => response.end())
  const next = await Origin.open((_request, response) => response.end())
  const { base } = await example('mirroring', { ORDERS: orders.url, NEXT: next.url }, (yaml) =>
    yaml.replace('share: 0.1', 'share: 1'),
  )
  await fetch(`${base}/orders/1`, { headers: { authorization: 'Bearer live', cookie: 'a=b' } })
  const { headers }: IncomingMessage = await next.asked(1)
  expect([headers.authorization, headers.cookie, headers['x-shadow']]).toEqual([
    'Bearer sandbox',
    undefined,
    'true',
  ])
  expect(orders.last.headers.authorization).toBe('Bearer live')
})

test('streaming: the example can be run', async () => {
  const chat = await Origin.open((_request, response) =>
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).end('data: 1\n\n'),
  )
  const { base } = await example('streaming', { CHAT: chat.url })
  expect(await (await fetch(`${base}/events`)).text()).toBe('data: 1\n\n')
})

test('maintenance: everything is closed but the health check', async () => {
  const shop = await Origin.open((_request, response) => response.end('shop'))
  const { base } = await example('maintenance', { SHOP: shop.url })
  const closed = await fetch(base)
  expect([closed.status, closed.headers.get('retry-after'), closed.headers.get('content-type')]).toEqual([
    503,
    '900',
    'text/html; charset=utf-8',
  ])
  expect(await (await fetch(`${base}/health`)).text()).toBe('fine')
})

test('maintenance: nothing is lost when it ends', async () => {
  const shop = await Origin.open((_request, response) =>
    response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('shop'),
  )
  const withCache = (yaml: string): string =>
    yaml.replace('to: shop }', 'to: shop, cache: true }').replace('on: true', 'on: false')
  const { base, node } = await example('maintenance', { SHOP: shop.url }, withCache)
  const { spec } = node
  const set = (on: boolean) =>
    node.apply({ ...spec, maintenance: { ...(spec.maintenance as object), on } }, undefined)
  expect(await (await fetch(base)).text()).toBe('shop')
  await set(true)
  expect((await fetch(base)).status).toBe(503)
  await set(false)
  expect(await (await fetch(base)).text()).toBe('shop')
  expect(shop.count).toBe(1)
})

test('redirects: prefixes, parts of paths, hosts', async () => {
  const { base } = await example('redirects', {})
  const to = async (path: string): Promise<[number, string | null]> => {
    const answer = await fetch(base + path, { redirect: 'manual' })
    return [answer.status, answer.headers.get('location')]
  }
  expect(await to('/v1/orders/7?x=y')).toEqual([308, `${base}/v2/orders/7?x=y`])
  expect(await to('/item/a%2Fb')).toEqual([301, `${base}/products/a%2Fb`])
})

test('request ids: one for the service, the client, and in problems', async () => {
  const shop = await Origin.open((_request, response) => response.writeHead(200).end())
  const { base } = await example('request-ids', { SHOP: shop.url })
  const answer = await fetch(base, { headers: { 'x-request-id': 'mine' } })
  const id = answer.headers.get('x-request-id')
  expect(id).toMatch(/^[0-9a-f-]{36}$/)
  expect(shop.last.headers['x-request-id']).toBe(id)
  shop.answer = (_request, response) => response.socket!.destroy()
  const failed = await fetch(base)
  expect(failed.status).toBe(502)
  expect(await failed.json()).toMatchObject({ requestId: failed.headers.get('x-request-id') })
})
