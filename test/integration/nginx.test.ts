import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../../scripts/engines.mjs'
import { Gateway } from '../../src/traffic/gateway/index.js'

const big = randomBytes(5_000_000)
// nginx compresses nothing that came through a proxy, told by `Via`, unless gzip_proxied says so.
const server = `
  location = /json { default_type application/json; return 200 '{"id":1}'; }
  location = /gzip { gzip on; gzip_proxied any; gzip_min_length 1; gzip_types text/plain; default_type text/plain; alias TEXT; }
  location = /echo { client_body_buffer_size 8m; proxy_pass http://127.0.0.1:$server_port/dump; }
  location = /dump { client_body_buffer_size 8m; return 200 "$request_method $content_length $http_transfer_encoding"; }
  location = /moved { return 302 /json; }
  location = /missing { return 404; }
`

describe('in front of nginx', () => {
  let nginx: Awaited<ReturnType<typeof start>>
  let gateway: Gateway
  let base: string

  beforeAll(async () => {
    nginx = await start(
      'nginx',
      { server: server.replace('alias TEXT', 'try_files /text.txt =404') },
      { files: { big, 'text.txt': 'word '.repeat(2_000) } },
    )
    gateway = await Gateway.open({
      services: { web: { endpoints: [`http://127.0.0.1:${nginx.port}`], policy: 'patient' } },
      policies: {
        patient: { timeout: '5s', retry: { attempts: 3 }, breaker: { failureRate: 0.9, minimumCalls: 50 } },
      },
      routes: { all: { match: {}, to: 'web' } },
    })
    const { port } = await gateway.listen(0)
    base = `http://127.0.0.1:${port}`
  }, 120_000)

  afterAll(async () => {
    await gateway.close()
    await nginx.stop()
  })

  test('a small answer arrives with the headers of nginx', async () => {
    const answer = await fetch(`${base}/json`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('server')).toMatch(/^nginx/)
    expect(await answer.json()).toEqual({ id: 1 })
  })

  test('a large file arrives byte for byte', async () => {
    const answer = await fetch(`${base}/big`)
    expect(Buffer.from(await answer.arrayBuffer()).equals(big)).toBe(true)
  })

  test('ranges, conditions and HEAD are the endpoint’s business and pass', async () => {
    const range = await fetch(`${base}/big`, { headers: { range: 'bytes=10-19' } })
    expect([range.status, Buffer.from(await range.arrayBuffer()).equals(big.subarray(10, 20))]).toEqual([
      206,
      true,
    ])
    const etag = (await fetch(`${base}/big`, { method: 'HEAD' })).headers.get('etag')!
    const fresh = await fetch(`${base}/big`, { headers: { 'if-none-match': etag } })
    expect(fresh.status).toBe(304)
    const head = await fetch(`${base}/big`, { method: 'HEAD' })
    expect(head.headers.get('content-length')).toBe(String(big.length))
  })

  test('compressed answers pass as they are', async () => {
    const answer = await fetch(`${base}/gzip`, { headers: { 'accept-encoding': 'gzip' } })
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(await answer.text()).toBe('word '.repeat(2_000))
  })

  test('uploads pass, with a length and in chunks', async () => {
    const stated = await fetch(`${base}/dump`, { method: 'POST', body: big })
    expect(await stated.text()).toBe(`POST ${big.length} `)
    const parts = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 50; part++)
          controller.enqueue(big.subarray(part * 100_000, (part + 1) * 100_000))
        controller.close()
      },
    })
    const chunked = await fetch(`${base}/dump`, {
      method: 'POST',
      body: parts,
      duplex: 'half',
    })
    expect(await chunked.text()).toMatch(/^POST \d* chunked$/)
  })

  test('statuses and redirects pass as they are', async () => {
    expect((await fetch(`${base}/missing`)).status).toBe(404)
    const moved = await fetch(`${base}/moved`, { redirect: 'manual' })
    expect([moved.status, new URL(moved.headers.get('location')!).pathname]).toEqual([302, '/json'])
  })

  test('many requests share few connections', async () => {
    for (let round = 0; round < 20; round++)
      await Promise.all(Array.from({ length: 20 }, async () => (await fetch(`${base}/json`)).text()))
    const { open } = gateway.state().services['web']!.endpoints[0]!.connections
    expect(open).toBeLessThanOrEqual(20)
  })

  test('while it is away clients get problems, and when it is back, answers', async () => {
    const { port } = nginx
    await nginx.stop()
    const answer = await fetch(`${base}/json`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([502, 'application/problem+json'])
    nginx = await start('nginx', { server: `location = /json { return 200 'back'; }` }, { port })
    expect(await (await fetch(`${base}/json`)).text()).toBe('back')
  })
})
