import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import {
  deadLetter,
  openLog,
  subscribe,
  topic,
  type EventLog,
  type Message,
  type Subscription,
  type SubscriptionOptions,
} from '../../src/events/index.js'
import type { EventTransform } from '../../src/events/index.js'
import { readLedger } from '../../src/events/pubsub/ledger/ledger.js'
import { ledgerStream } from '../../src/events/pubsub/group/names.js'
import type { LaneRecord } from '../../src/events/pubsub/ledger/state.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-pubsub-'))
const noPostgres = postgresMissing()
const opened: { close: () => Promise<void> }[] = []
const server = PostgresServer.ofSuite()
let places = 0

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close()
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const engines: Record<string, () => Promise<string>> = {
  memory: () => Promise.resolve('memory:'),
  sqlite: () => Promise.resolve(`sqlite:${join(directory, String(places++))}`),
  postgres: () => server.database(),
}

interface Placed {
  type: 'Placed'
  data: { number: number }
}

/** Resolves when something is so; looks each time that something may have changed. */
function until(isSo: () => boolean): { promise: Promise<void>; look: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((found) => (resolve = found))
  return { promise, look: () => isSo() && resolve() }
}

describe.each(Object.keys(engines))('a subscription on %s', (engine) => {
  const here = engine === 'postgres' && noPostgres ? test.skip : test

  async function open(transforms: EventTransform[] = []): Promise<EventLog> {
    const log = await openLog(await engines[engine]!(), { transforms })
    opened.push(log)
    return log
  }

  async function follow(
    log: EventLog,
    options: Partial<SubscriptionOptions<Placed>> = {},
  ): Promise<Subscription<Placed>> {
    const subscription = await subscribe<Placed>(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: 3,
      backoff: { base: 5, max: 20 },
      ...options,
    })
    opened.push(subscription)
    return subscription
  }

  /** Lanes that do not go on by themselves. */
  async function records(log: EventLog): Promise<LaneRecord[]> {
    const found: LaneRecord[] = []
    for (let partition = 0; partition < 3; partition++)
      found.push(...(await readLedger(log, ledgerStream('mailer', partition), '0')).lanes.values())
    return found.filter(({ state }) => state !== 'behind')
  }

  const publish = (log: EventLog, keys: readonly (string | undefined)[], first = 0): Promise<unknown> =>
    topic<Placed>(log, 'order').publish(
      keys.map((key, index) => ({
        type: 'Placed',
        data: { number: first + index },
        ...(key !== undefined && { key }),
      })),
    )

  here('handles each message once, those of a key in order, and goes on where it was', async () => {
    const log = await open()
    const keys = Array.from({ length: 120 }, (_, index) => (index % 7 === 6 ? undefined : `k${index % 5}`))
    await publish(log, keys)
    const handled: string[] = []
    for (const size of [120, 180]) {
      const subscription = await follow(log)
      const done = until(() => handled.length === size)
      subscription.handle(
        ({ stream, data }) => {
          handled.push(`${stream} ${data.number}`)
          done.look()
        },
        { concurrency: 8 },
      )
      if (size > 120) await publish(log, keys.slice(0, 60), 1000)
      await done.promise
      await subscription.close()
    }
    expect(new Set(handled).size).toBe(180)
    for (let key = 0; key < 5; key++) {
      const numbers = handled
        .filter((text) => text.startsWith(`order-k${key} `))
        .map((text) => Number(text.split(' ')[1]))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
  })

  here('tries again, parks the rest of the key with the reason, and lets the others go on', async () => {
    const log = await open()
    await publish(log, ['bad', 'good', 'bad', 'flaky', 'good', 'flaky', undefined])
    const tries: string[] = []
    const subscription = await follow(log, { attempts: 3 })
    const parked = until(
      () => tries.filter((text) => text.startsWith('order-bad')).length === 3 && tries.length === 9,
    )
    subscription.handle(({ stream, revision }, { attempt }) => {
      tries.push(`${stream}@${revision} try ${attempt}`)
      parked.look()
      if (stream === 'order-bad') throw new Error('no such customer')
      if (stream === 'order-flaky' && revision === 0 && attempt === 1) throw new Error('try again')
    })
    await parked.promise
    while ((await records(log)).length === 0) await new Promise((resolve) => setImmediate(resolve))
    await subscription.close()
    expect(tries.filter((text) => text.startsWith('order-bad'))).toEqual([
      'order-bad@0 try 1',
      'order-bad@0 try 2',
      'order-bad@0 try 3',
    ])
    expect(tries.filter((text) => text.startsWith('order-flaky'))).toEqual([
      'order-flaky@0 try 1',
      'order-flaky@0 try 2',
      'order-flaky@1 try 1',
    ])
    expect(await records(log)).toEqual([
      expect.objectContaining({
        lane: 'order-bad',
        state: 'parked',
        attempts: 3,
        reason: 'no such customer',
        head: expect.objectContaining({ stream: 'order-bad', revision: 0, type: 'Placed' }) as object,
      }),
    ])
  })

  here('parks a message at once when its handler says so, and the message alone when asked to', async () => {
    const log = await open()
    await publish(log, ['bad', 'bad', 'bad'])
    const subscription = await follow(log, { park: 'message' })
    const handled: number[] = []
    const done = until(() => handled.length === 3)
    subscription.handle(({ revision }, { attempt }) => {
      handled.push(revision)
      done.look()
      expect(attempt).toBe(1)
      if (revision === 1) throw deadLetter('never')
    })
    await done.promise
    await subscription.close()
    expect(handled).toEqual([0, 1, 2])
    expect(await records(log)).toEqual([
      expect.objectContaining({ state: 'parked', attempts: 1, reason: 'never' }),
    ])
  })

  here('is pulled from: acknowledged, given back, put off, extended, rejected, too late', async () => {
    const log = await open()
    const subscription = await follow(log, { deadline: '300ms', attempts: 2 })
    expect(await subscription.pull()).toEqual([])
    const waiting = subscription.pull({ max: 10, wait: '20s' })
    await publish(log, ['a', 'b', 'c', 'd', 'a'])
    const first = new Map<string, Message<Placed>>()
    for (const message of await waiting) first.set(message.event.stream, message)
    while (first.size < 4)
      for (const message of await subscription.pull({ max: 4, wait: '20s' }))
        first.set(message.event.stream, message)
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((key) => first.get(`order-${key}`)!)
    expect([a!.attempt, a!.key, a!.subscription]).toEqual([1, 'order-a', 'mailer'])
    d!.extend('20s')
    await a!.ack()
    await b!.nack({ delay: 1, reason: 'later' })
    await c!.reject('never')
    await expect(a!.ack()).rejects.toMatchObject({ code: 'BANYAN_DELIVERY_ENDED' })
    const [again] = await pullOf(subscription, 'order-b')
    expect(again).toMatchObject({ attempt: 2 })
    // It is not acknowledged in time.
    await new Promise<void>((resolve) => again!.signal.addEventListener('abort', () => resolve()))
    await expect(again!.ack()).rejects.toThrow(/its deadline has passed/)
    expect(d!.signal.aborted).toBe(false)
    await d!.ack()
    await subscription.close()
    const left = await records(log)
    expect(left.map(({ key, state, reason }) => [key, state, reason]).sort()).toEqual([
      ['order-b', 'parked', 'it was not handled within 300 ms'],
      ['order-c', 'parked', 'never'],
    ])
  })

  async function pullOf(subscription: Subscription<Placed>, stream: string): Promise<Message<Placed>[]> {
    for (;;) {
      const messages = await subscription.pull({ max: 1, wait: '20s' })
      const found = messages.filter(({ event }) => event.stream === stream)
      for (const message of messages) if (!found.includes(message)) await message.ack()
      if (found.length > 0) return found
    }
  }

  here('is shared by all who take part, and handed on when one leaves', async () => {
    const log = await open()
    const first = await follow(log)
    const second = await follow(log)
    const handled: string[] = []
    const done = until(() => handled.length === 60)
    const count = (who: string) => (): void => {
      handled.push(who)
      done.look()
    }
    first.handle(count('first'))
    second.handle(count('second'))
    while (
      first.status().partitions.length + second.status().partitions.length < 3 ||
      second.status().partitions.length === 0
    )
      await new Promise((resolve) => setImmediate(resolve))
    await publish(
      log,
      Array.from({ length: 60 }, (_, index) => `k${index}`),
    )
    await done.promise
    expect(new Set(handled)).toEqual(new Set(['first', 'second']))
    await first.close()
    await publish(
      log,
      Array.from({ length: 30 }, (_, index) => `k${index}`),
      60,
    )
    while (handled.length < 90) await new Promise((resolve) => setImmediate(resolve))
    expect(handled.slice(60).every((who) => who === 'second')).toBe(true)
    expect(second.status().partitions).toEqual([0, 1, 2])
  })

  here('begins where it is told to, the first time', async () => {
    const log = await open()
    await publish(log, ['a', 'b'])
    const head = await log.head()
    await publish(log, ['c'])
    for (const [name, from, first] of [
      ['from the start', 'start', 0],
      ['from a position', head, 0],
      ['from the end', 'end', 9],
      ['from a time', { time: Date.now() + 60_000 }, 9],
    ] as const) {
      const subscription = await follow(log, { name, from })
      await publish(log, ['z'], 9)
      const [message] = await subscription.pull({ max: 1, wait: '20s' })
      expect([name, message?.event.data.number === 9 ? 9 : 0]).toEqual([name, first])
      await message?.ack()
      await subscription.close()
    }
  })

  here('refuses to be two things at once, and options that are none', async () => {
    const log = await open()
    await (await follow(log)).close()
    for (const [options, code, text] of [
      [{ topic: 'payment' }, 'BANYAN_SUBSCRIPTION_MISMATCH', /follows the topic order, not payment/],
      [{ partitions: 5 }, 'BANYAN_SUBSCRIPTION_MISMATCH', /has 3 partitions, not 5/],
      [{ topic: 'order-1' }, 'BANYAN_INVALID_OPTIONS', /has no dash/],
      [{ name: '' }, 'BANYAN_INVALID_OPTIONS', /1 to 200 bytes/],
      [{ deadline: 'soon' }, 'BANYAN_INVALID_OPTIONS', /deadline/],
      [{ from: 'yesterday' }, 'BANYAN_INVALID_POSITION', /not a position/],
      [{ retries: 3 }, 'BANYAN_INVALID_OPTIONS', /retries is not an option/],
    ] as const) {
      const failed = follow(log, { ...('from' in options && { name: 'new' }), ...options } as never)
      await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(text) as string })
    }
  })

  here('keeps what it has not handled from being truncated', async () => {
    const log = await open()
    const subscription = await follow(log)
    await publish(log, ['a', 'b', 'c'])
    await subscription.close()
    const { removed, heldBy } = await log.truncate({ all: true, upTo: await log.head() })
    expect([removed, heldBy?.startsWith('subscription mailer')]).toEqual([0, true])
    const again = await follow(log)
    const found = new Set<number>()
    while (found.size < 3)
      for (const message of await again.pull({ max: 3, wait: '20s' })) {
        found.add(message.event.data.number)
        await message.ack()
      }
  })

  here('parks what cannot be read, and goes on with the rest', async () => {
    const newer: EventTransform = {
      read(event) {
        if ((event.data as { number: number }).number === 1) throw new Error('of a version that nobody knows')
        return event
      },
    }
    const log = await open([newer])
    await publish(log, ['a', 'a', 'a', 'b'])
    const subscription = await follow(log)
    const handled: string[] = []
    const done = until(() => handled.length === 2)
    subscription.handle(({ stream, revision }) => {
      handled.push(`${stream}@${revision}`)
      done.look()
    })
    await done.promise
    while ((await records(log)).length === 0) await new Promise((resolve) => setImmediate(resolve))
    await subscription.close()
    expect(handled.sort()).toEqual(['order-a@0', 'order-b@0'])
    expect(await records(log)).toEqual([
      expect.objectContaining({
        key: 'order-a',
        state: 'parked',
        reason: 'of a version that nobody knows',
        head: expect.objectContaining({ revision: 1 }) as object,
      }),
    ])
  })

  here('parks messages whose key or condition cannot be told', async () => {
    const log = await open()
    await publish(log, ['a', 'b', 'c'])
    const subscription = await follow(log, {
      key: ({ data }) => {
        const { number } = data
        if (number === 0) throw new Error('no key')
        return number === 1 ? (7 as unknown as string) : 'same'
      },
    })
    const handled: unknown[] = []
    subscription.handle(({ stream }, { key }) => void handled.push([stream, key]))
    while (handled.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(handled).toEqual([['order-c', 'same']])
    while ((await records(log)).length < 2) await new Promise((resolve) => setImmediate(resolve))
    await subscription.close()
    expect((await records(log)).map(({ reason }) => reason).sort()).toEqual([
      'its key must be text, and the key function gave 7',
      'the key or where function has failed: Error: no key',
    ])
  })

  here('appends what a handler returns once for ever, and refuses nonsense', async () => {
    const log = await open()
    await publish(log, ['a', 'b'])
    const subscription = await follow(log, { delivery: 'effectively-once', attempts: 2 })
    let tries = 0
    const done = until(() => tries === 4)
    subscription.handle(({ stream, id }, { attempt }) => {
      tries++
      done.look()
      if (stream === 'order-b') return 'nonsense' as never
      // As if the process had ended between the effect and its acknowledgement.
      if (attempt === 1)
        return log
          .append({ id: `mailer/${id}`, streams: [{ stream: 'mail-1', events: [{ type: 'Sent' }] }] })
          .then(() => Promise.reject(new Error('killed')))
      return [{ stream: 'mail-1', events: [{ type: 'Sent' }] }]
    })
    await done.promise
    await subscription.close()
    expect(await log.revision('mail-1')).toBe(0)
    expect((await records(log)).map(({ reason }) => reason)).toEqual([
      expect.stringContaining('returns a list of streams with events, or nothing, not "nonsense"'),
    ])
  })

  here('delivers what was scheduled when it is due, once, also after it was closed meanwhile', async () => {
    const log = await open()
    const orders = topic<Placed>(log, 'order')
    const due = Date.now() + 3000
    await orders.publish({ id: 'later', type: 'Placed', data: { number: 2 }, key: 'a', deliverAt: due })
    await orders.publish({ id: 'later', type: 'Placed', data: { number: 2 }, key: 'a', deliverAt: due })
    await orders.publish({
      id: 'soon',
      type: 'Placed',
      data: { number: 1 },
      key: 'a',
      delay: '1500ms',
      metadata: { actor: 'ada' },
    })
    await publish(log, ['a'])
    const handled: [number, string | undefined, boolean][] = []
    for (const wanted of [1, 3]) {
      const subscription = await follow(log)
      const done = until(() => handled.length === wanted)
      subscription.handle(({ data: { number }, metadata, id }) => {
        expect(Object.keys(metadata)).not.toContain('$scheduled')
        handled.push([number, metadata.actor, id !== 'later' || Date.now() >= due])
        done.look()
      })
      await done.promise
      await subscription.close()
    }
    expect(handled).toEqual([
      [0, undefined, true],
      [1, 'ada', true],
      [2, undefined, true],
    ])
    expect(await log.revision('order-a')).toBe(2)
    await expect(
      orders.publish({ type: 'Placed', data: { number: 1 }, deliverAt: Number.NaN }),
    ).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
  })

  here('says what it promises', async () => {
    const subscription = await follow(await open(), { park: 'message' })
    expect(subscription.guarantees).toEqual({
      delivery: 'at least once: again until it is acknowledged, within 30s each time',
      order:
        'per stream: one message of a stream at a time, in the order of the log, also after retries; a dead letter is passed over, and comes behind the others when it is redriven; none for what was published without a key',
      parallel: 'across keys; in up to 3 processes at the same time',
      failure: '5 tries, then a dead letter, which holds back nothing else',
      durable: expect.stringContaining('what is not handled is kept from being truncated') as string,
    })
  })
})
