import { afterEach, describe, expect, it } from 'vitest'
import {
  deadLetter,
  openLog,
  START,
  subscribe,
  subscriptions,
  topic,
  topics,
  type EventLog,
  type Subscription,
  type SubscriptionOptions,
  type Subscriptions,
  type SubscriptionStatus,
} from '../../src/events/index.js'
import { closeLogs, collect, newLog } from '../support/logs.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const drivers = ['memory', 'sqlite', ...(postgresMissing() ? [] : ['postgres'])]

const server = PostgresServer.ofSuite()
afterEach(closeLogs)

/** What handlers do with messages whose data says so. */
const BAD = { bad: true }

/** A log with the topic `order`, and its subscription `billing`. */
class Shop {
  readonly log: EventLog
  readonly manage: Subscriptions
  readonly handled: string[] = []
  /** Whether bad messages can be handled by now. */
  isRepaired = false

  constructor(log: EventLog) {
    this.log = log
    this.manage = subscriptions(log)
  }

  static async open(driver: string): Promise<Shop> {
    if (driver !== 'postgres') return new Shop(await newLog(driver))
    const log = await openLog(await server.database())
    later.push(() => log.close())
    return new Shop(log)
  }

  /** Messages are named `key.number`; those with a `!` are bad. */
  async publish(...names: string[]): Promise<void> {
    for (const name of names) {
      const [key] = name.split('.')
      const data = name.endsWith('!') ? BAD : {}
      await topic(this.log, 'order').publish({ type: 'Placed', id: name, data, ...(key && { key }) })
    }
  }

  async run(options: Partial<SubscriptionOptions> = {}): Promise<Subscription> {
    const subscription = await this.create(options)
    subscription.handle(({ id, data }) => {
      if (!this.isRepaired && (data as { bad?: true }).bad) throw deadLetter(`cannot bill ${id}`)
      this.handled.push(id)
    })
    return subscription
  }

  async create(options: Partial<SubscriptionOptions> = {}): Promise<Subscription> {
    const subscription = await subscribe(this.log, {
      name: 'billing',
      topic: 'order',
      from: 'start',
      ...options,
    })
    later.push(() => subscription.close())
    return subscription
  }

  status(): Promise<SubscriptionStatus> {
    return this.manage.status('billing')
  }

  /** Looks at the status whenever something was appended, until it is as expected. */
  async until(isReached: (status: SubscriptionStatus) => boolean): Promise<SubscriptionStatus> {
    for await (const { caughtUp } of this.log.follow({}, { from: 'end' })) {
      const status = caughtUp && (await this.status())
      if (status && isReached(status)) return status
    }
    throw new Error('the log was closed')
  }

  nothingWaits(): Promise<SubscriptionStatus> {
    return this.until(
      ({ waiting, lanes }) => waiting.count === 0 && lanes.every(({ state }) => state === 'parked'),
    )
  }

  async deadLetters(): Promise<string[]> {
    return (await collect(this.manage.deadLetters('billing'))).map(({ head }) => head.id)
  }
}

const later: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of later.splice(0).reverse()) await close()
})

/** A shop in which `1.b!` has failed, with and without somebody who runs the subscription. */
async function withDeadLetter(driver: string, isRunning: boolean): Promise<Shop> {
  const shop = await Shop.open(driver)
  await shop.publish('1.a', '2.a', '1.b!', '1.c', '2.b', '.d!')
  const subscription = await shop.run()
  await shop.until(({ stalled, waiting }) => stalled.parked === 2 && waiting.count === 0)
  if (!isRunning) await subscription.close()
  return shop
}

describe.each(drivers)('a message that is released on %s', (driver) => {
  it('comes again before the rest of its key, and uses up no tries', async () => {
    const shop = await Shop.open(driver)
    await shop.publish('1.a', '1.b')
    const billing = await shop.create({ attempts: 2 })
    for (let time = 0; time < 10; time++) {
      const [message] = await billing.pull({ max: 2, wait: '20s' })
      expect([message!.event.id, message!.attempt]).toEqual(['1.a', 1])
      await message!.release()
      await expect(message!.ack()).rejects.toMatchObject({ code: 'BANYAN_DELIVERY_ENDED' })
    }
    for (const id of ['1.a', '1.b']) {
      const [message] = await billing.pull({ wait: '20s' })
      expect([message!.event.id, message!.attempt]).toEqual([id, 1])
      await message!.ack()
    }
    expect(await shop.nothingWaits()).toMatchObject({ lanes: [] })
  })

  it('becomes a dead letter in the end if nobody ever keeps it', async () => {
    const shop = await Shop.open(driver)
    await shop.publish('1.a')
    const billing = await shop.create({ attempts: 2, backoff: { base: 1 } })
    let taken = 0
    for await (const message of billing.messages()) {
      taken++
      await message.release()
      if (taken === 22) break
    }
    const { lanes } = await shop.until(({ stalled }) => stalled.parked === 1)
    expect(lanes).toMatchObject([{ attempts: 2, reason: 'it was released again and again' }])
  })

  it('that was written down as begun is not, after a crash', async () => {
    const shop = await Shop.open(driver)
    const first = await shop.create({ attempts: 2, partitions: 1, takeover: '200ms', drain: 1 })
    await shop.publish('1.a')
    // Its ledger says that it was begun once and not ended, and that its owner is gone.
    await first.close()
    const [message] = await collect(shop.log.read({ category: 'order' }))
    const { position } = message!
    const started = [[position, 1]]
    await shop.log.append({
      streams: [
        {
          stream: '$subscription-billing/0',
          events: [
            { type: 'Claimed', data: { owner: 'gone' } },
            { type: 'Progressed', data: { cursor: START, started } },
          ],
        },
      ],
    })
    const second = await shop.create({ attempts: 3 })
    const [taken] = await second.pull({ wait: '20s' })
    expect(taken!.attempt).toBe(2)
    await taken!.release()
    const steps = await collect(shop.log.read({ stream: '$subscription-billing/0' }))
    const counts = steps.map(({ data }) => (data as { started?: unknown }).started).filter(Boolean)
    expect(counts).toEqual([started, [[position, 2]], [[position, 1]]])
  })
})

describe.each(drivers)('lanes on %s', (driver) => {
  it('are named by their keys, also by one that looks like a position', async () => {
    const shop = await Shop.open(driver)
    await shop.publish('.a!', '2.b!', '@.c!')
    const [first] = await collect(shop.log.read({ category: 'order' }))
    const key = `@${first!.position}`
    await shop.run({
      key: ({ stream }) => (stream === 'order-@' ? key : stream === 'order' ? undefined : stream),
    })
    const { lanes } = await shop.until(({ stalled }) => stalled.parked === 3)
    const names = lanes.map((each) => [each.lane, each.key, each.head?.id])
    expect(names.sort()).toEqual([
      [key, undefined, '.a!'],
      [`@${key}`, key, '@.c!'],
      ['order-2', 'order-2', '2.b!'],
    ])
    shop.isRepaired = true
    for (const [lane, , id] of names) {
      expect(await shop.manage.redrive('billing', [lane!])).toEqual([lane])
      await shop.until(() => shop.handled.at(-1) === id)
    }
  })
})

describe.each(drivers)('subscriptions on %s', (driver) => {
  it('are listed, with who takes part', async () => {
    const shop = await Shop.open(driver)
    expect(await collect(shop.manage.list())).toEqual([])
    const running = await shop.create({ partitions: 2 })
    await subscribe(shop.log, { name: 'audit', topic: '*' }).then((audit) => audit.close())
    const [audit, billing] = await collect(shop.manage.list())
    expect(audit).toEqual({ name: 'audit', topic: '*', isPaused: false, members: [], partitions: 4 })
    expect(billing).toMatchObject({ name: 'billing', topic: 'order', isPaused: false, partitions: 2 })
    expect(billing!.members).toHaveLength(1)
    await running.close()
    expect((await shop.status()).members).toEqual([])
  })

  it('tell what waits, and since when', async () => {
    const shop = await Shop.open(driver)
    const subscription = await shop.create()
    await shop.publish('1.a', '2.a', '1.b')
    const status = await shop.status()
    expect(status).toMatchObject({
      waiting: { count: 3, isComplete: true },
      stalled: { parked: 0, retrying: 0, behind: 0 },
      lanes: [],
      description: { where: false, key: 'stream', delivery: 'at-least-once', attempts: 5, park: 'key' },
    })
    expect(status.age).toBeGreaterThanOrEqual(0)
    expect(await shop.manage.status('billing', { count: 2 })).toMatchObject({
      waiting: { count: 2, isComplete: false },
    })
    const [message] = await subscription.pull({ wait: '10s' })
    await message!.ack()
    expect((await shop.status()).waiting).toEqual({ count: 2, isComplete: true })
  })

  it('count only what they follow', async () => {
    const shop = await Shop.open(driver)
    await shop.create({ types: ['Placed'], tags: ['big'] })
    await shop.publish('1.a')
    const big = { tags: ['big'], key: '1' }
    await topic(shop.log, 'order').publish([
      { type: 'Placed', ...big },
      { type: 'Changed', ...big },
    ])
    await topic(shop.log, 'parcel').publish({ type: 'Placed', ...big })
    expect((await shop.status()).waiting.count).toBe(1)
  })

  it('that follow every topic do not count what patterns keep for themselves', async () => {
    const shop = await Shop.open(driver)
    await shop.create({ topic: '*' })
    await shop.publish('1.a')
    await topic(shop.log, 'parcel').publish({ type: 'Placed' })
    expect((await shop.status()).waiting.count).toBe(2)
  })

  it('tell which lanes are parked, why, and what waits behind', async () => {
    const shop = await withDeadLetter(driver, true)
    const { lanes, waiting, age } = await shop.status()
    expect({ waiting, age }).toEqual({ waiting: { count: 0, isComplete: true }, age: 0 })
    const byId = new Map(lanes.map((lane) => [lane.head?.id, lane]))
    expect(byId.get('1.b!')).toMatchObject({
      lane: 'order-1',
      key: 'order-1',
      state: 'parked',
      attempts: 1,
      reason: 'cannot bill 1.b!',
      heldBack: { count: 1, isComplete: true },
      head: { type: 'Placed', stream: 'order-1', revision: 1 },
    })
    const alone = byId.get('.d!')!
    expect(alone.lane).toBe(`@${alone.head!.position}`)
    expect(alone.heldBack).toEqual({ count: 0, isComplete: true })
    const letters = await collect(shop.manage.deadLetters('billing'))
    expect(letters.map(({ event }) => event?.data)).toEqual([BAD, BAD])
    expect(letters[0]!.failed).toBeGreaterThan(0)
    await shop.publish('1.d', '2.c')
    const status = await shop.nothingWaits()
    expect(status.lanes.find(({ key }) => key === 'order-1')?.heldBack?.count).toBe(2)
  })

  it.each([true, false])('redrive one lane, or all; running: %s', async (isRunning) => {
    const shop = await withDeadLetter(driver, isRunning)
    shop.isRepaired = true
    expect(await shop.manage.redrive('billing', ['order-1', 'order-2', 'order-9'])).toEqual(['order-1'])
    if (!isRunning) {
      expect((await shop.status()).waiting.count).toBe(2)
      await shop.run()
    }
    await shop.nothingWaits()
    expect(shop.handled.filter((id) => id.startsWith('1'))).toEqual(['1.a', '1.b!', '1.c'])
    expect(await shop.deadLetters()).toEqual(['.d!'])
    expect(await shop.manage.redrive('billing', 'all')).toHaveLength(1)
    await shop.until(({ lanes }) => lanes.length === 0)
    expect(shop.handled).toContain('.d!')
    expect(await shop.manage.redrive('billing', 'all')).toEqual([])
  })

  it.each([true, false])(
    'skip a message, and go on with what it held back; running: %s',
    async (isRunning) => {
      const shop = await withDeadLetter(driver, isRunning)
      const letters = await collect(shop.manage.deadLetters('billing'))
      const { lane, head } = letters.find(({ key }) => key === 'order-1')!
      await expect(shop.manage.skip('billing', lane, START)).rejects.toMatchObject({
        code: 'BANYAN_CONFLICT',
      })
      await shop.manage.skip('billing', lane, head.position)
      await expect(shop.manage.skip('billing', lane, head.position)).rejects.toMatchObject({
        code: 'BANYAN_CONFLICT',
      })
      if (!isRunning) await shop.run()
      await shop.nothingWaits()
      expect(shop.handled.filter((id) => id.startsWith('1'))).toEqual(['1.a', '1.c'])
      expect(await shop.deadLetters()).toEqual(['.d!'])
    },
  )

  it.each([true, false])(
    'seek to the start, where dead letters come again; running: %s',
    async (isRunning) => {
      const shop = await withDeadLetter(driver, isRunning)
      shop.isRepaired = true
      shop.handled.length = 0
      expect(await shop.manage.seek('billing', 'start')).toBe(START)
      if (!isRunning) {
        expect((await shop.status()).waiting.count).toBe(6)
        await shop.run()
      }
      await shop.until(({ waiting, lanes }) => waiting.count === 0 && lanes.length === 0)
      expect(shop.handled.filter((id) => id.startsWith('1'))).toEqual(['1.a', '1.b!', '1.c'])
      expect([...shop.handled].sort()).toEqual(['.d!', '1.a', '1.b!', '1.c', '2.a', '2.b'])
    },
  )

  it.each([true, false])('seek to the end, and keep their dead letters; running: %s', async (isRunning) => {
    const shop = await withDeadLetter(driver, isRunning)
    if (!isRunning) {
      await shop.publish('2.c', '3.a')
      expect((await shop.status()).waiting.count).toBe(2)
    }
    await shop.manage.seek('billing', 'end')
    expect((await shop.status()).waiting.count).toBe(0)
    await shop.publish('3.b')
    if (!isRunning) await shop.run()
    await shop.nothingWaits()
    expect([...new Set(shop.handled)].sort()).toEqual(['1.a', '2.a', '2.b', '3.b'])
    expect(await shop.deadLetters()).toHaveLength(2)
  })

  it('deliver nothing that they have sought past, though it was in memory', async () => {
    const shop = await Shop.open(driver)
    const subscription = await shop.create({ partitions: 1 })
    await shop.publish('1.a', '2.a', '3.a')
    const [message] = await subscription.pull({ wait: '20s' })
    const ended = new Promise((resolve) => message!.signal.addEventListener('abort', resolve))
    await shop.manage.seek('billing', 'end')
    await ended
    await shop.publish('1.b')
    const [next] = await subscription.pull({ wait: '20s' })
    expect(next!.event.id).toBe('1.b')
    await expect(message!.ack()).rejects.toMatchObject({ code: 'BANYAN_DELIVERY_ENDED' })
    await next!.ack()
    expect((await shop.status()).waiting.count).toBe(0)
  })

  it('seek to a time', async () => {
    const shop = await Shop.open(driver)
    await (await shop.create()).close()
    await shop.publish('1.a')
    const head = await shop.log.head()
    expect((await shop.manage.seek('billing', { time: Date.now() + 1000 })) >= head).toBe(true)
    expect((await shop.status()).waiting.count).toBe(0)
    expect(await shop.manage.seek('billing', { time: 0 })).toBe(START)
    expect((await shop.status()).waiting.count).toBe(1)
  })

  it('do not seek to what was truncated, nor behind the end', async () => {
    const shop = await Shop.open(driver)
    await shop.publish('1.a', '1.b', '1.c')
    const [, second, third] = (await collect(shop.log.read())).map(({ position }) => position)
    await (await shop.create({ hold: false })).close()
    await shop.log.release('subscription billing')
    await shop.log.truncate({ category: 'order', upTo: second! })
    await expect(shop.manage.seek('billing', START)).rejects.toMatchObject({
      code: 'BANYAN_POSITION_TRUNCATED',
      message: expect.stringContaining(`The first that is there is at position ${third!}, of 20`) as string,
    })
    await expect(shop.manage.seek('billing', { time: 1 })).rejects.toMatchObject({
      code: 'BANYAN_POSITION_TRUNCATED',
    })
    expect(await shop.manage.seek('billing', second!)).toBe(second)
    expect(await shop.manage.seek('billing', 'start')).toBe(START)
    expect((await shop.status()).waiting.count).toBe(1)
    await expect(shop.manage.seek('billing', '9'.repeat(16))).rejects.toMatchObject({
      code: 'BANYAN_POSITION_AHEAD',
    })
  })

  it('that seek back keep what is to come from being truncated', async () => {
    const shop = await withDeadLetter(driver, false)
    await shop.manage.redrive('billing', 'all')
    shop.isRepaired = true
    await (await shop.run()).close()
    for (let partition = 0; partition < 4; partition++)
      await shop.log.hold(`subscription billing/${partition}`, await shop.log.head())
    await shop.log.hold('subscription billing', await shop.log.head())
    await shop.manage.seek('billing', 'start')
    await shop.log.truncate({ category: 'order', upTo: await shop.log.head() })
    expect((await shop.status()).waiting.count).toBe(6)
  })

  it('pause and go on, whoever runs them', async () => {
    const shop = await Shop.open(driver)
    const subscription = await shop.run()
    await shop.manage.pause('billing')
    await shop.manage.pause('billing')
    expect((await shop.status()).isPaused).toBe(true)
    await shop.publish('1.a')
    await shop.manage.resume('billing')
    await shop.nothingWaits()
    expect(shop.handled).toEqual(['1.a'])
    expect(subscription.status().isPaused).toBe(false)
  })

  it('are not deleted while somebody takes part, unless that is forced', async () => {
    const shop = await Shop.open(driver)
    await shop.publish('1.a')
    await shop.run()
    await shop.nothingWaits()
    await expect(shop.manage.delete('billing')).rejects.toMatchObject({ code: 'BANYAN_SUBSCRIPTION_IN_USE' })
    await shop.manage.delete('billing', { force: true })
    expect(await collect(shop.manage.list())).toEqual([])
    await expect(shop.status()).rejects.toMatchObject({ code: 'BANYAN_SUBSCRIPTION_UNKNOWN' })
  })

  it('that are deleted end whoever takes part, each with an error, and can be begun anew', async () => {
    const shop = await Shop.open(driver)
    const deleted = expect.objectContaining({ code: 'BANYAN_SUBSCRIPTION_DELETED' }) as Error
    await shop.publish('1.a', '2.a')
    const billing = await shop.create()
    const [message] = await billing.pull({ wait: '20s' })
    const others = [await shop.create(), await shop.create()]
    const handled: string[] = []
    others[0]!.handle(({ id }) => void handled.push(id))
    const iterated = expect(collect(others[1]!.messages())).rejects.toEqual(deleted)
    await shop.until(({ members }) => members.length === 3)
    await shop.manage.delete('billing', { force: true })

    await iterated
    for (const each of [billing, ...others]) {
      await expect(each.ended).rejects.toEqual(deleted)
      await expect(each.pull({ wait: '20s' })).rejects.toEqual(deleted)
      expect(each.status()).toMatchObject({
        partitions: [],
        fault: expect.stringContaining('deleted') as string,
      })
    }
    await expect(message!.ack()).rejects.toMatchObject({ code: 'BANYAN_DELIVERY_ENDED' })
    for (const each of [billing, ...others]) await each.close()
    expect((await shop.log.stats()).holds).toEqual([])

    handled.length = 0
    await shop.run({ partitions: 2 })
    expect(await shop.nothingWaits()).toMatchObject({ members: { length: 1 }, partitions: 2 })
    expect([shop.handled.sort(), handled]).toEqual([['1.a', '2.a'], []])
  })

  it.each([['start' as const], ['end' as const]])(
    'begin anew at the %s under a name that was deleted',
    async (from) => {
      const shop = await withDeadLetter(driver, false)
      // What others hold stays of it.
      await shop.log.hold('others', START)
      await shop.manage.delete('billing')
      const { holds } = await shop.log.stats()
      expect(holds.map(({ name }) => name)).toEqual(['others'])
      await shop.publish('4.a')
      shop.handled.length = 0
      shop.isRepaired = true
      await shop.run({ from, partitions: 3 })
      expect((await shop.status()).partitions).toBe(3)
      await shop.publish('4.b')
      await shop.nothingWaits()
      const all = ['.d!', '1.a', '1.b!', '1.c', '2.a', '2.b', '4.a', '4.b']
      expect([...shop.handled].sort()).toEqual(from === 'start' ? all : ['4.b'])
    },
  )

  it('are suggested where a name is wrong', async () => {
    const shop = await Shop.open(driver)
    await expect(shop.status()).rejects.toThrow('there is no subscription billing; there is none')
    await shop.create()
    await expect(shop.manage.pause('biling')).rejects.toThrow(
      'there is no subscription biling; did you mean billing?',
    )
  })
})

describe.each(drivers)('topics on %s', (driver) => {
  it('are the categories of the log, and what subscriptions wait for', async () => {
    const shop = await Shop.open(driver)
    await shop.create()
    await subscribe(shop.log, { name: 'later', topic: 'parcel' })
    await subscribe(shop.log, { name: 'audit', topic: '*' })
    await shop.publish('1.a', '2.a', '.b', '1.b')
    for (const stream of ['order!', 'order!-1', 'order.x', 'a', 'b-1', 'b-\u{10ffff}-2'])
      await shop.log.append({ streams: [{ stream, events: [{ type: 'T' }] }] })
    const found = await collect(topics(shop.log))
    expect(found.map(({ topic: name }) => name)).toEqual(
      ['*', 'a', 'b', 'order', 'order!', 'order.x', 'parcel'].sort(),
    )
    const byName = new Map(found.map((info) => [info.topic, info]))
    expect(byName.get('order')).toMatchObject({
      subscriptions: ['billing'],
      streams: { count: 3, isComplete: true },
      events: { count: 4, isComplete: true },
      last: { type: 'Placed' },
    })
    expect(byName.get('parcel')).toEqual({
      topic: 'parcel',
      subscriptions: ['later'],
      streams: { count: 0, isComplete: true },
      events: { count: 0, isComplete: true },
    })
    expect(byName.get('*')!.subscriptions).toEqual(['audit'])
    const [first] = await collect(topics(shop.log, { streams: 1 })).then((all) =>
      all.filter(({ topic: name }) => name === 'order'),
    )
    expect(first!.streams).toEqual({ count: 1, isComplete: false })
  })
})
