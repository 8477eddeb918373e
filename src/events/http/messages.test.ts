import { afterEach, describe, expect, test } from 'vitest'
import type { HandlerAnswer, HandlerProblem, HandlerRequest } from '../../core/http-handler.js'
import { virtualRuntime } from '../../testing/index.js'
import { openLog, subscribe, topic, type SubscriptionOptions } from '../index.js'
import { Deliveries } from './deliveries.js'
import { eventsOverHttp, type EventsHttpOptions } from './index.js'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

interface Asked {
  body?: object | string
  signal?: AbortSignal
  headers?: Record<string, string>
  method?: string
}

interface Pulled {
  delivery: string
  attempt: number
  key?: string
  deadline: string
  event: { id: string; type: string; data: unknown; partitionkey: string }
}

/** A handler for a log in memory with the subscription `mailer` of the topic `orders`. */
async function setUp(options: EventsHttpOptions = {}, of: Partial<SubscriptionOptions> = {}) {
  const runtime = virtualRuntime()
  const log = await openLog('memory:', { runtime })
  const subscription = await subscribe(log, {
    name: 'mailer',
    topic: 'orders',
    from: 'start',
    ...of,
    runtime,
  })
  open.push(
    () => log.close(),
    () => runtime.clock.settle(subscription.close()),
  )
  const deliveries = new Deliveries(runtime.random)
  const mailer = { topic: 'orders', deadline: 30_000, deliveries, pull: subscription.pull.bind(subscription) }
  const handler = eventsOverHttp(log, {
    findSubscription: (name) => (name === 'mailer' ? mailer : undefined),
    runtime,
    ...options,
  })
  const request = (path: string, { body = '', signal, headers = {}, method = 'POST' }: Asked) => {
    const fields = { 'content-type': 'application/json', ...headers }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const asked: HandlerRequest = {
      method,
      base: '/events',
      path,
      query: new URLSearchParams(),
      fields: Object.entries(fields),
      field: (lower) => (fields as Record<string, string>)[lower],
      body: () => Promise.resolve(Buffer.from(text)),
      signal: signal ?? new AbortController().signal,
      caller: undefined,
      traceparent: undefined,
    }
    return handler(asked)
  }
  const ask = async (path: string, asked: Asked = {}) => {
    const answer = await runtime.clock.settle(request(path, asked))
    return 'problem' in answer ? answer.problem : answer
  }
  const pull = async (body: object = {}): Promise<Pulled[]> => {
    const answer = (await ask('/subscriptions/mailer/pull', { body })) as HandlerAnswer
    expect(answer.status).toBe(200)
    return ((await bodyOf(answer)) as { messages: Pulled[] }).messages
  }
  const say = (what: string, body: object) => ask(`/subscriptions/mailer/${what}`, { body })
  return { runtime, log, handler, request, ask, pull, say, deliveries, orders: topic(log, 'orders') }
}

async function bodyOf({ body }: HandlerAnswer): Promise<unknown> {
  const parts: Buffer[] = []
  if (Buffer.isBuffer(body)) parts.push(body)
  else for await (const part of body) parts.push(part)
  return JSON.parse(Buffer.concat(parts).toString())
}

const cloudEvent = (id: string, more: object = {}) => ({
  headers: { 'content-type': 'application/cloudevents+json' },
  body: { specversion: '1.0', id, source: '/till', type: 'OrderPlaced', data: { id }, ...more },
})

describe('publishing', () => {
  test('goes to the stream of the key, which is the partition key, or to that of all without one', async () => {
    const { ask, log } = await setUp()
    expect(await ask('/topics/orders', cloudEvent('a', { partitionkey: '17' }))).toMatchObject({
      status: 201,
    })
    expect(await ask('/topics/orders', cloudEvent('b'))).toMatchObject({ status: 201 })
    const batch = ['c', 'd'].map((id) => cloudEvent(id, { partitionkey: id === 'c' ? '17' : '18' }).body)
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    expect(await ask('/topics/orders', { headers, body: batch })).toMatchObject({ status: 201 })
    const binary = {
      'ce-specversion': '1.0',
      'ce-id': 'e',
      'ce-source': '/till',
      'ce-type': 'OrderPlaced',
      'ce-partitionkey': '1%207',
    }
    expect(await ask('/topics/orders', { headers: binary, body: { id: 'e' } })).toMatchObject({ status: 201 })
    const streams: string[] = []
    for await (const { stream, data } of log.read({ category: 'orders' }))
      streams.push(`${stream} ${(data as { id: string }).id}`)
    expect(streams).toEqual(['orders-17 a', 'orders b', 'orders-17 c', 'orders-18 d', 'orders-1 7 e'])
  })

  test('the same CloudEvent again is told as a duplicate, also with another key', async () => {
    const { ask, log } = await setUp()
    const published = cloudEvent('a', { partitionkey: '17' })
    await ask('/topics/orders', published)
    const again = (await ask('/topics/orders', published)) as HandlerAnswer
    expect([again.status, await bodyOf(again)]).toMatchObject([200, { duplicate: true }])
    expect(await ask('/topics/orders', cloudEvent('a', { partitionkey: '18' }))).toMatchObject({
      status: 409,
      kind: 'commit-overlap',
    })
    const ids: string[] = []
    for await (const { id } of log.read({ category: 'orders' })) ids.push(id)
    expect(ids).toEqual(['/till a'])
  })

  test.each<[string, string, Asked, number, string]>([
    ['a name with a dash', '/topics/orders-1', cloudEvent('a'), 400, 'invalid-path'],
    ['a name of our own', '/topics/$subscription', cloudEvent('a'), 400, 'invalid-path'],
    ['a commit', '/topics/orders', { body: { streams: [] } }, 415, 'unsupported-media-type'],
    [
      'a key that is no text',
      '/topics/orders',
      cloudEvent('a', { partitionkey: 7 }),
      400,
      'invalid-cloudevent',
    ],
    ['reading', '/topics/orders', { method: 'GET' }, 405, 'method-not-allowed'],
    ['a place that there is not', '/topics/orders/x', cloudEvent('a'), 404, 'not-found'],
  ])('%s is refused', async (_what, path, asked, status, kind) => {
    const { ask } = await setUp()
    expect(await ask(path, asked)).toMatchObject({ status, kind })
  })

  test('an expected revision is refused, as a topic expects nothing', async () => {
    const { ask } = await setUp()
    const asked = cloudEvent('a')
    const headers = { ...asked.headers, 'expected-revision': 'none' }
    expect(await ask('/topics/orders', { ...asked, headers })).toMatchObject({ status: 400 })
  })

  test('where topics are declared, others are not there, and other types are refused', async () => {
    const { ask } = await setUp({ topics: () => ({ orders: { types: ['OrderPaid'] }, stock: {} }) })
    expect(await ask('/topics/order', cloudEvent('a'))).toMatchObject({
      status: 404,
      kind: 'topic-unknown',
      detail: 'There is no topic "order", did you mean `orders`?',
    })
    expect(await ask('/topics/orders', cloudEvent('a'))).toMatchObject({
      status: 422,
      kind: 'unknown-event-type',
    })
    expect(await ask('/topics/orders', cloudEvent('a', { type: 'OrderPaid' }))).toMatchObject({ status: 201 })
    expect(await ask('/topics/stock', cloudEvent('b'))).toMatchObject({ status: 201 })
  })

  test('nobody but an operator appends to the streams in which subscriptions keep their state', async () => {
    const commit = { streams: [{ stream: '$subscription-mailer', events: [{ type: 'Paused', data: {} }] }] }
    const { ask } = await setUp()
    expect(await ask('', { body: commit })).toMatchObject({ status: 403, kind: 'stream-not-allowed' })
    const operators = await setUp({ operators: true })
    expect(await operators.ask('', { body: commit })).toMatchObject({ status: 201 })
  })
})

describe('pulling', () => {
  test('gives messages of different keys, one of each at a time, and the next after the acknowledgement', async () => {
    const { orders, pull, say } = await setUp()
    await orders.publish(['1', '2', '1'].map((key, index) => ({ type: 'A', data: { index }, key })))
    const first = await pull({ max: 10 })
    expect(first).toMatchObject([
      { attempt: 1, key: 'orders-1', event: { type: 'A', data: { index: 0 }, partitionkey: 'orders-1' } },
      { attempt: 1, key: 'orders-2', event: { data: { index: 1 } } },
    ])
    expect(await pull({ max: 10 })).toEqual([])
    const acked = (await say('ack', { deliveries: first.map(({ delivery }) => delivery) })) as HandlerAnswer
    expect(await bodyOf(acked)).toEqual({
      results: first.map(({ delivery }) => ({ delivery, ok: true })),
    })
    expect(await pull({ max: 10, wait: '1s' })).toMatchObject([{ event: { data: { index: 2 } } }])
  })

  test('waits for what comes, and no longer than it was told', async () => {
    const { orders, pull, runtime, request } = await setUp()
    const waiting = request('/subscriptions/mailer/pull', { body: { wait: '20s' } }) as Promise<HandlerAnswer>
    await runtime.clock.advance(5_000)
    await orders.publish({ type: 'A', data: 1 })
    expect(await bodyOf(await runtime.clock.settle(waiting))).toMatchObject({
      messages: [{ event: { data: 1 }, deadline: new Date(runtime.clock.wall() + 30_000).toISOString() }],
    })
    const before = runtime.clock.now()
    expect(await pull({ wait: 20_000 })).toEqual([])
    expect(runtime.clock.now() - before).toBe(20_000)
  })

  test('a client that goes while it waits takes nothing with it', async () => {
    const { orders, pull, request, runtime } = await setUp()
    const gone = new AbortController()
    const left = request('/subscriptions/mailer/pull', { body: { wait: '60s' }, signal: gone.signal })
    await runtime.clock.advance(1)
    gone.abort()
    await left
    await orders.publish({ type: 'A', data: 1 })
    expect(await pull({ wait: '1s' })).toMatchObject([{ attempt: 1 }])
  })

  test('messages that a client was about to be given when it went are delivered again at once', async () => {
    const { orders, pull, request, runtime } = await setUp()
    await orders.publish(['1', '2'].map((key) => ({ type: 'A', key })))
    const answer = (await runtime.clock.settle(
      request('/subscriptions/mailer/pull', { body: { max: 5, wait: '1s' } }),
    )) as HandlerAnswer
    const parts = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
    await parts.next()
    await parts.return?.()
    await runtime.clock.advance(0)
    expect(await pull({ max: 5, wait: '1s' })).toMatchObject([
      { key: 'orders-1', attempt: 1 },
      { key: 'orders-2', attempt: 1 },
    ])
  })

  test('released it comes again at once, and that was no try', async () => {
    const { orders, pull, say } = await setUp({}, { attempts: 1 })
    await orders.publish({ type: 'A', key: '1' })
    for (let time = 0; time < 3; time++) {
      const [{ delivery, attempt } = { delivery: '', attempt: 0 }] = await pull()
      expect(attempt).toBe(1)
      expect(await say('release', { deliveries: [delivery] })).toMatchObject({ status: 200 })
    }
  })

  test('a delivery that has ended settles nothing, and every other is settled all the same', async () => {
    const { orders, pull, say, runtime } = await setUp()
    await orders.publish({ type: 'A', data: 1, key: '1' })
    const [late] = await pull({ wait: '1s' })
    await runtime.clock.advance(30_000)
    await orders.publish({ type: 'A', data: 2, key: '2' })
    const now = await pull({ max: 2, wait: '10s' })
    const ids = [late!, now[0]!].map(({ delivery }) => delivery)
    const problem = (await say('ack', { deliveries: ids })) as HandlerProblem
    expect(problem).toMatchObject({
      status: 409,
      kind: 'delivery-ended',
      detail: '1 of 2 deliveries had ended before; what comes of it now does not count.',
      extensions: {
        results: [
          { delivery: ids[0], ok: false, problem: 'delivery-ended' },
          { delivery: ids[1], ok: true },
        ],
      },
    })
  })

  test('the same said again of a delivery is no mistake, something else is', async () => {
    const { orders, pull, say } = await setUp()
    await orders.publish({ type: 'A', data: 1 })
    const [{ delivery } = { delivery: '' }] = await pull({ wait: '1s' })
    const deliveries = [delivery]
    for (let time = 0; time < 2; time++)
      expect(await say('ack', { deliveries })).toMatchObject({ status: 200 })
    expect(await say('nack', { deliveries })).toMatchObject({ status: 409 })
  })

  test('given back it comes after the delay that was asked for, rejected not at all', async () => {
    const { orders, pull, say, runtime } = await setUp()
    await orders.publish({ type: 'A', key: '1' })
    await orders.publish({ type: 'A', key: '2' })
    const [one, two] = await pull({ max: 2, wait: '1s' })
    await say('nack', { deliveries: [one!.delivery], delay: '10s', reason: 'busy' })
    await say('reject', { deliveries: [two!.delivery], reason: 'the total is negative' })
    const before = runtime.clock.now()
    expect(await pull({ max: 2, wait: '60s' })).toMatchObject([{ attempt: 2, event: one!.event }])
    expect(runtime.clock.now() - before).toBe(10_000)
  })

  test('a deadline that is extended moves', async () => {
    const { orders, pull, say, runtime } = await setUp()
    await orders.publish({ type: 'A' })
    const [{ delivery } = { delivery: '' }] = await pull({ wait: '1s' })
    await runtime.clock.advance(29_000)
    expect(await say('extend', { deliveries: [delivery], time: '1m' })).toMatchObject({ status: 200 })
    await runtime.clock.advance(59_000)
    expect(await say('ack', { deliveries: [delivery] })).toMatchObject({ status: 200 })
  })

  test('an answer of many messages is right, however many parts it comes in', async () => {
    const { orders, pull } = await setUp()
    const text = 'x'.repeat(1000)
    await orders.publish(Array.from({ length: 300 }, (_, data) => ({ type: 'A', data: { data, text } })))
    const messages = await pull({ max: 1000, wait: '1s' })
    expect(new Set(messages.map(({ delivery }) => delivery)).size).toBe(300)
  })

  test.each<[string, string, Asked, number, string]>(
    [
    ['a subscription that there is not', '/subscriptions/x/pull', {}, 404, 'subscription-unknown'],
    ['a verb that there is not', '/subscriptions/mailer/eat', {}, 404, 'not-found'],
    ['reading', '/subscriptions/mailer/pull', { method: 'GET' }, 405, 'method-not-allowed'],
    ['too many', '/subscriptions/mailer/pull', { body: { max: 1001 } }, 400, 'invalid-request'],
    ['waiting too long', '/subscriptions/mailer/pull', { body: { wait: '2m' } }, 400, 'invalid-request'],
    ['an unknown name', '/subscriptions/mailer/pull', { body: { maxi: 1 } }, 400, 'invalid-request'],
    ['no list', '/subscriptions/mailer/ack', { body: { deliveries: [] } }, 400, 'invalid-request'],
    ['a reject without a reason', '/subscriptions/mailer/reject', { body: { deliveries: ['x'] } }, 400, 'invalid-request'],
    ['no JSON', '/subscriptions/mailer/ack', { body: '{' }, 400, 'invalid-request'],
    ['another type', '/subscriptions/mailer/ack', { body: {}, headers: { 'content-type': 'text/plain' } }, 415, 'unsupported-media-type'],
  ] /* prettier-ignore */,
  )('%s is refused', async (_what, path, asked, status, kind) => {
    const { ask } = await setUp()
    expect(await ask(path, asked)).toMatchObject({ status, kind })
  })
})

describe('what clients may do', () => {
  test.each<[EventsHttpOptions, number | undefined]>([
    [{}, 200],
    [{ allow: ['append', 'read'] }, 405],
    [{ allow: ['consume'] }, 200],
    [{ categories: ['orders'] }, 200],
    [{ categories: ['stock'] }, 403],
    [{ subscriptions: ['mailer'], categories: ['stock'] }, 200],
    [{ subscriptions: ['other'] }, 403],
  ])('%j: %s', async (options, status) => {
    const { ask } = await setUp(options)
    expect(await ask('/subscriptions/mailer/pull')).toMatchObject({ status })
  })
})
