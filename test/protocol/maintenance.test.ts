import { afterEach, describe, expect, test } from 'vitest'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { closeAll, field, get, open, problem } from '../support/gateway.js'
import { inFrontOf } from '../support/origin.js'
import { RawClient } from '../support/raw.js'

afterEach(closeAll)

describe('a route in maintenance', () => {
  test('answers 503 with a problem document that says when to come back, and asks nobody', async () => {
    const { origin, client } = await inFrontOf((_request, response) => response.end('in'), {
      maintenance: { retryAfter: '90s' },
    })
    const answer = await (await client()).ask(get())
    expect(problem(answer)).toMatchObject({ status: 503, type: 'urn:banyan:problem:maintenance' })
    expect(field(answer, 'retry-after')).toBe('90')
    expect(origin.count).toBe(0)
  })

  test('answers with a page of its own, which nobody keeps', async () => {
    const { client } = await inFrontOf((_request, response) => response.end('in'), {
      maintenance: {
        body: '<h1>Back at noon</h1>',
        headers: { 'Content-Type': 'text/html' },
        retryAfter: 1500,
      },
    })
    const answer = await (await client()).ask(get())
    expect([answer.start, answer.body]).toEqual(['503 Service Unavailable 1.1', '<h1>Back at noon</h1>'])
    expect([
      field(answer, 'content-type'),
      field(answer, 'cache-control'),
      field(answer, 'retry-after'),
    ]).toEqual(['text/html', 'no-store', '2'])
  })

  test('lets those through who are allowed', async () => {
    const open_ = { maintenance: { allow: ['127.0.0.0/8'] } }
    const { client } = await inFrontOf((_request, response) => response.end('in'), open_)
    expect((await (await client()).ask(get())).body).toBe('in')
  })

  test('is open while it is off', async () => {
    const { client } = await inFrontOf((_request, response) => response.end('in'), {
      maintenance: { on: false, retryAfter: '1h' },
    })
    expect((await (await client()).ask(get())).body).toBe('in')
  })
})

test('a gateway in maintenance closes every route but those that say otherwise', async () => {
  const gateway = await Gateway.open({
    services: {},
    maintenance: true,
    routes: {
      shop: { match: {}, respond: { body: 'shop' } },
      health: { match: { path: '/health' }, respond: { body: 'fine' }, maintenance: false },
    },
  })
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const c = await RawClient.open(port)
  open.push({ close: () => c.destroy() })
  expect(problem(await c.ask(get('/'))).status).toBe(503)
  expect((await c.ask(get('/health'))).body).toBe('fine')
})

describe('a fixed answer', () => {
  test.each([
    [{ body: 'text' }, '200 OK 1.1', 'text', 'text/plain; charset=utf-8'],
    [{ status: 410, body: { gone: true } }, '410 Unknown 1.1', '{"gone":true}', 'application/json'],
    [{ body: '<p>', headers: { 'Content-Type': 'text/html' } }, '200 OK 1.1', '<p>', 'text/html'],
    [{ status: 204 }, '204 No Content 1.1', '', undefined],
  ])('%j', async (respond, start, body, type) => {
    const gateway = await Gateway.open({ services: {}, routes: { all: { match: {}, respond } } })
    open.push(gateway)
    const { port } = await gateway.listen(0)
    const c = await RawClient.open(port)
    open.push({ close: () => c.destroy() })
    const answer = await c.ask(get())
    expect([answer.start.replace('Gone', 'Unknown'), answer.body, field(answer, 'content-type')]).toEqual([
      start,
      body,
      type,
    ])
    expect(Date.parse(field(answer, 'date')!)).not.toBeNaN()
  })
})
