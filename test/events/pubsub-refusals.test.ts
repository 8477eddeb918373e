import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, pubSub, subscribe, subscriptions, topic } from '../../src/events/index.js'
import { systemRuntime } from '../../src/core/runtime.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-refusals-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const INVALID = expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }) as Error

describe.each(['memory:', `sqlite:${directory}`])('on %s, places that are none are refused', (place) => {
  test.each([{ time: NaN }, { time: '2020-01-01' }, { tme: 5 }, {}, new Date(0), null, 5])(
    '%s',
    async (from) => {
      const log = await openLog(place)
      await expect(subscribe(log, { name: 'new', topic: 'order', from: from as never })).rejects.toEqual(
        INVALID,
      )
      const subscription = await subscribe(log, { name: 'mailer', topic: 'order', from: 'start' })
      await expect(subscriptions(log).seek('mailer', from as never)).rejects.toEqual(INVALID)
      await subscription.close()
      await log.close()
    },
  )

  test('a new subscription does not begin where events were truncated, but at the start', async () => {
    const log = await openLog(place)
    const { position } = await topic(log, 'parcel').publish({ type: 'Sent' })
    await topic(log, 'parcel').publish([{ type: 'Sent' }, { type: 'Sent' }])
    await subscriptions(log)
      .delete('mailer', { force: true })
      .catch(() => undefined)
    await log.truncate({ stream: 'parcel', beforeRevision: 2 })
    for (const from of [position, { time: 0 }])
      await expect(subscribe(log, { name: 'late', topic: 'parcel', from })).rejects.toMatchObject({
        code: 'BANYAN_POSITION_TRUNCATED',
      })
    const late = await subscribe(log, { name: 'late', topic: 'parcel', from: 'start' })
    expect(await late.pull({ max: 5, wait: '5s' })).toHaveLength(1)
    await late.close()
    await log.close()
  })

  test('as are topics that are Banyan’s own, or every topic', async () => {
    const log = await openLog(place)
    await expect(subscribe(log, { name: 'loop', topic: '$subscription' })).rejects.toEqual(INVALID)
    expect(() => topic(log, '*')).toThrow(INVALID)
    await log.close()
  })
})

describe('what consumers and producers give wrongly is refused, and nothing is done', () => {
  const open = async () => {
    const log = await openLog('memory:')
    const work = await subscribe(log, { name: 'worker', topic: 'job', from: 'start' })
    const close = async (): Promise<void> => {
      await work.close()
      await log.close()
    }
    return { log, work, close }
  }

  test('handlers, how they are called, and how messages are taken', async () => {
    const { log, work, close } = await open()
    const handler = (): void => undefined
    for (const [given, options] of [
      [undefined, {}],
      [handler, { concurrency: 0 }],
      [handler, { concurrency: NaN }],
      [handler, { concurency: 1 }],
      [handler, { middleware: ['log'] }],
    ] as const)
      expect(() => work.handle(given as never, options as never)).toThrow(INVALID)
    const stop = work.handle(handler)
    expect(() => work.handle(handler)).toThrow(/has a handler already/)
    stop()
    await topic(log, 'job').publish([{ type: 'A', key: '1' }])
    for (const options of [{ maximum: 3 }, { max: 0 }, { wait: 'soon' }])
      await expect(work.pull(options as never)).rejects.toEqual(INVALID)
    const [message] = await work.pull({ wait: '5s' })
    for (const how of [{ dalay: '1s' }, { delay: 'soon' }, { reason: 5 }])
      await expect(message!.nack(how as never)).rejects.toEqual(INVALID)
    for (const reason of [undefined, '', 42])
      await expect(message!.reject(reason as never)).rejects.toEqual(INVALID)
    await message!.ack()
    expect(() => pubSub(log, { middlewares: [] } as never)).toThrow(INVALID)
    await close()
    expect(() => work.handle(handler)).toThrow(/was closed/)
    await expect(work.pull()).rejects.toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
  })

  test.each([
    { type: 'A', kei: '1' },
    { type: 'A', dellay: '1h' },
    { type: 'A', delay: '1h', deliverAt: 5 },
    { type: 'A', deliverAt: new Date() },
    { type: 'A', deliverAt: NaN },
    { type: 'A', key: null },
    { type: 'A', key: {} },
    { type: 'A', key: 5 },
    { type: 'A', key: '' },
  ])('messages: %j', async (message) => {
    const { log, close } = await open()
    await expect(topic(log, 'job').publish([{ type: 'B' }, message as never])).rejects.toEqual(INVALID)
    for (const none of ['text', null, []])
      await expect(topic(log, 'job').publish([none as never])).rejects.toMatchObject({
        code: 'BANYAN_INVALID_EVENT',
      })
    for await (const { category } of log.streams()) expect(category).toBe('$subscription')
    await close()
  })

  test('functions that do not say yes or no, and results that nobody appends', async () => {
    const log = await openLog('memory:')
    const told: string[] = []
    const telemetry = { ...systemRuntime.telemetry, log: (_: string, text: string) => void told.push(text) }
    const runtime = { ...systemRuntime, telemetry }
    await topic(log, 'job').publish([{ type: 'A' }, { type: 'B' }])
    const where = (() => Promise.resolve(false)) as never
    const asked = await subscribe(log, { name: 'asks', topic: 'job', from: 'start', where, runtime })
    const work = await subscribe(log, { name: 'worker', topic: 'job', from: 'start', runtime })
    asked.handle(() => undefined)
    work.handle(() => [{ stream: 'effect-1', events: [{ type: 'Done' }] }])
    const manage = subscriptions(log)
    await expect
      .poll(async () => (await manage.status('asks')).lanes.map(({ reason }) => reason))
      .toEqual(Array(2).fill('its where function gave a promise, and has to say yes or no at once'))
    await expect.poll(async () => (await manage.status('worker')).waiting.count).toBe(0)
    expect(told.filter((text) => text.includes('is not appended'))).toHaveLength(1)
    await asked.close()
    await work.close()
    await log.close()
  })

  test('consumers of a log that was closed end at once', async () => {
    const { log, work } = await open()
    await topic(log, 'job').publish([{ type: 'A', key: '1' }])
    const [message] = await work.pull({ wait: '5s' })
    const iterating = (async () => {
      for await (const each of work.messages()) await each.ack()
    })()
    await log.close()
    const CLOSED = expect.objectContaining({ code: 'BANYAN_LOG_CLOSED' }) as Error
    await expect(iterating).rejects.toEqual(CLOSED)
    await expect(work.ended).rejects.toEqual(CLOSED)
    await expect(work.pull({ wait: '1m' })).rejects.toEqual(CLOSED)
    expect(() => work.handle(() => undefined)).toThrow(CLOSED)
    await expect(message!.ack()).rejects.toMatchObject({ code: 'BANYAN_DELIVERY_ENDED' })
    expect(() => message!.extend()).toThrow(/the log was closed/)
    const before = performance.now()
    await work.close()
    expect(performance.now() - before).toBeLessThan(5000)
  })

  test('guarantees say what is so', async () => {
    const log = await openLog('memory:')
    const orders: string[] = []
    for (const options of [{ park: 'message' }, { delivery: 'at-most-once' }, { attempts: 1 }] as const) {
      const one = await subscribe(log, { name: JSON.stringify(options), topic: 'job', ...options })
      const { order, failure } = one.guarantees
      orders.push(order.split('of the log')[1]!.split('; none')[0]!, failure)
      await one.close()
    }
    expect(orders).toEqual([
      ', also after retries; a dead letter is passed over, and comes behind the others when it is redriven',
      '5 tries, then a dead letter, which holds back nothing else',
      '; what fails is not tried again',
      'dropped and counted',
      ', also after retries and redrives',
      '1 try, then a dead letter, which holds back the rest of its stream',
    ])
    await log.close()
  })
})
