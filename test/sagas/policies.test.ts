import { afterEach, describe, expect, test } from 'vitest'
import {
  openSubjectKeys,
  personalData,
  policy,
  renamed,
  retain,
  runSagas,
  saga,
  subscriptions,
  terminal,
  topic,
  upcasters,
  type AnyPolicy,
  type EventLog,
  type PolicyDefinition,
  type SagaView,
} from '../../src/events/index.js'
import { is } from '../support/sagas-node.js'
import { reaction } from './reaction.js'
import { closeAll, eventsOf, setUp } from './shop.js'

afterEach(closeAll)

interface OrderPlaced {
  type: 'OrderPlaced'
  data: { sku: string }
}

const orders = { topic: 'order', types: ['OrderPlaced'] } as const

/** A policy whose calls fail as they are told to: all, or those for one article. */
function reserving(
  more: Partial<PolicyDefinition<OrderPlaced>> = {},
  failing?: string,
): { reserve: AnyPolicy; calls: string[]; errors: Error[] } {
  const calls: string[] = []
  const errors: Error[] = []
  const reserve = policy<OrderPlaced>({
    name: 'reserveStock',
    topic: 'order',
    types: ['OrderPlaced'],
    attempts: 3,
    ...more,
    run({ data }, { idempotencyKey, attempt }) {
      calls.push(`${data.sku} ${idempotencyKey} ${attempt}`)
      const error = failing === undefined || failing === data.sku ? errors.shift() : undefined
      if (error) throw error
    },
  })
  return { reserve, calls, errors }
}

async function place(log: EventLog, id: string, sku = 'apple'): Promise<void> {
  await log.append({
    id,
    streams: [{ stream: `order-${id}`, events: [{ type: 'OrderPlaced', data: { sku } }] }],
  })
}

test('each event of its topic and types makes one reaction, which is told what it needs to go on', async () => {
  const seen: unknown[] = []
  const reserve = policy<OrderPlaced>({
    name: 'reserveStock',
    ...orders,
    run({ data, stream }, { id, idempotencyKey, attempt, metadata, signal }) {
      seen.push({ sku: data.sku, stream, id, idempotencyKey, attempt, metadata, aborted: signal.aborted })
    },
  })
  const { log, all, run, settle } = await setUp([])
  await run([reserve])
  const metadata = { correlationId: 'request-1', traceparent: '00-1-1-01', actor: 'ada' }
  const placed = { type: 'OrderPlaced', data: { sku: 'apple' }, metadata }
  await log.append({
    id: 'place',
    streams: [
      { stream: 'order-17', events: [{ type: 'OrderPaid' }, placed] },
      { stream: 'delivery-17', events: [placed] },
    ],
  })
  const view = await settle(reaction(all, 'reserveStock/place/1'))
  expect(seen).toEqual([
    {
      sku: 'apple',
      stream: 'order-17',
      id: 'reserveStock/place/1',
      idempotencyKey: 'reserveStock/place/1/react/run',
      attempt: 1,
      metadata: { ...metadata, causationId: 'place/1', policy: 'reserveStock' },
      aborted: false,
    },
  ])
  // Of the event only its place is kept, and nobody's name.
  expect(view).toMatchObject({
    status: 'completed',
    input: { stream: 'order-17', revision: 1 },
    metadata: { correlationId: 'request-1', causationId: 'place/1', traceparent: '00-1-1-01' },
    reaction: { event: { stream: 'order-17', revision: 1, id: 'place/1', type: 'OrderPlaced' } },
  })
  expect(view.metadata).not.toHaveProperty('actor')
  expect(JSON.stringify(await eventsOf(log, view.id))).not.toContain('apple')
  expect(view.timeline[0]!.what).toBe('started by the event order-17@1')
  const listed: unknown[] = []
  for await (const one of all.list()) listed.push(one)
  expect(listed).toMatchObject([
    { id: 'reserveStock/place/1', status: 'completed', event: { stream: 'order-17', revision: 1 } },
  ])
})

test('what fails is tried again under the same key, with a wait between', async () => {
  const { reserve, calls, errors } = reserving()
  const { log, all, run, settle } = await setUp([])
  await run([reserve])
  errors.push(new Error('down'), new Error('down'))
  await place(log, '1')
  expect((await settle(reaction(all, 'reserveStock/1/0'))).status).toBe('completed')
  expect(calls).toEqual([1, 2, 3].map((attempt) => `apple reserveStock/1/0/react/run ${attempt}`))
})

test.each([
  ['its attempts are used up', () => new Error('down'), 3],
  ['it is terminal', () => terminal('not sold any more'), 1],
])(
  'a reaction is parked when %s, holds nobody up, and goes on when somebody says so',
  async (_, error, tries) => {
    const { reserve, calls, errors } = reserving({}, 'pear')
    const { log, all, run, settle, lines } = await setUp([])
    await run([reserve])
    errors.push(...Array.from({ length: tries }, error))
    await log.append({
      id: 'both',
      streams: [
        {
          stream: 'order-1',
          events: ['pear', 'plum'].map((sku) => ({ type: 'OrderPlaced', data: { sku } })),
        },
      ],
    })
    const [parked, other] = await settle(
      Promise.all(['reserveStock/both/0', 'reserveStock/both/1'].map((id) => reaction(all, id))),
    )
    expect(parked).toMatchObject({ status: 'parked', parked: { remedies: ['retry', 'skip', 'cancel'] } })
    expect(parked!.parked!.reason).toMatch(/^step react has failed (once: not sold any more|3 times: down)$/)
    expect(lines.join('\n')).toContain(`saga ${parked!.id} is parked`)
    expect(other!.status).toBe('completed')
    await all.retry(parked!.id)
    await settle(reaction(all, parked!.id, is('completed')))
    expect(calls.filter((call) => call.startsWith('pear'))).toHaveLength(tries + 1)
  },
)

test('a parked reaction is skipped or given up; nothing of it is called again', async () => {
  const { reserve, calls, errors } = reserving()
  const { log, all, run, settle } = await setUp([])
  await run([reserve])
  errors.push(terminal('no'), terminal('no'))
  await place(log, '1')
  await place(log, '2')
  await settle(reaction(all, 'reserveStock/1/0', is('parked')))
  await settle(reaction(all, 'reserveStock/2/0', is('parked')))
  await all.skip('reserveStock/1/0', { reason: 'reserved by phone' })
  await all.cancel('reserveStock/2/0', { reason: 'the order is void' })
  await settle(reaction(all, 'reserveStock/1/0', is('completed')))
  expect(await settle(reaction(all, 'reserveStock/2/0', is('compensated')))).toMatchObject({
    failure: { class: 'cancelled', error: { message: 'the order is void' } },
  })
  expect(calls).toHaveLength(2)
})

test('an event that is delivered again starts nothing', async () => {
  const { reserve, calls } = reserving()
  const { log, all, run, settle, runtime } = await setUp([])
  const first = await run([reserve])
  await place(log, '1')
  await settle(reaction(all, 'reserveStock/1/0'))
  await first.close()
  await subscriptions(log, { runtime }).seek('policy reserveStock', 'start')
  await run([reserve])
  await place(log, '2')
  await settle(reaction(all, 'reserveStock/2/0'))
  expect(calls).toHaveLength(2)
  expect(await eventsOf(log, 'reserveStock/1/0')).toHaveLength(3)
})

test('ended reactions are removed after their time, and their events start nothing a second time', async () => {
  const { reserve, calls } = reserving()
  const { log, all, run, settle, runtime } = await setUp([], { keepEnded: '1h' })
  const first = await run([reserve])
  await place(log, '1')
  await settle(reaction(all, 'reserveStock/1/0'))
  await runtime.clock.advance('65m')
  expect(await eventsOf(log, 'reserveStock/1/0')).toEqual([])
  await first.close()
  await subscriptions(log, { runtime }).seek('policy reserveStock', 'start')
  await run([reserve])
  await place(log, '2')
  await settle(reaction(all, 'reserveStock/2/0'))
  expect(calls).toHaveLength(2)
  expect(await eventsOf(log, 'reserveStock/1/0')).toEqual([])
})

test('the event of a parked reaction is kept from a short retention', async () => {
  const { reserve, errors, calls } = reserving()
  const { log, all, run, settle, runtime } = await setUp([])
  await run([reserve])
  await place(log, '1')
  await settle(reaction(all, 'reserveStock/1/0'))
  await runtime.clock.advance('10m')
  errors.push(terminal('no'))
  await place(log, '2')
  expect(await settle(reaction(all, 'reserveStock/2/0'))).toMatchObject({ status: 'parked' })
  await runtime.clock.advance('1d')
  // Later the subscriptions let go of it.
  for (const { name } of (await log.stats()).holds) if (name.startsWith('sub')) await log.release(name)
  const cut = await retain(log, [{ category: 'order', maxAge: '1h' }], { clock: runtime.clock })
  expect(cut).toMatchObject({ removed: 1, rules: [{ heldBy: 'sagas reserveStock' }] })
  await all.retry('reserveStock/2/0')
  await settle(reaction(all, 'reserveStock/2/0', is('completed')))
  expect(calls).toHaveLength(3)
})

test('it is a subscription how far a policy has come, told with that of its reactions', async () => {
  const { reserve, errors } = reserving()
  const { log, all, run, settle, runtime } = await setUp([])
  const runner = await run([reserve])
  errors.push(terminal('no'))
  await place(log, '1')
  await settle(reaction(all, 'reserveStock/1/0'))
  await runner.close()
  await place(log, '2')
  const listed: unknown[] = []
  const manage = subscriptions(log, { runtime })
  for await (const { name } of manage.list()) listed.push(await manage.status(name))
  expect(listed).toMatchObject([
    { name: 'policy reserveStock', topic: 'order', waiting: { count: 1 } },
    { name: 'saga reserveStock', topic: '$saga/reserveStock', waiting: { count: 0 } },
  ])
})

test('a new policy begins where it says: with what comes, or with what was there', async () => {
  const { log, all, run, settle } = await setUp([])
  await place(log, '1')
  const [now, ever] = [reserving(), reserving({ name: 'countOrders', from: 'start' })]
  await run([now.reserve, ever.reserve])
  await place(log, '2')
  await settle(reaction(all, 'reserveStock/2/0'))
  await settle(reaction(all, 'countOrders/1/0'))
  await settle(reaction(all, 'countOrders/2/0'))
  expect(now.calls).toHaveLength(1)
  expect(ever.calls).toHaveLength(2)
})

test('where and tags say which events it reacts to', async () => {
  const { reserve, calls } = reserving({ tags: ['shop'], where: ({ data }) => data.sku !== 'apple' })
  const { log, all, run, settle } = await setUp([])
  await run([reserve])
  const orders = topic<OrderPlaced>(log, 'order')
  const order = { type: 'OrderPlaced', tags: ['shop'] } as const
  await orders.publish([
    { ...order, id: '1', data: { sku: 'apple' } },
    { ...order, id: '2', data: { sku: 'pear' }, tags: [] },
    { ...order, id: '3', data: { sku: 'plum' } },
  ])
  await settle(reaction(all, 'reserveStock/3'))
  expect(calls).toEqual(['plum reserveStock/3/react/run 1'])
})

test('an event is read as it is to be read now, also by a reaction that was parked before', async () => {
  const events = upcasters({
    OrderMade: { 1: renamed('OrderPlaced', ({ article }: { article: string }) => ({ sku: article })) },
  })
  const { reserve, calls, errors } = reserving({ attempts: 1 })
  const { log, all, run, settle } = await setUp([], {}, { transforms: [events] })
  await run([reserve])
  const old = { type: 'OrderMade', schemaVersion: 1, data: { article: 'apple' } }
  errors.push(new Error('down'))
  await log.append({ id: '1', streams: [{ stream: 'order-1', events: [old] }] })
  await settle(reaction(all, 'reserveStock/1/0', is('parked')))
  await all.retry('reserveStock/1/0')
  await settle(reaction(all, 'reserveStock/1/0', is('completed')))
  expect(calls.map((call) => call.split(' ')[0])).toEqual(['apple', 'apple'])
})

test('what was erased meanwhile is not told to a reaction, and nothing of it stands in its journal', async () => {
  const keys = await openSubjectKeys('memory:')
  const personal = personalData({
    keys,
    types: { OrderPlaced: { subject: 'customer', fields: ['name'], metadata: ['actor'] } },
  })
  const seen: unknown[] = []
  const greet = policy<{ type: 'OrderPlaced'; data: { name: string | null } }>({
    name: 'greet',
    ...orders,
    attempts: 1,
    run({ data }, { metadata: { actor } }) {
      seen.push([data.name, actor])
      if (seen.length === 1) throw new Error('no mail goes out')
    },
  })
  const { log, all, run, settle } = await setUp([], {}, { transforms: [personal] })
  await run([greet])
  const data = { customer: 'c7', name: 'Ada' }
  await log.append({
    id: '1',
    streams: [{ stream: 'order-1', events: [{ type: 'OrderPlaced', data, metadata: { actor: 'Ada' } }] }],
  })
  await settle(reaction(all, 'greet/1/0', is('parked')))
  await keys.forget('c7')
  await all.retry('greet/1/0')
  await settle(reaction(all, 'greet/1/0', is('completed')))
  expect(seen).toEqual([
    ['Ada', 'Ada'],
    [null, null],
  ])
  expect(JSON.stringify(await eventsOf(log, 'greet/1/0'))).not.toContain('Ada')
})

test('an event that only a newer program can read parks its reaction, until there is that program', async () => {
  let isOld = true
  const newer = {
    read<Event>(event: Event): Event {
      if ((event as { type: string }).type === 'OrderPlaced' && isOld) throw new Error('of a newer version')
      return event
    },
  }
  const { reserve, calls } = reserving({ where: ({ data }) => data.sku === 'apple' })
  const { log, all, run, settle } = await setUp([], {}, { transforms: [newer] })
  await run([reserve])
  await place(log, '1')
  const { parked } = await settle(reaction(all, 'reserveStock/1/0', is('parked')))
  expect(parked!.reason).toContain('of a newer version')
  isOld = false
  await all.retry('reserveStock/1/0')
  await settle(reaction(all, 'reserveStock/1/0', is('completed')))
  expect(calls).toHaveLength(1)
})

test('a reaction whose event was truncated is parked, and says so', async () => {
  const { reserve, calls, errors } = reserving()
  const { log, all, run, settle } = await setUp([])
  const first = await run([reserve])
  errors.push(terminal('no'))
  await place(log, '1')
  await settle(reaction(all, 'reserveStock/1/0', is('parked')))
  await first.close()
  await log.append({ streams: [{ stream: 'order-1', events: [{ type: 'OrderShipped' }] }] })
  // A parked reaction holds nothing; those that follow may still hold what they have passed.
  for (const { name } of (await log.stats()).holds) await log.release(name)
  expect(await log.truncate({ stream: 'order-1', beforeRevision: 1 })).toEqual({ removed: 1 })
  await run([reserve])
  await all.retry('reserveStock/1/0')
  const isParkedAgain = ({ timeline }: SagaView): boolean =>
    timeline.filter(({ kind }) => kind === 'parked').length === 2
  const view = await settle(reaction(all, 'reserveStock/1/0', isParkedAgain))
  expect(view.parked!.reason).toBe(
    'step react has failed once: the event order-1@0 that it reacts to was truncated: cancel it, or do it by hand and skip it',
  )
  expect(view.steps[0]!.error!.code).toBe('BANYAN_EVENT_REMOVED')
  expect(view.reaction!.event).toEqual({ stream: 'order-1', revision: 0, id: '1/0' })
  expect(calls).toHaveLength(1)
})

test('events with long ids have reactions, too', async () => {
  const { reserve, calls } = reserving()
  const { log, all, run, settle } = await setUp([])
  await run([reserve])
  const id = 'x'.repeat(240)
  await topic<OrderPlaced>(log, 'order').publish({ id, type: 'OrderPlaced', data: { sku: 'apple' } })
  const [started] = await settle(
    (async () => {
      for await (const { changes } of all.follow({ saga: 'reserveStock', from: '0' }))
        if (changes.length > 0) return changes.map(({ saga }) => saga.id)
      return []
    })(),
  )
  expect(Buffer.byteLength(started!)).toBeLessThan(100)
  await settle(reaction(all, started!))
  expect(calls).toHaveLength(1)
})

test('a policy that cannot be is refused, with what is wrong', async () => {
  const run = (): void => undefined
  const bad = (definition: object) => () => policy(definition as AnyPolicy)
  expect(bad({ name: 'reserve-stock', topic: 'order', run })).toThrow(
    'the name of a policy begins with a letter',
  )
  expect(bad({ name: 'a', topic: 'order-1', run })).toThrow('must be a category, which has no dash')
  expect(bad({ name: 'a', topic: '$saga', run })).toThrow('must not begin with $')
  expect(bad({ name: 'a', run })).toThrow('the topic of subscription policy a')
  expect(bad({ name: 'a', topic: 'order' })).toThrow('policy a needs run, a function')
  expect(bad({ name: 'a', topic: 'order', run, attempt: 3 })).toThrow('did you mean `attempts`')
  expect(bad({ name: 'a', topic: 'order', run, compensate: run })).toThrow('compensate')
  expect(bad({ name: 'a', topic: 'order', run, from: new Date() })).toThrow('from')
  const { log, all } = await setUp([])
  const one = policy({ name: 'twice', topic: 'order', run })
  await expect(runSagas(log, { definitions: [one, { ...one }] })).rejects.toThrow('two definitions of twice')
  const other = saga({ name: 'twice', version: 2, run })
  await expect(runSagas(log, { definitions: [one, other] })).rejects.toThrow('twice is a saga and a policy')
  await (await runSagas(log, { definitions: [one] })).close()
  await expect(all.start('twice', {})).rejects.toMatchObject({
    code: 'BANYAN_SAGA_REFUSED',
    message: 'twice is a policy: only events start its reactions, those of the topic order',
  })
})

test.each<[string, () => unknown, string]>([
  [
    'throws',
    () => {
      throw new Error('no such field')
    },
    'no such field',
  ],
  ['gives a promise', () => Promise.resolve(false), 'gave a promise'],
])(
  'an event whose `where` %s makes a reaction that is parked, and goes on once that is mended',
  async (_, where, reason) => {
    const { reserve, calls } = reserving({ where: where as never })
    const { log, all, run, settle } = await setUp([])
    const runner = await run([reserve])
    await place(log, '1')
    await place(log, '2')
    const view = await settle(reaction(all, 'reserveStock/1/0'))
    expect(view.status).toBe('parked')
    expect(view.parked?.reason).toContain(reason)
    await settle(reaction(all, 'reserveStock/2/0'))
    expect(calls).toEqual([])
    await runner.close()
    const mended = reserving({ where: ({ stream }) => stream === 'order-1' })
    await run([mended.reserve])
    for (const id of ['1', '2']) {
      await all.retry(`reserveStock/${id}/0`)
      await settle(reaction(all, `reserveStock/${id}/0`, is('completed')))
    }
    expect(mended.calls).toEqual(['apple reserveStock/1/0/react/run 1'])
    expect(await deadLetters(log)).toEqual([])
  },
)

async function deadLetters(log: EventLog): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const letter of subscriptions(log).deadLetters('policy reserveStock')) found.push(letter)
  return found
}

describe('nothing is left of a runner that is refused', () => {
  const refused = async (log: EventLog, run: () => Promise<unknown>, code: string): Promise<void> => {
    const before = await descriptionOf(log)
    const { holds } = await log.stats()
    await expect(run()).rejects.toMatchObject({ code })
    expect(await descriptionOf(log)).toEqual(before)
    expect((await log.stats()).holds).toEqual(holds)
  }
  const descriptionOf = async (log: EventLog): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const { data } of log.read({ stream: '$saga-reserveStock' })) found.push(data)
    return found
  }
  const both = saga({ name: 'reserveStock', version: 2, run: () => 1 })

  test('as it follows another topic than before', async () => {
    const { log, run } = await setUp([])
    await (await run([reserving().reserve])).close()
    const other = reserving({ topic: 'other' }).reserve
    await refused(log, () => run([other]), 'BANYAN_SUBSCRIPTION_MISMATCH')
  })

  test('as a saga has the name of a policy', async () => {
    const { log, all, run } = await setUp([])
    await (await run([reserving().reserve])).close()
    await refused(log, () => run([both]), 'BANYAN_SAGA_REFUSED')
    await expect(all.start(both, undefined, { id: '1' })).rejects.toMatchObject({
      code: 'BANYAN_SAGA_REFUSED',
    })
    await expect(all.show('reserveStock/1')).rejects.toMatchObject({ code: 'BANYAN_SAGA_UNKNOWN' })
  })

  test('as a policy has the name of a saga', async () => {
    const { log, run } = await setUp([])
    await (await run([both])).close()
    await refused(log, () => run([reserving().reserve]), 'BANYAN_SAGA_REFUSED')
  })
})
