import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deadLetter, openLog, subscribe, topic, type EventLog } from '../../src/events/index.js'
import { startEvents } from '../support/events-node.js'
import { closeAll, open } from '../support/gateway.js'
import { closeLogs, newDirectory } from '../support/logs.js'

let admin: string
let log: EventLog

beforeEach(async () => {
  const path = newDirectory()
  const node = await startEvents({}, { events: { driver: 'sqlite', path } })
  admin = node.admin
  log = await openLog(`sqlite:${path}`)
  open.push(log)
  const orders = topic(log, 'order')
  const parked = new Promise<void>((resolve) => (tell = resolve))
  const subscription = await subscribe(log, { name: 'a/b', topic: 'order', from: 'start' })
  subscription.handle(({ data }) => {
    if (data !== 'bad') return
    tell()
    throw deadLetter('it is bad')
  })
  await orders.publish([
    { type: 'Placed', id: 'one', data: 'bad', key: '1' },
    { type: 'Paid', key: '1' },
  ])
  await parked
  await subscription.close()
})
let tell = (): void => undefined
afterEach(async () => {
  await closeAll()
  await closeLogs()
})

async function ask(
  path: string,
  init: { method?: string; body?: unknown } = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { method = 'GET', body } = init
  const response = await fetch(`${admin}/api${path}`, {
    method,
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const post = (what: string, body?: unknown): ReturnType<typeof ask> =>
  ask(`/subscriptions/a%2Fb/${what}`, { method: 'POST', body })

describe('the admin listener', () => {
  it('lists subscriptions and topics', async () => {
    expect(await ask('/subscriptions')).toMatchObject({
      status: 200,
      body: {
        subscriptions: [
          {
            name: 'a/b',
            topic: 'order',
            waiting: { count: 0, isComplete: true },
            stalled: { parked: 1 },
            lanes: [],
          },
        ],
      },
    })
    expect(await ask('/topics')).toMatchObject({
      status: 200,
      body: { topics: [{ topic: 'order', subscriptions: ['a/b'], events: { count: 2 } }] },
    })
  })

  it('shows one, and its dead letters', async () => {
    expect(await ask('/subscriptions/a%2Fb?lanes=1&count=10')).toMatchObject({
      status: 200,
      body: { lanes: [{ lane: 'order-1', reason: 'it is bad', heldBack: { count: 1 } }] },
    })
    const response = await fetch(`${admin}/api/subscriptions/a%2Fb/dead-letters`)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    expect(JSON.parse(await response.text())).toMatchObject({
      lane: 'order-1',
      reason: 'it is bad',
      event: { specversion: '1.0', id: 'one', type: 'Placed', data: 'bad' },
    })
  })

  it('redrives, skips and seeks', async () => {
    const { body } = await ask('/subscriptions/a%2Fb')
    const [{ head }] = body['lanes'] as [{ head: { position: string } }]
    const { position } = head
    expect(await post('skip', { lane: 'order-1', position: '0' })).toMatchObject({
      status: 409,
      body: { type: 'urn:banyan:problem:conflict' },
    })
    expect(await post('redrive', { lanes: ['order-1', 'order-2'] })).toEqual({
      status: 200,
      body: { lanes: ['order-1'] },
    })
    expect(await post('redrive', { all: true })).toEqual({ status: 200, body: { lanes: [] } })
    expect(await post('skip', { lane: 'order-1', position })).toMatchObject({ status: 409 })
    expect(await post('seek', { to: 'start' })).toEqual({ status: 200, body: { position: '0' } })
    expect(await post('seek', { time: 0 })).toEqual({ status: 200, body: { position: '0' } })
    expect(await ask('/subscriptions/a%2Fb')).toMatchObject({ body: { waiting: { count: 2 } } })
    expect(await post('seek', { to: '9'.repeat(16) })).toMatchObject({
      status: 409,
      body: { type: 'urn:banyan:problem:position-ahead' },
    })
  })

  it('pauses, resumes and deletes', async () => {
    expect(await post('pause')).toEqual({ status: 200, body: { isPaused: true } })
    expect(await ask('/subscriptions/a%2Fb')).toMatchObject({ body: { isPaused: true } })
    expect(await post('resume')).toEqual({ status: 200, body: { isPaused: false } })
    const running = await subscribe(log, { name: 'a/b', topic: 'order' })
    expect(await ask('/subscriptions/a%2Fb', { method: 'DELETE' })).toMatchObject({
      status: 409,
      body: { type: 'urn:banyan:problem:subscription-in-use' },
    })
    await running.close()
    expect(await ask('/subscriptions/a%2Fb', { method: 'DELETE' })).toEqual({
      status: 200,
      body: { deleted: 'a/b' },
    })
    expect(await ask('/subscriptions/a%2Fb')).toMatchObject({
      status: 404,
      body: { type: 'urn:banyan:problem:subscription-unknown' },
    })
  })

  it.each<[string, string, unknown, number]>([
    ['POST', '/subscriptions', undefined, 405],
    ['POST', '/topics', undefined, 405],
    ['POST', '/subscriptions/a%2Fb', undefined, 405],
    ['GET', '/subscriptions/a%2Fb/redrive', undefined, 405],
    ['GET', '/subscriptions/a%2Fb/other', undefined, 404],
    ['GET', '/subscriptions/a/b/c', undefined, 404],
    ['GET', '/subscriptions/%ff', undefined, 400],
    ['GET', '/subscriptions/a%2Fb?lanes=-1', undefined, 400],
    ['GET', '/subscriptions/a%2Fb?what=1', undefined, 400],
    ['DELETE', '/subscriptions/a%2Fb?force=1', undefined, 400],
    ['POST', '/subscriptions/a%2Fb/redrive', {}, 400],
    ['POST', '/subscriptions/a%2Fb/redrive', { all: true, lanes: ['a'] }, 400],
    ['POST', '/subscriptions/a%2Fb/redrive', { lanes: [1] }, 400],
    ['POST', '/subscriptions/a%2Fb/skip', { lane: 'order-1' }, 400],
    ['POST', '/subscriptions/a%2Fb/seek', { to: 'start', time: 1 }, 400],
    ['POST', '/subscriptions/a%2Fb/seek', { to: 'yesterday' }, 400],
    ['POST', '/subscriptions/a%2Fb/pause', { for: 1 }, 400],
    ['POST', '/subscriptions/a%2Fb/pause', 'no json', 400],
    ['POST', '/subscriptions/none/pause', undefined, 404],
    ['GET', '/subscriptions/none/dead-letters', undefined, 404],
  ])('%s %s with %j is %i', async (method, path, body, status) => {
    const answer = await ask(path, { method, body })
    expect(answer.status).toBe(status)
    expect(answer.body['detail']).toEqual(expect.any(String))
  })

  it('shows how far subscriptions are as metrics', async () => {
    await post('seek', { to: 'start' })
    const text = await (await fetch(`${admin}/metrics`)).text()
    expect(text).toMatch(/^banyan_subscription_waiting\{.*banyan_subscription="a\/b".*\} 2$/m)
    expect(text).toMatch(/^banyan_subscription_parked\{.*\} 0$/m)
    expect(text).toMatch(/^banyan_subscription_age_seconds\{/m)
  })
})
