import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { verifyWebhook } from '../../src/events/index.js'
import { closeAll, open } from '../support/gateway.js'
import { eventsConfig, specOf, startEvents } from '../support/events-node.js'
import { closeLogs, newDirectory } from '../support/logs.js'
import { Receiver } from '../support/receiver.js'

afterEach(async () => {
  await closeAll()
  await closeLogs()
})

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

function secretFile(): string {
  const file = join(newDirectory(), 'secret')
  writeFileSync(file, `${SECRET}\n`)
  return file
}

type Ask = Awaited<ReturnType<typeof startEvents>>['ask']

/** Publishes messages of keys, numbered. */
async function publish(ask: Ask, first: number, keys: readonly string[], topic = 'orders'): Promise<void> {
  const batch = keys.map((partitionkey, index) => ({
    ...{ specversion: '1.0', id: `${topic}-${first + index}`, source: '/test', type: 'OrderPlaced' },
    partitionkey,
    data: first + index,
  }))
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  const answer = await ask(`/topics/${topic}`, { method: 'POST', headers, body: JSON.stringify(batch) })
  expect([200, 201]).toContain(answer.status)
}

/** A node that pushes to a receiver through a service. */
async function setUp(
  subscription: object = {},
  { policy = {}, push = {}, events = { driver: 'memory' } } = {},
) {
  const receiver = await Receiver.open()
  open.push(receiver)
  const config = {
    events,
    policies: { patient: { timeout: '5s', ...policy } },
    services: { mailer: { endpoints: [receiver.url], policy: 'patient' } },
    subscriptions: {
      mailer: {
        ...{ topic: 'orders', backoff: { base: '50ms' }, takeover: '1s', ...subscription },
        push: { service: 'mailer', path: '/hook?from=banyan', secret: { file: secretFile() }, ...push },
      },
    },
  }
  const node = await startEvents({}, config)
  return { receiver, config, ...node }
}

describe.each<[string, () => { driver: string; path?: string }]>([
  ['memory', () => ({ driver: 'memory' })],
  ['sqlite', () => ({ driver: 'sqlite', path: newDirectory() })],
])('with a log in %s', (_name, eventsOf) => {
  test('messages come signed, those of one key in their order', async () => {
    const { receiver, ask } = await setUp({}, { events: eventsOf() })
    await publish(
      ask,
      0,
      Array.from({ length: 60 }, (_, index) => String(index % 6)),
    )
    await receiver.until(({ length }) => length === 60)
    for (const [key, data] of Object.entries(receiver.byKey()))
      expect(data).toEqual(Array.from({ length: 10 }, (_, index) => index * 6 + Number(key)))
    const reference = new Webhook(SECRET)
    for (const { headers, body, event } of receiver.received) {
      expect(reference.verify(body, headers)).toEqual(event)
      expect(verifyWebhook(headers, body, SECRET).id).toBe(headers['webhook-id'])
      expect(headers).toMatchObject({ 'banyan-subscription': 'mailer', 'banyan-attempt': '1' })
    }
  })

  test('a receiver that is down and comes back gets everything, in order, and nothing becomes a dead letter', async () => {
    const { receiver, ask, lines } = await setUp({ attempts: 1 }, { events: eventsOf() })
    await publish(ask, 0, ['1', '2'])
    await receiver.until(({ length }) => length === 2)
    await receiver.stop()
    await publish(ask, 2, ['1', '2', '1', '2'])
    while (!lines.join('').includes('messages wait')) await new Promise((resolve) => setImmediate(resolve))
    await receiver.start()
    await receiver.until(({ length }) => length === 6)
    expect(receiver.byKey()).toEqual({ 1: [0, 2, 4], 2: [1, 3, 5] })
    expect(receiver.received.every(({ headers }) => headers['banyan-attempt'] === '1')).toBe(true)
  })

  test('a message that is refused becomes a dead letter with its reason, while other keys go on', async () => {
    const { receiver, ask, admin, node } = await setUp({}, { events: eventsOf() })
    receiver.answer = ({ key }, response) =>
      key === 'poison'
        ? response
            .writeHead(400, { 'content-type': 'application/problem+json' })
            .end('{"detail":"the total is negative"}')
        : response.writeHead(200).end('ok')
    await publish(ask, 0, ['poison', 'poison', 'good', 'good'])
    await receiver.until(({ length }) => length === 3)
    expect(receiver.byKey()).toEqual({ poison: [0], good: [2, 3] })
    // It is set aside once the log has it, which may be after the others were delivered.
    await vi.waitFor(
      async () => {
        const text = await (await fetch(`${admin}/api/events?category=$subscription`)).text()
        expect(text).toContain('answered with 400: the total is negative')
      },
      { timeout: 30_000 },
    )
    expect(node.state().services['mailer']).toBeDefined()
  })
})

test('a receiver that is slower than the deadline gets the message again', async () => {
  const { receiver, ask } = await setUp({ deadline: '300ms' })
  let isSlow = true
  receiver.answer = (_received, response) => {
    if (!isSlow) response.writeHead(204).end()
    isSlow = false
  }
  await publish(ask, 0, ['1'])
  await receiver.until(({ length }) => length === 2)
  expect(receiver.received.map(({ headers }) => headers['banyan-attempt'])).toEqual(['1', '2'])
})

test('what comes in binary format has its attributes in the fields', async () => {
  const { receiver, ask } = await setUp(
    {},
    { push: { format: 'binary', headers: { 'x-shop': '7' }, source: '/shop' } },
  )
  await publish(ask, 0, ['1'])
  await receiver.until(({ length }) => length === 1)
  expect(receiver.received[0]).toMatchObject({
    body: '0',
    headers: {
      'ce-type': 'OrderPlaced',
      'ce-source': '/test',
      'x-shop': '7',
      host: expect.stringMatching(/^127/) as string,
    },
  })
})

test('the policy of the service stands around: what it repeats is no further try of the message', async () => {
  const retry = { attempts: 3, backoff: { base: '1ms' } }
  const { receiver, ask } = await setUp({ attempts: 1 }, { policy: { retry } })
  let tries = 0
  receiver.answer = (_received, response) => response.writeHead(++tries < 3 ? 503 : 204).end()
  await publish(ask, 0, ['1'])
  await receiver.until(({ length }) => length === 3)
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  expect(receiver.received.every(({ headers }) => headers['banyan-attempt'] === '1')).toBe(true)
})

test('straight to a URL it goes without a service', async () => {
  const receiver = await Receiver.open()
  open.push(receiver)
  const subscriptions = { mailer: { topic: 'orders', push: { url: `${receiver.url}/hook` } } }
  const { ask } = await startEvents({}, { subscriptions })
  await publish(ask, 0, ['1'])
  await receiver.until(({ length }) => length === 1)
  expect(receiver.received[0]!.headers).not.toHaveProperty('webhook-signature')
})

test('the key may come from the data', async () => {
  const { receiver, ask } = await setUp({ key: 'metadata.shop', partitions: 1 })
  const of = (id: string, shop: string, data: number) => ({
    ...{ specversion: '1.0', id, source: '/test', type: 'A', partitionkey: id },
    shop,
    data,
  })
  let most = 0
  let now = 0
  receiver.answer = async (_received, response) => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setImmediate(resolve))
    now--
    response.writeHead(204).end()
  }
  const batch = Array.from({ length: 20 }, (_, index) => of(`e${index}`, 'berlin', index))
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  await ask('/topics/orders', { method: 'POST', headers, body: JSON.stringify(batch) })
  await receiver.until(({ length }) => length === 20)
  expect(receiver.received.map(({ event }) => event.data)).toEqual(batch.map(({ data }) => data))
  expect(most).toBe(1)
})

describe('while the node runs', () => {
  test('subscriptions are added, changed and removed, and others go on', async () => {
    const { node, config, receiver, ask } = await setUp()
    const other = await Receiver.open()
    open.push(other)
    const apply = (subscriptions: object) =>
      node.apply({
        ...specOf(eventsConfig({}, { ...config, subscriptions })),
        listen: node.spec.listen,
        admin: node.spec.admin,
      })
    const { mailer } = config.subscriptions
    const stock = { topic: 'orders', push: { url: `${other.url}/stock` } }
    const added = await apply({ mailer, stock })
    expect(added.changes).toMatchObject([{ kind: 'added', path: ['subscriptions', 'stock'] }])
    await publish(ask, 0, ['1'])
    await Promise.all([receiver, other].map((each) => each.until(({ length }) => length === 1)))
    // Sent elsewhere from now on, by the same share.
    await apply({ mailer: { ...mailer, push: { url: other.url } }, stock })
    await publish(ask, 1, ['1'])
    await other.until(({ length }) => length === 3)
    // Another deadline takes another share.
    await apply({ mailer: { ...mailer, deadline: '7s' }, stock })
    await publish(ask, 2, ['1'])
    await receiver.until(({ length }) => length === 2)
    await other.until(({ length }) => length === 4)
    await apply({ mailer })
    await publish(ask, 3, ['1'])
    await receiver.until(({ length }) => length === 3)
    expect(receiver.received.map(({ event }) => event.data)).toEqual([0, 2, 3])
    expect(other.received.map(({ event }) => event.data)).toEqual([0, 1, 1, 2])
  })

  test('a change that cannot be had is refused, and nothing has changed', async () => {
    const { node, config, receiver, ask } = await setUp()
    const { mailer } = config.subscriptions
    const apply = (subscriptions: object) =>
      node.apply({
        ...specOf(eventsConfig({}, { ...config, subscriptions })),
        listen: node.spec.listen,
        admin: node.spec.admin,
      })
    await expect(apply({ mailer: { ...mailer, partitions: 7 } })).rejects.toThrow(
      'subscriptions.mailer: subscription mailer was created before, and has 4 partitions, not 7',
    )
    const secret = { env: 'A_SECRET_THAT_IS_NOT_SET' }
    await expect(apply({ mailer: { ...mailer, push: { ...mailer.push, secret } } })).rejects.toThrow(
      'subscriptions.mailer: subscriptions.mailer.push.secret: the environment variable `A_SECRET_THAT_IS_NOT_SET` is not set',
    )
    await publish(ask, 0, ['1'])
    await receiver.until(({ length }) => length === 1)
  })
})

describe('clients', () => {
  interface Pulled {
    delivery: string
    event: { data: number; partitionkey: string }
  }
  const post = async (
    ask: Ask,
    path: string,
    body: object,
  ): Promise<{ messages: Pulled[]; status: number }> => {
    const headers = { 'content-type': 'application/json' }
    const answer = await ask(`/subscriptions/audit/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return { ...((await answer.json()) as { messages: Pulled[] }), status: answer.status }
  }

  test('two of them share the messages of a subscription that is pulled, in order for each key', async () => {
    const { ask } = await startEvents({}, { subscriptions: { audit: { topic: 'orders' } } })
    await publish(
      ask,
      0,
      Array.from({ length: 100 }, (_, index) => String(index % 10)),
    )
    const seen: Record<string, number[]> = {}
    let left = 100
    const work = async (): Promise<void> => {
      while (left > 0) {
        const { messages } = await post(ask, 'pull', { max: 7, wait: '200ms' })
        if (messages.length === 0) continue
        for (const { event } of messages) (seen[event.partitionkey] ??= []).push(event.data)
        left -= messages.length
        const deliveries = messages.map(({ delivery }) => delivery)
        expect((await post(ask, 'ack', { deliveries })).status).toBe(200)
      }
    }
    await Promise.all([work(), work()])
    for (const [key, data] of Object.entries(seen))
      expect(data).toEqual(Array.from({ length: 10 }, (_, index) => index * 10 + Number(key.at(-1))))
  })

  test('one that goes away while it waits takes nothing with it', async () => {
    const { ask } = await startEvents({}, { subscriptions: { audit: { topic: 'orders', deadline: '1h' } } })
    const gone = new AbortController()
    const headers = { 'content-type': 'application/json' }
    const left = ask('/subscriptions/audit/pull', {
      method: 'POST',
      headers,
      body: '{"max":10,"wait":"60s"}',
      signal: gone.signal,
    })
    gone.abort()
    await expect(left).rejects.toThrow()
    await publish(ask, 0, ['1', '2', '3'])
    const found: number[] = []
    while (found.length < 3) {
      const { messages } = await post(ask, 'pull', { max: 10, wait: '10s' })
      found.push(...messages.map(({ event }) => event.data))
    }
    expect(found.sort()).toEqual([0, 1, 2])
  })

  test('of a subscription that is pushed are told that it is not theirs to pull', async () => {
    const { ask } = await setUp()
    const answer = await ask('/subscriptions/mailer/pull', { method: 'POST' })
    expect(answer.status).toBe(404)
  })

  test('publish only to topics that are declared, where some are', async () => {
    const { ask } = await startEvents({}, { topics: { orders: { types: ['OrderPlaced'] } } })
    await publish(ask, 0, ['1'])
    const headers = { 'content-type': 'application/cloudevents+json' }
    const body = JSON.stringify({ specversion: '1.0', id: 'x', source: '/test', type: 'Other' })
    expect((await ask('/topics/orders', { method: 'POST', headers, body })).status).toBe(422)
    expect((await ask('/topics/stock', { method: 'POST', headers, body })).status).toBe(404)
  })
})
