import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  openLog,
  subscribe,
  subscriptions,
  topic,
  type Message,
  type Subscription,
} from '../../src/events/index.js'
import { ledgerStream } from '../../src/events/pubsub/group/names.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-settling-'))
const noPostgres = postgresMissing()
const server = PostgresServer.ofSuite()
let places = 0

afterAll(() => rmSync(directory, { recursive: true, force: true }))

const ENDED = expect.objectContaining({ code: 'BANYAN_DELIVERY_ENDED' }) as Error

/** What becomes of each message, settled at the same time. */
async function settled(work: readonly Promise<void>[]): Promise<unknown[]> {
  const results = await Promise.allSettled(work)
  return results.map((result) => (result.status === 'rejected' ? (result.reason as unknown) : 'written'))
}

async function pullAll(subscription: Subscription, count: number): Promise<Message[]> {
  const messages: Message[] = []
  while (messages.length < count)
    messages.push(...(await subscription.pull({ max: count - messages.length, wait: '5s' })))
  return messages
}

describe.each(['memory', 'sqlite', 'postgres'])('what is said of a message on %s', (engine) => {
  const here = engine === 'postgres' && noPostgres ? test.skip : test
  const place = async (): Promise<string> => {
    if (engine === 'postgres') return server.database()
    return engine === 'sqlite' ? `sqlite:${join(directory, String(places++))}` : 'memory:'
  }
  const keys = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ type: 'Placed', key: String(index) }))

  here('is refused when the log was closed before it was written', async () => {
    const log = await openLog(await place())
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      drain: '10ms',
    })
    await topic(log, 'order').publish(keys(3))
    const [a, b, c] = await pullAll(subscription, 3)
    await log.close()
    expect(await settled([a!.ack(), b!.nack(), c!.reject('no')])).toEqual([ENDED, ENDED, ENDED])
    await subscription.close()
  })

  here('is refused when another process has taken the partition over', async () => {
    const log = await openLog(await place())
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 1,
    })
    await topic(log, 'order').publish(keys(2))
    const [a, b] = await pullAll(subscription, 2)
    await log.append({
      streams: [
        { stream: ledgerStream('mailer', 0), events: [{ type: 'Claimed', data: { owner: 'other' } }] },
      ],
    })
    expect(await settled([a!.ack(), b!.nack()])).toEqual([ENDED, ENDED])
    expect(() => a!.extend()).toThrow(ENDED)
    await subscription.close()
    await log.close()
  })

  here('is refused when an operator has moved the subscription meanwhile', async () => {
    const log = await openLog(await place())
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 1,
    })
    await topic(log, 'order').publish(keys(2))
    const [a] = await pullAll(subscription, 2)
    // Its process has not heard of it.
    await log.append({
      streams: [{ stream: ledgerStream('mailer', 0), events: [{ type: 'Sought', data: { to: '0' } }] }],
    })
    expect(await settled([a!.ack()])).toEqual([ENDED])
    expect(await pullAll(subscription, 2)).toHaveLength(2)
    await subscription.close()
    await log.close()
  })

  here('is written also with a reason of many megabytes, of which the beginning is kept', async () => {
    const log = await openLog(await place())
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 1,
    })
    await topic(log, 'order').publish(keys(3))
    const [a, b, c] = await pullAll(subscription, 3)
    const long = `\ud83d\ude00${'x'.repeat(997)}\ud83d\ude00${'y'.repeat(20e6)}`
    const said = [a!.nack({ reason: long, delay: '1h' }), b!.reject(`\u0000 \ud83d ${long}`), c!.ack()]
    expect(await settled(said)).toEqual(['written', 'written', 'written'])
    const { lanes, waiting } = await subscriptions(log).status('mailer')
    expect(lanes.map(({ state }) => state)).toEqual(['parked', 'retrying'])
    expect(lanes[1]!.reason).toBe(`\ud83d\ude00${'x'.repeat(997)}… (20001001 characters)`)
    expect(waiting.count).toBe(1)
    await subscription.close()
    await log.close()
  })

  here('goes into several events where a log takes only small ones', async () => {
    const log = await openLog(await place(), { eventBytes: '4kB' })
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 1,
    })
    for (let count = 0; count < 5; count++)
      await topic(log, 'order').publish(
        keys(300).map(({ key }) => ({ type: 'Placed', key: `${count}-${key}` })),
      )
    const messages = await pullAll(subscription, 1500)
    const said = messages.map((message, index) =>
      index % 2 === 0 ? message.reject('z'.repeat(5000)) : message.ack(),
    )
    expect(new Set(await settled(said))).toEqual(new Set(['written']))
    const { stalled, waiting } = await subscriptions(log).status('mailer')
    expect([stalled.parked, waiting.count]).toEqual([750, 0])
    expect(subscription.status().fault).toBeUndefined()
    await subscription.close()
    await log.close()
  })

  here('is refused, loudly, when the log takes it in no way', async () => {
    const log = await openLog(await place(), { eventBytes: 600 })
    const subscription = await subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 1,
    })
    await topic(log, 'order').publish(keys(1))
    const [a] = await pullAll(subscription, 1)
    expect(await settled([a!.reject('z'.repeat(900))])).toEqual([ENDED])
    expect(subscription.status().fault).toMatch(/partition 0: it could not be written down: .*eventBytes/)
    // What can be written is.
    const [again] = await pullAll(subscription, 1)
    await again!.ack()
    expect(subscription.status().fault).toBeUndefined()
    await subscription.close()
    await log.close()
  })
})
