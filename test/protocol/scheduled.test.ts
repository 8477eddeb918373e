import { afterEach, describe, expect, test } from 'vitest'
import { closeAll } from '../support/gateway.js'
import { startEvents, structured } from '../support/events-node.js'
import { closeLogs, newDirectory } from '../support/logs.js'

afterEach(async () => {
  await closeAll()
  await closeLogs()
})

interface Published {
  id: string
  streams: object[]
  scheduled?: number
  duplicate: boolean
}

type Ask = Awaited<ReturnType<typeof startEvents>>['ask']

/** How clients send one CloudEvent with extension attributes. */
const MODES = {
  structured: (id: string, more: object) => structured(id, {}, more),
  batched: (id: string, more: object) => ({
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: `[${structured(id, {}, more).body}]`,
  }),
  binary: (id: string, more: object) => ({
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', 'ce-specversion': '1.0', 'ce-id': id },
      ...{ 'ce-source': '/test', 'ce-type': 'Happened' },
      ...Object.fromEntries(Object.entries(more).map(([name, value]) => [`ce-${name}`, String(value)])),
    },
    body: JSON.stringify({ id }),
  }),
}

const inTime = (ms: number): string => new Date(Date.now() + ms).toISOString()

/** The events of the topic `order`, as soon as there are any. */
async function published(ask: Ask): Promise<Record<string, unknown>[]> {
  const answer = await ask('?category=order&wait=20s')
  expect(answer.status).toBe(200)
  return (await answer.json()) as Record<string, unknown>[]
}

describe.each(Object.entries(MODES))('a message in %s mode', (_mode, request) => {
  test('is published when it is due, and then looks as if it had been published then', async () => {
    const { ask } = await startEvents()
    const due = Date.now() + 700
    const at = new Date(due).toISOString()
    const answer = await ask('/topics/order', request('a', { banyandeliverat: at, partitionkey: '17' }))
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBeNull()
    expect(await answer.json()).toMatchObject({ streams: [], scheduled: 1, duplicate: false })
    const events = await published(ask)
    expect(events).toMatchObject([
      {
        id: 'a',
        source: '/test',
        type: 'Happened',
        data: { id: 'a' },
        banyanstream: 'order-17',
        actor: 'till',
      },
    ])
    expect(Date.parse(events[0]!['banyanrecorded'] as string)).toBeGreaterThanOrEqual(due)
    expect(Object.keys(events[0]!).filter((name) => /deliver|delay/.test(name))).toEqual([])
  })

  test('is published after a delay', async () => {
    const { ask } = await startEvents()
    const sent = Date.now()
    const answer = await ask('/topics/order', request('a', { banyandelay: '400ms' }))
    expect(answer.status).toBe(201)
    const [event] = await published(ask)
    expect(event).toMatchObject({ id: 'a', banyanstream: 'order' })
    expect(Date.parse(event!['banyanrecorded'] as string)).toBeGreaterThanOrEqual(sent + 400)
  })

  test.each<[object, RegExp]>([
    [{ banyandeliverat: 'tomorrow' }, /`banyandeliverat` of CloudEvent 0 must be a time as in RFC 3339/],
    [{ banyandelay: 'a while' }, /`banyandelay` of CloudEvent 0 must be a duration/],
    [{ banyandelay: '366d' }, /up to 365d/],
    [{ banyandelay: '1s', banyandeliverat: '2030-01-01T00:00:00Z' }, /contradict/],
  ])('is refused with %j', async (more, detail) => {
    const { ask } = await startEvents()
    const answer = await ask('/topics/order', request('a', more))
    expect(answer.status).toBe(400)
    const problem = (await answer.json()) as object
    expect(problem).toMatchObject({ type: 'urn:banyan:problem:invalid-cloudevent' })
    expect(problem).toMatchObject({ detail: expect.stringMatching(detail) as string })
  })
})

test('a batch keeps back only what has a time, and is known when it is sent again after that', async () => {
  const { ask } = await startEvents()
  const batch = [
    structured('now').body,
    structured('later', {}, { banyandeliverat: inTime(300), partitionkey: '1' }).body,
  ]
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json', 'idempotency-key': 'batch-1' },
    body: `[${batch.join(',')}]`,
  }
  const first = await ask('/topics/order', request)
  expect(first.status).toBe(201)
  expect(await first.json()).toMatchObject({
    streams: [{ stream: 'order', revision: 0 }],
    scheduled: 1,
    duplicate: false,
  })
  const follow = await ask('/streams/order-1?wait=20s')
  expect(await follow.json()).toMatchObject([{ id: 'later' }])
  const again = await ask('/topics/order', request)
  expect(again.status).toBe(200)
  expect((await again.json()) as Published).toMatchObject({ scheduled: 1, duplicate: true })
  expect(await published(ask)).toMatchObject([{ id: 'now' }, { id: 'later' }])
})

test('what was due while nothing ran is published when a node runs again', async () => {
  const events = { driver: 'sqlite', path: newDirectory() }
  const first = await startEvents({}, { events })
  await first.ask('/topics/order', structured('a', {}, { banyandeliverat: inTime(500) }))
  await first.node.stop(AbortSignal.abort())
  const second = await startEvents({}, { events })
  expect(await published(second.ask)).toMatchObject([{ id: 'a' }])
})

test('the category of a route decides, not where the message waits', async () => {
  const { ask } = await startEvents({ categories: ['order'] })
  const later = { banyandelay: '10m' }
  expect((await ask('/topics/order', structured('a', {}, later))).status).toBe(201)
  expect((await ask('/topics/stock', structured('b', {}, later))).status).toBe(403)
})

test('a time for what is appended to a stream is refused, not passed over', async () => {
  const { ask } = await startEvents()
  const answer = await ask('/streams/order-1', structured('a', {}, { banyandelay: '10m' }))
  expect(answer.status).toBe(400)
  expect(await answer.json()).toMatchObject({
    detail: expect.stringContaining('publish it to /topics/{topic}') as string,
  })
})
