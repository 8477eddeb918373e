import { afterEach, describe, expect, test } from 'vitest'
import { bucketOf } from '../../src/core/hashing/buckets.js'
import {
  openLog,
  subscribe,
  subscriptions,
  topic,
  type EventLog,
  type HandlerContext,
  type RecordedEvent,
  type Subscription,
  type SubscriptionOptions,
} from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { seededRandom } from '../../src/core/random.js'
import { SEED, times } from '../support/effort.js'
import { ScriptedPart } from '../support/scripted-part.js'

const BUCKETS = 8
const opened: { close: () => Promise<void> }[] = []
const runtime = virtualRuntime()
const { clock } = runtime

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await clock.settle(each.close())
})

async function open(): Promise<EventLog> {
  const log = await openLog('memory:', { runtime })
  opened.push(log)
  return log
}

async function join(log: EventLog, options: Partial<SubscriptionOptions> = {}): Promise<Subscription> {
  const subscription = await clock.settle(
    subscribe(log, {
      name: 'mailer',
      topic: 'order',
      from: 'start',
      partitions: BUCKETS,
      assignment: 'orders',
      backoff: { base: 5, max: 20 },
      runtime,
      ...options,
    }),
  )
  opened.push(subscription)
  return subscription
}

const bucket = (key: string): number => bucketOf(`order-${key}`, BUCKETS)
const publish = (log: EventLog, ...keys: string[]): Promise<unknown> =>
  clock.settle(topic(log, 'order', { runtime }).publish(keys.map((key) => ({ type: 'Placed', key }))))

/** What a handler does until a test lets it go on. */
function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { passed, open }
}

describe('lanes that a shard map assigns', () => {
  test('are worked on by who has their bucket, and by nobody else', async () => {
    const log = await open()
    const [first, second] = [await join(log), await join(log)]
    const handled: string[] = []
    first.handle(({ stream }) => void handled.push(`first ${stream}`))
    second.handle(({ stream }) => void handled.push(`second ${stream}`))
    const own = first.own(new ScriptedPart(String(bucket('a')), 5))
    await publish(log, 'a', 'b')
    await clock.advance('1m')
    expect(bucket('a')).not.toBe(bucket('b'))
    expect(handled).toEqual(['first order-a'])
    expect(first.load(bucket('a'))).toBe(0)
    void second.own(new ScriptedPart(bucket('b'), 6))
    await clock.advance('1s')
    expect(handled).toEqual(['first order-a', 'second order-b'])
    await first.close()
    await own
  })

  test('are given back before the bucket is: what is under way settles first, and what waits is not begun', async () => {
    const log = await open()
    const [first, second] = [await join(log), await join(log)]
    const under = gate()
    const trace: string[] = []
    const claims: HandlerContext['fencing'][] = []
    const handle =
      (name: string, work: () => Promise<void>) => (event: RecordedEvent, context: HandlerContext) => {
        claims.push(context.fencing)
        trace.push(`${name} begins ${event.revision}`)
        return work().then(() => {
          // It is waited for, so it may still do what it guards.
          context.fencing!.token.check()
          trace.push(`${name} ends ${event.revision}`)
        })
      }
    first.handle(handle('first', () => under.passed))
    second.handle(handle('second', () => Promise.resolve()))
    const part = new ScriptedPart(bucket('a'), 5)
    let isGivenUp = false
    const own = first.own(part).then(() => (isGivenUp = true))
    await publish(log, 'a', 'a', 'a')
    await clock.advance('1s')
    expect(first.load(part.bucket)).toBe(3)
    part.give()
    await clock.advance('5s')
    expect(isGivenUp).toBe(false)
    under.open()
    await clock.settle(own)
    expect(trace).toEqual(['first begins 0', 'first ends 0'])
    const { owners } = await subscriptions(log, { runtime }).status('mailer')
    expect(owners[bucket('a')]).not.toHaveProperty('owner')

    void second.own(new ScriptedPart(bucket('a'), 9))
    await clock.advance('1s')
    expect(trace.slice(2)).toEqual(['second begins 1', 'second ends 1', 'second begins 2', 'second ends 2'])
    expect(claims).toMatchObject(
      [5, 9, 9].map((token) => ({ name: `orders/${bucket('a')}`, token: { token } })),
    )
  })

  test('are waited for no longer than drain says', async () => {
    const log = await open()
    const first = await join(log, { drain: '3s' })
    let signal: AbortSignal | undefined
    first.handle((_, context) => {
      signal = context.signal
      return new Promise<void>(() => undefined)
    })
    const part = new ScriptedPart(bucket('a'), 5)
    const own = first.own(part)
    await publish(log, 'a')
    await clock.advance('1s')
    part.give()
    await clock.advance('2s')
    expect(signal!.aborted).toBe(false)
    await clock.settle(own)
    expect(signal!.aborted).toBe(true)
  })

  test.each(['before', 'while it is given up'])(
    'are taken over at once from who has lost its lease, and what that one does then does not count (%s)',
    async (when) => {
      const log = await open()
      const [first, second] = [await join(log), await join(log)]
      const late = gate()
      let context: HandlerContext | undefined
      first.handle((_, given) => {
        context = given
        return late.passed
      })
      const handled: number[] = []
      second.handle(({ revision }) => void handled.push(revision))
      const part = new ScriptedPart(bucket('a'), 5)
      const own = first.own(part)
      await publish(log, 'a', 'a')
      await clock.advance('1s')
      if (when !== 'before') part.give()
      part.lose()
      expect(context!.signal.aborted).toBe(true)
      expect(() => context!.fencing!.token.check()).toThrow(/was lost/)
      await own
      void second.own(new ScriptedPart(bucket('a'), 7))
      await clock.advance('1s')
      late.open()
      await clock.advance('1m')
      expect(handled).toEqual([0, 1])
    },
  )

  test('are worked on again after this process was taken to be gone', async () => {
    const log = await open()
    const first = await join(log)
    const handled: number[] = []
    first.handle(({ revision }) => void handled.push(revision))
    void first.own(new ScriptedPart(bucket('a'), 5))
    await publish(log, 'a')
    await clock.advance('1s')
    const { members } = await subscriptions(log, { runtime }).status('mailer')
    const left = members.map((member) => ({ type: 'Left', data: { member, by: 'somebody' } }))
    await clock.settle(log.append({ streams: [{ stream: '$subscription-mailer', events: left }] }))
    await clock.advance('5s')
    await publish(log, 'a')
    await clock.advance('5s')
    expect(handled).toEqual([0, 1])
    expect((await subscriptions(log, { runtime }).status('mailer')).members).toHaveLength(1)
  })

  test('go with the first half of a bucket that is split, without a gap', async () => {
    const log = await open()
    const first = await join(log)
    const handled: number[] = []
    first.handle(({ revision }) => void handled.push(revision))
    const whole = new ScriptedPart(String(bucket('a')), 5)
    const [half, other] = [0, 1].map((side) => new ScriptedPart(`${bucket('a')}/${side}`, 6 + side))
    const owns = [whole, half!, other!].map((part) => first.own(part))
    await publish(log, 'a')
    await clock.advance('1s')
    whole.give()
    await clock.settle(owns[0]!)
    await publish(log, 'a')
    await clock.advance('1s')
    expect(handled).toEqual([0, 1])
    other!.give()
    await clock.settle(owns[2]!)
    await publish(log, 'a')
    await clock.advance('1s')
    expect(handled).toEqual([0, 1, 2])
    half!.give()
    await clock.settle(owns[1]!)
  })

  test('are agreed on by all who take part, for good', async () => {
    const log = await open()
    await join(log)
    const others = [
      { assignment: 'customers' },
      { assignment: undefined as never },
      { partitions: BUCKETS * 2 },
    ]
    for (const other of others)
      await expect(join(log, other)).rejects.toMatchObject({ code: 'BANYAN_SUBSCRIPTION_MISMATCH' })
    await expect(join(log, { assignment: 'customers' })).rejects.toThrow(
      /assigned by the shard map orders, not assigned by the shard map customers/,
    )
    const info = await subscriptions(log, { runtime }).status('mailer')
    expect(info).toMatchObject({ name: 'mailer', assignment: 'orders', partitions: BUCKETS })
  })

  test('are refused where they make no sense', async () => {
    const log = await open()
    const assigned = await join(log)
    const even = await join(log, { name: 'even', assignment: undefined as never })
    const invalid = { code: 'BANYAN_INVALID_OPTIONS' }
    await expect(even.own(new ScriptedPart(0, 1))).rejects.toMatchObject(invalid)
    for (const part of [BUCKETS, '-1', 'x', '1/2'])
      await expect(assigned.own(new ScriptedPart(part, 1))).rejects.toMatchObject(invalid)
    await expect(join(log, { name: 'other', partitions: undefined as never })).rejects.toMatchObject(invalid)
    await expect(join(log, { name: 'other', assignment: '' })).rejects.toMatchObject(invalid)
    const own = assigned.own(new ScriptedPart(1, 1))
    await subscriptions(log, { runtime }).delete('mailer', { force: true })
    await expect(clock.settle(own)).rejects.toMatchObject({ code: 'BANYAN_SUBSCRIPTION_DELETED' })
  })

  test.each(Array.from({ length: times(20) }, (_, index) => SEED + index))(
    'lose no message, give none of a key to two, and keep its order, whoever comes, goes, and loses what it has (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const below = (most: number): number => Math.floor(random.next() * most)
      const log = await open()
      const done = new Map<string, number[]>()
      const busy = new Map<string, AbortSignal>()
      const together: string[] = []
      const members: Subscription[] = []
      const add = async (): Promise<void> => {
        const member = await join(log, { drain: '200ms' })
        member.handle(async ({ stream, revision }, { signal, fencing }) => {
          if (busy.get(stream)?.aborted === false) together.push(`${stream}@${revision}`)
          busy.set(stream, signal)
          await new Promise<void>((resolve) => clock.schedule(clock.now() + below(50), resolve))
          if (signal.aborted) return
          fencing!.token.check()
          busy.delete(stream)
          done.set(stream, [...(done.get(stream) ?? []), revision])
        })
        members.push(member)
      }
      for (let count = 0; count < 6; count++) await add()
      let epoch = 0
      const owned = new Map<number, { part: ScriptedPart; ended: Promise<void> }>()
      const assign = (index: number): void => {
        const part = new ScriptedPart(index, ++epoch)
        owned.set(index, { part, ended: members[below(members.length)]!.own(part) })
      }
      for (let index = 0; index < BUCKETS; index++) assign(index)
      for (let step = 0; step < 40; step++) {
        await publish(log, ...Array.from({ length: below(6) }, () => `k${below(12)}`))
        await clock.advance(below(60))
        const index = below(BUCKETS)
        const { part, ended } = owned.get(index)!
        if (random.next() < 0.5) part.give()
        else part.lose()
        await clock.settle(ended)
        assign(index)
      }
      await clock.advance('10m')
      expect(together).toEqual([])
      const all = new Map<string, number[]>()
      for await (const { stream, revision } of log.read({ category: 'order' }))
        all.set(stream, [...(all.get(stream) ?? []), revision])
      // What was done twice was done by who had lost it before it could say so.
      for (const [stream, revisions] of all) expect([...new Set(done.get(stream))]).toEqual(revisions)
    },
  )
})
