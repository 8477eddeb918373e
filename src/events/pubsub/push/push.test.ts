import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../../testing/index.js'
import { cloudEventsFromHttp } from '../../cloudevents/index.js'
import { openLog, subscribe, topic, type SubscriptionOptions } from '../../index.js'
import type { LedgerEvent, LaneRecord } from '../ledger/state.js'
import type { PushInit, PushOptions } from './options.js'
import { push } from './push.js'
import { verifyWebhook } from './signature.js'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 8).toString('base64')}`

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** What the endpoint has got. */
interface Got {
  at: number
  key: string | undefined
  data: unknown
  attempt: number
  init: PushInit
}

type Answer = (got: Got) => Response | Promise<Response>

/** A subscription that is pushed to an endpoint in virtual time. */
async function setUp(
  answer: Answer,
  options: Partial<PushOptions> = {},
  of: Partial<SubscriptionOptions> = {},
) {
  const runtime = virtualRuntime()
  const { clock } = runtime
  const log = await openLog('memory:', { runtime })
  const subscription = await subscribe(log, {
    ...{ name: 'mailer', topic: 'orders', from: 'start', attempts: 3, drain: '1s' },
    ...of,
    runtime,
  })
  const got: Got[] = []
  let isUp = true
  const pushed = push(subscription, {
    url: 'https://shop.example/hook',
    send: async (_url, init) => {
      if (!isUp) throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })
      const [event] = cloudEventsFromHttp(init.headers, init.body)
      const stream = event!['banyanstream'] as string
      const one = {
        at: clock.now(),
        key: stream.includes('-') ? stream.slice(stream.indexOf('-') + 1) : undefined,
        data: event!.data,
        attempt: Number(init.headers['banyan-attempt']),
        init,
      }
      got.push(one)
      return answer(one)
    },
    runtime,
    ...options,
  })
  open.push(
    () => log.close(),
    () => clock.settle(subscription.close()),
    () => clock.settle(pushed.close()),
  )
  const orders = topic(log, 'orders')
  const publish = (...messages: (readonly [key: string | undefined, data: unknown])[]) =>
    orders.publish(messages.map(([key, data]) => ({ type: 'A', data, ...(key !== undefined && { key }) })))
  /** Lanes that do not simply go on, by their keys. */
  const lanes = async (): Promise<Record<string, Pick<LaneRecord, 'state' | 'attempts' | 'reason'>>> => {
    const found = new Map<string, LaneRecord>()
    for await (const { type, data } of log.read<LedgerEvent>({ category: '$subscription' }))
      if (type === 'Progressed') {
        for (const lane of data.lanes ?? []) found.set(lane.lane, lane)
        for (const lane of data.gone ?? []) found.delete(lane)
      }
    return Object.fromEntries(found)
  }
  const up = (is: boolean): void => {
    isUp = is
  }
  return { runtime, clock, log, subscription, pushed, got, publish, lanes, up }
}

const status =
  (code: number, headers: Record<string, string> = {}, body: string | null = null): Answer =>
  () =>
    new Response(body, { status: code, headers })

test('messages of a key come one after the other in their order, those of others at the same time', async () => {
  let most = 0
  let now = 0
  const { clock, got, publish } = await setUp(async ({ key }) => {
    most = Math.max(most, ++now)
    await new Promise<void>((resolve) => clock.schedule(clock.now() + (key === 'slow' ? 1000 : 10), resolve))
    now--
    return new Response(null, { status: 202 })
  })
  for (let index = 0; index < 5; index++) await publish(['slow', index], ['fast', index])
  await clock.advance('10s')
  const of = (key: string) => got.filter((each) => each.key === key).map(({ data }) => data)
  expect(of('slow')).toEqual([0, 1, 2, 3, 4])
  expect(of('fast')).toEqual([0, 1, 2, 3, 4])
  expect(got.findIndex(({ key, data }) => key === 'fast' && data === 4)).toBeLessThan(
    got.findIndex(({ key, data }) => key === 'slow' && data === 1),
  )
  expect(most).toBe(2)
})

describe('an answer of', () => {
  const problem = { 'content-type': 'application/problem+json' }
  test.each([
    [400, problem, '{"detail":"the total is negative"}', 'answered with 400: the total is negative'],
    [410, problem, '{"title":"Gone"}', 'answered with 410: Gone'],
    [404, { 'content-type': 'text/html' }, '<h1>not here</h1>', 'answered with 404'],
    [422, problem, 'not json', 'answered with 422'],
    [413, problem, `{"detail":"${'x'.repeat(60_000)}"}`, `answered with 413: ${'x'.repeat(500)}`],
  ])('%i makes a dead letter at once, and other keys go on', async (code, headers, body, reason) => {
    const { clock, got, publish, lanes } = await setUp((one) =>
      one.key === 'bad' ? status(code, headers, body)(one) : new Response('ok'),
    )
    await publish(['bad', 1], ['bad', 2], ['good', 3])
    await clock.advance('1m')
    expect(got.map(({ data }) => data)).toEqual([1, 3])
    expect(await lanes()).toMatchObject({ 'orders-bad': { state: 'parked', reason } })
  })

  test.each([500, 501, 408, 425, 301, 304])('%i is a failed try', async (code) => {
    const { clock, got, publish, lanes } = await setUp(status(code, { location: '/elsewhere' }))
    await publish(['1', 1])
    await clock.advance('1m')
    expect(got.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(await lanes()).toMatchObject({
      'orders-1': { state: 'parked', attempts: 3, reason: `answered with ${code}` },
    })
  })

  test.each([
    [429, {}],
    [429, { 'retry-after': '7' }],
    [503, { 'retry-after': '7' }],
    [503, {}],
    [502, {}],
    [504, {}],
  ])('%i with %j costs no try while nobody gets through', async (code, headers: Record<string, string>) => {
    let isUp = false
    const { clock, got, publish, lanes, pushed } = await setUp((one) =>
      isUp ? new Response(null, { status: 204 }) : status(code, headers)(one),
    )
    await publish(...Array.from({ length: 10 }, (_, index) => [String(index), index] as const))
    await clock.advance('6h')
    expect(pushed.status()).toMatchObject({
      sending: 0,
      waiting: 10,
      unavailable: { reason: `answered with ${code}` },
    })
    if (headers['retry-after'] !== undefined) {
      const times = [...new Set(got.map(({ at }) => at))]
      expect(times.every((at, index) => at === index * 7000)).toBe(true)
    } else expect(got.length).toBeLessThan(2000)
    isUp = true
    await clock.advance('1m')
    expect(await lanes()).toEqual({})
    expect(got.every(({ attempt }) => attempt === 1)).toBe(true)
    expect(new Set(got.slice(-10).map(({ data }) => data)).size).toBe(10)
    expect(pushed.status()).toEqual({ sending: 0, waiting: 0 })
  })

  test.each([502, 503, 504])('%i is a failed try of a message while others get through', async (code) => {
    const { clock, got, publish, lanes } = await setUp((one) =>
      one.key === 'bad' ? status(code)(one) : new Response('ok'),
    )
    await publish(['bad', 'x'])
    for (let index = 0; index < 20; index++) {
      await publish([`good${index}`, index])
      await clock.advance('40s')
    }
    expect(await lanes()).toMatchObject({
      'orders-bad': { state: 'parked', reason: `answered with ${code}` },
    })
    expect(got.filter(({ key }) => key !== 'bad').map(({ data }) => data)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    )
  })

  test('500 with Retry-After is tried again after that time', async () => {
    const { clock, got, publish } = await setUp(status(500, { 'retry-after': '90' }))
    await publish(['1', 1])
    await clock.advance('5m')
    expect(got.map(({ at }) => Math.round(at / 1000))).toEqual([0, 90, 180])
  })
})

describe('an endpoint', () => {
  test('that is not there costs nothing but time, and is asked with one message at a time', async () => {
    const { clock, got, publish, lanes, pushed, up } = await setUp(status(204))
    up(false)
    await publish(['1', 1], ['1', 2], ['2', 3])
    await clock.advance('3d')
    expect(pushed.status()).toMatchObject({
      waiting: 2,
      unavailable: { reason: 'not answered: fetch failed' },
    })
    expect(got).toEqual([])
    up(true)
    await clock.advance('31s')
    expect(got.map(({ data }) => data).sort()).toEqual([1, 2, 3])
    expect(await lanes()).toEqual({})
  })

  test.each([
    ['fetch failed', 'connect ECONNREFUSED ::1:4001', 'fetch failed (connect ECONNREFUSED ::1:4001)'],
    [
      'mailer: connect ECONNREFUSED ::1:4001',
      'connect ECONNREFUSED ::1:4001',
      'mailer: connect ECONNREFUSED ::1:4001',
    ],
  ])('is told of once: %s', async (message, cause, told) => {
    const code = { code: 'ECONNREFUSED' }
    const { clock, publish, pushed } = await setUp(() =>
      Promise.reject(Object.assign(new Error(message, { cause: new Error(cause) }), code)),
    )
    await publish(['1', 1])
    await clock.advance('1m')
    expect(pushed.status()).toMatchObject({ unavailable: { reason: `not answered: ${told}` } })
  })

  test('that breaks off in the middle fails the try', async () => {
    const { clock, got, publish, lanes } = await setUp(() =>
      Promise.reject(Object.assign(new TypeError('fetch failed'), { cause: { code: 'UND_ERR_SOCKET' } })),
    )
    await publish(['1', 1])
    await clock.advance('1m')
    expect(got).toHaveLength(3)
    expect(await lanes()).toMatchObject({ 'orders-1': { state: 'parked', attempts: 3 } })
  })

  test('that is slower than the deadline is given up, and the message tried again', async () => {
    const aborted: boolean[] = []
    const { clock, got, publish } = await setUp(
      async ({ init, attempt }) => {
        if (attempt > 1) return new Response('ok')
        await new Promise((_, reject) => init.signal.addEventListener('abort', reject)).catch(() => undefined)
        aborted.push(init.signal.aborted)
        throw new Error('aborted')
      },
      {},
      { deadline: '5s' },
    )
    await publish(['1', 1])
    await clock.advance('1m')
    expect(got.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(got[1]!.at).toBeGreaterThan(5000)
    expect(aborted).toEqual([true])
  })

  test('that a policy refuses to ask costs no tries', async () => {
    let isOpen = true
    const { clock, got, publish, lanes } = await setUp(() => {
      if (isOpen) throw Object.assign(new Error('the breaker is open'), { retryAfter: 5000 })
      return new Response('ok')
    })
    await publish(['1', 1])
    await clock.advance('1h')
    isOpen = false
    await clock.advance('5s')
    expect(got.at(-1)).toMatchObject({ attempt: 1 })
    expect(await lanes()).toEqual({})
  })

  test('that answers 2xx and never ends its body has acknowledged', async () => {
    const endless = () =>
      new ReadableStream({
        pull: (controller) => controller.enqueue(Buffer.alloc(16 * 1024)),
      })
    const silent = () => new ReadableStream({})
    const { clock, got, publish, lanes } = await setUp(
      ({ key }) => new Response(key === '1' ? endless() : silent()),
    )
    await publish(['1', 1], ['2', 2], ['1', 3], ['2', 4])
    await clock.advance('1s')
    expect(got.map(({ data }) => data).sort()).toEqual([1, 2, 3, 4])
    expect(await lanes()).toEqual({})
  })
})

describe('a request', () => {
  test('is the CloudEvent as JSON, signed, with the same id each time', async () => {
    const { clock, got, publish, log } = await setUp(status(500), { secret: [SECRET, OTHER_SECRET] })
    await publish(['1', { total: 3 }])
    await clock.advance('1m')
    const events: string[] = []
    for await (const { id } of log.read({ category: 'orders' })) events.push(id)
    const [first, , third] = got.map(({ init }) => init)
    expect(first).toMatchObject({ method: 'POST', redirect: 'manual' })
    expect(JSON.parse(first!.body as string)).toMatchObject({
      specversion: '1.0',
      id: events[0],
      source: '/banyan',
      type: 'A',
      data: { total: 3 },
      partitionkey: 'orders-1',
    })
    expect(first!.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'banyan-subscription': 'mailer',
      'banyan-attempt': '1',
    })
    const id = first!.headers['webhook-id']!
    expect(id).toMatch(/^msg_[\w-]{27}$/)
    expect(third!.headers['webhook-id']).toBe(id)
    expect(third!.headers['webhook-timestamp']).not.toBe(first!.headers['webhook-timestamp'])
    expect(first!.headers['idempotency-key']).toBe(`"${id}"`)
    await publish([undefined, {}])
    await clock.advance('1s')
    expect(JSON.parse(got.at(-1)!.init.body as string)).not.toHaveProperty('partitionkey')
    for (const secret of [SECRET, OTHER_SECRET]) {
      const runtime = virtualRuntime()
      expect(verifyWebhook(first!.headers, first!.body, secret, { runtime })).toMatchObject({ id })
    }
  })

  test('in binary format has the attributes as fields, and the data as its body', async () => {
    const headers = { Authorization: 'Bearer x' }
    const { clock, got, publish } = await setUp(status(200), { format: 'binary', headers, source: '/shop' })
    await publish(['1', { total: 3 }])
    await clock.advance('1s')
    expect(got[0]!.init).toMatchObject({
      body: '{"total":3}',
      headers: {
        authorization: 'Bearer x',
        'ce-source': '/shop',
        'ce-type': 'A',
        'content-type': 'application/json',
      },
    })
    expect(got[0]!.init.headers).not.toHaveProperty('webhook-signature')
  })
})

test('closing waits for requests under way and sends nothing more', async () => {
  let answer!: (response: Response) => void
  const { clock, got, publish, pushed, subscription } = await setUp(
    () => new Promise<Response>((resolve) => (answer = resolve)),
  )
  await publish(['1', 1], ['1', 2])
  await clock.advance(1)
  let isClosed = false
  const closing = pushed.close().then(() => (isClosed = true))
  await clock.advance('1s')
  expect(isClosed).toBe(false)
  answer(new Response('ok'))
  await clock.settle(closing)
  await clock.advance('1m')
  expect(got).toHaveLength(1)
  // The subscription is still there.
  expect(await clock.settle(subscription.pull({ wait: '1s' }))).toMatchObject([{ event: { data: 2 } }])
})

test('cutting a close short breaks off what is under way, and that is no failed try', async () => {
  const { clock, got, publish, pushed, lanes } = await setUp(
    ({ init }) =>
      new Promise((_, reject) => init.signal.addEventListener('abort', () => reject(new Error('cut')))),
  )
  await publish(['1', 1])
  await clock.advance(1)
  await clock.settle(pushed.close(AbortSignal.abort()))
  expect(got).toHaveLength(1)
  expect(await lanes()).toEqual({})
})

test('closing leaves messages that wait for their endpoint to whoever comes next, at once', async () => {
  const { clock, publish, pushed, subscription, up } = await setUp(status(204))
  up(false)
  await publish(['1', 1], ['2', 2])
  await clock.advance('10m')
  await clock.settle(pushed.close())
  expect(await clock.settle(subscription.pull({ max: 2 }))).toMatchObject([{ attempt: 1 }, { attempt: 1 }])
})

test.each<[Partial<PushOptions>, string]>([
  [{ url: 'ftp://shop.example' }, 'push: url must be an http or https URL'],
  [{ url: 'http://me:secret@shop.example' }, 'push: url must be an http or https URL without credentials'],
  [{ url: '/hook' }, 'push: url must be an http or https URL'],
  [{ secret: 'abc' }, 'a secret for signatures is whsec_'],
  [{ secret: 'whsec_c2hvcnQ=' }, 'at least 24 random bytes'],
  [{ secret: [] }, 'one secret for signatures at least'],
  [{ headers: { 'Content-Length': '3' } }, 'Content-Length is not yours to set'],
  [{ headers: { 'ce-id': '3' } }, 'ce-id is not yours to set'],
  [{ source: 'not a uri' }, 'source must be a URI reference'],
  [{ concurrency: 0 }, 'concurrency must be'],
  [{ format: 'xml' as 'binary' }, 'format must be'],
])('%j is refused', async (options, message) => {
  await expect(setUp(status(200), options)).rejects.toThrow(message)
})
