import { afterEach, expect, test } from 'vitest'
import {
  causedBy,
  command,
  commands,
  policy,
  repository,
  saga,
  terminal,
  topic,
  type PolicyContext,
  type TraceNode,
} from '../../src/events/index.js'
import { is } from '../support/sagas-node.js'
import { reaction } from './reaction.js'
import { closeAll, setUp } from './shop.js'

afterEach(closeAll)

/** A trace as nested names. */
function shape(nodes: readonly TraceNode[]): unknown[] {
  return nodes.map((node) => {
    const { leadsTo } = node
    const name =
      'event' in node
        ? `${node.event.type} ${node.event.stream}@${node.event.revision}`
        : `${node.saga.id} ${node.saga.status}`
    return leadsTo.length === 0 ? name : { [name]: shape(leadsTo) }
  })
}

/** A shop whose services react to each other: two to an order, and one to what one of these does. */
async function shop() {
  const { log, all, run, settle, runtime } = await setUp([])
  const stock = topic(log, 'stock', { runtime })
  const reserve = policy({
    name: 'reserveStock',
    topic: 'order',
    types: ['OrderPlaced'],
    run: (_, { idempotencyKey, metadata }) =>
      stock.publish({ id: idempotencyKey, key: 'apple', type: 'StockReserved', metadata }),
  })
  const thank = policy({
    name: 'thankCustomer',
    topic: 'order',
    types: ['OrderPlaced'],
    // Without its key: what is in the metadata tells who it was.
    run: (_, { metadata }) =>
      log.append({ streams: [{ stream: 'mail-1', events: [{ type: 'MailSent', metadata }] }] }),
  })
  const charge = policy({
    name: 'charge',
    topic: 'stock',
    run: () => {
      throw terminal('the card was refused')
    },
  })
  await run([reserve, thank, charge])
  const append = (stream: string, type: string, metadata = {}): Promise<unknown> =>
    log.append({ id: `${stream}-${type}`, streams: [{ stream, events: [{ type, metadata }] }] })
  return { log, all, settle, append }
}

test('a trace goes from event to event through the reactions between them', async () => {
  const { log, all, settle, append } = await shop()
  await append('order-16', 'OrderPlaced', { correlationId: 'another request' })
  await append('order-17', 'OrderPlaced', { correlationId: 'request', actor: 'ada' })
  const parked = await settle(
    reaction(all, 'charge/reserveStock/order-17-OrderPlaced/0/react/run', is('parked')),
  )
  await settle(reaction(all, 'thankCustomer/order-17-OrderPlaced/0'))
  const { roots, ...how } = await all.trace('request')
  expect(shape(roots)).toEqual([
    {
      'OrderPlaced order-17@0': expect.arrayContaining([
        {
          'reserveStock/order-17-OrderPlaced/0 completed': [
            { 'StockReserved stock-apple@1': [`${parked.id} parked`] },
          ],
        },
        { 'thankCustomer/order-17-OrderPlaced/0 completed': ['MailSent mail-1@1'] },
      ]) as unknown,
    },
  ])
  expect(roots[0]).toMatchObject({ event: { actor: 'ada', id: 'order-17-OrderPlaced/0' } })
  expect(how).toMatchObject({ correlationId: 'request', isComplete: true, position: await log.head() })
})

test('the first event of a chain has its own id as correlation', async () => {
  const { all, settle, append } = await shop()
  await append('order-17', 'OrderPlaced')
  await settle(reaction(all, 'charge/reserveStock/order-17-OrderPlaced/0/react/run', is('parked')))
  const { roots } = await all.trace('order-17-OrderPlaced/0')
  expect(shape(roots)).toMatchObject([{ 'OrderPlaced order-17@0': [{}, {}] }])
  expect((await all.trace('nobody')).roots).toEqual([])
})

test('a reaction is shown with the event that it follows from, and those that follow from it', async () => {
  const { all, settle, append } = await shop()
  await append('order-17', 'OrderPlaced')
  const { reaction: told } = await settle(reaction(all, 'reserveStock/order-17-OrderPlaced/0'))
  expect(told).toMatchObject({
    event: { stream: 'order-17', revision: 0, type: 'OrderPlaced', id: 'order-17-OrderPlaced/0' },
    appended: [{ stream: 'stock-apple', revision: 0, type: 'StockReserved' }],
    isComplete: true,
  })
  const other = await settle(reaction(all, 'thankCustomer/order-17-OrderPlaced/0'))
  expect(other.reaction!.appended).toMatchObject([{ stream: 'mail-1', type: 'MailSent' }])
})

test('orchestrated sagas have their place in a trace, by their metadata and idempotency keys', async () => {
  const { log, all, run, settle } = await setUp([])
  const definition = saga({
    name: 'fulfilment',
    run: (_, { step }) =>
      step('reserve', async ({ idempotencyKey: id }) => {
        const event = { type: 'Reserved', metadata: { correlationId: 'request' } }
        await log.append({ id, streams: [{ stream: 'stock-1', events: [event] }] })
      }),
  })
  await run([definition])
  const asked = { id: 'asked', type: 'OrderPlaced', metadata: { correlationId: 'request' } }
  await log.append({ streams: [{ stream: 'order-1', events: [asked] }] })
  const metadata = causedBy(asked)
  await all.start(definition, undefined, { id: '1', metadata })
  await settle(all.outcome('fulfilment/1'))
  expect(shape((await all.trace('request')).roots)).toEqual([
    { 'OrderPlaced order-1@0': [{ 'fulfilment/1 completed': ['Reserved stock-1@0'] }] },
  ])
})

test('commands that a reaction runs carry the chain on, on repositories and through command handlers', async () => {
  const { log, all, run, settle } = await setUp([])
  const accounts = repository(
    log,
    {
      initialState: () => 0,
      decide: (amount: number) => ({ type: 'Charged', data: { amount } }),
      evolve: (sum: number, { data }: { type: string; data: { amount: number } }) => sum + data.amount,
    },
    { category: 'account' },
  )
  const app = commands(log, {
    tell: command(async (to: string, { append }) => {
      for (const type of ['MailWritten', 'MailSent'])
        await append({ streams: [{ stream: `mail-${to}`, events: [{ type }] }] })
    }),
  })
  const onOrders = { topic: 'order', types: ['OrderPlaced'] }
  const charge = policy({
    ...{ name: 'charge', ...onOrders },
    run: (_, { idempotencyKey: id, metadata }) => accounts.handle('7', 20, { id, metadata }),
  })
  const tell = policy({
    ...{ name: 'tell', ...onOrders },
    run: (_, { idempotencyKey: id, metadata }) => app.execute('tell', 'ada', { id, metadata }),
  })
  await run([charge, tell])
  const metadata = { correlationId: 'request' }
  await log.append({ id: '1', streams: [{ stream: 'order-1', events: [{ type: 'OrderPlaced', metadata }] }] })
  for (const id of ['charge/1/0', 'tell/1/0']) await settle(reaction(all, id))
  expect(shape((await all.trace('request')).roots)).toEqual([
    {
      'OrderPlaced order-1@0': expect.arrayContaining([
        { 'charge/1/0 completed': ['Charged account-7@0'] },
        { 'tell/1/0 completed': ['MailWritten mail-ada@0', 'MailSent mail-ada@1'] },
      ]) as unknown,
    },
  ])
})

test('a saga that a reaction starts is a part of its chain, with its steps and children', async () => {
  const invoicing = saga({
    name: 'invoicing',
    run: (_, { step }) =>
      step('write', async ({ idempotencyKey: id, metadata }) => {
        await log.append({
          id,
          streams: [{ stream: 'invoice-1', events: [{ type: 'InvoiceWritten', metadata }] }],
        })
      }),
  })
  const fulfilment = saga({
    name: 'fulfilment',
    async run(_, { step, child }) {
      // Without its key: the metadata says by which step.
      await step('ship', async ({ metadata }) => {
        await log.append({ streams: [{ stream: 'parcel-1', events: [{ type: 'Shipped', metadata }] }] })
      })
      await child('invoice', invoicing)
    },
  })
  const { log, all, run, settle } = await setUp([fulfilment, invoicing])
  const fulfil = policy({
    ...{ name: 'fulfil', topic: 'order' },
    async run({ stream }, { metadata }) {
      await all.start(fulfilment, undefined, { id: stream, metadata })
    },
  })
  await run([fulfil, fulfilment, invoicing])
  const metadata = { correlationId: 'request', actor: 'ada' }
  await log.append({ id: '1', streams: [{ stream: 'order-1', events: [{ type: 'OrderPlaced', metadata }] }] })
  await settle(reaction(all, 'fulfilment/order-1', is('completed')))
  const rest = [
    {
      'fulfilment/order-1 completed': [
        'Shipped parcel-1@0',
        { 'invoicing/fulfilment/order-1/invoice completed': ['InvoiceWritten invoice-1@0'] },
      ],
    },
  ]
  expect(shape((await all.trace('request')).roots)).toEqual([
    { 'OrderPlaced order-1@0': [{ 'fulfil/1/0 completed': rest }] },
  ])
  for await (const event of log.read({ category: 'invoice' })) expect(event.metadata.actor).toBe('ada')
})

test('a saga that nothing has led to begins a correlation, which is its id', async () => {
  const { log, all, run, settle } = await setUp([])
  const alone = saga({
    name: 'alone',
    run: (_, { step }) =>
      step('note', async ({ metadata }) => {
        await log.append({ streams: [{ stream: 'note-1', events: [{ type: 'Noted', metadata }] }] })
      }),
  })
  await run([alone])
  await all.start(alone, undefined, { id: '1' })
  await settle(reaction(all, 'alone/1'))
  expect(shape((await all.trace('alone/1')).roots)).toEqual([{ 'alone/1 completed': ['Noted note-1@0'] }])
})

test('a trace reads as much as it may, and says where it has stopped', async () => {
  const { log, all } = await setUp([])
  const metadata = { correlationId: 'request' }
  const positions: string[] = []
  for (const stream of ['a-1', 'b-1', 'a-2', 'b-2']) {
    const result = await log.append({ streams: [{ stream, events: [{ type: 'Done', metadata }] }] })
    if (result.ok) positions.push(result.position)
  }
  const scanned = await all.trace('request', { scan: 2 })
  expect(scanned).toMatchObject({ scanned: 2, position: positions[1], isComplete: false })
  const rest = await all.trace('request', { from: scanned.position })
  expect(rest).toMatchObject({ scanned: 2, isComplete: true })
  expect(rest.roots).toHaveLength(2)
  expect(await all.trace('request', { limit: 1 })).toMatchObject({ scanned: 1, isComplete: false })
  expect(await all.trace('request', { limit: 4 })).toMatchObject({ isComplete: true })
  await expect(all.trace('request', { limit: 0 })).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
})

test('what was done with the metadata of a reaction belongs to it, whatever names stand in it', async () => {
  const contexts: PolicyContext[] = []
  const { log, all, run, settle } = await setUp([])
  await run([policy({ name: 'note', topic: 'order', run: (_, context) => void contexts.push(context) })])
  const id = `${'long'.repeat(50)}/x`
  await log.append({ streams: [{ stream: 'order-1', events: [{ id, type: 'OrderPlaced' }] }] })
  const [own] = await settle(
    (async () => {
      for await (const { changes } of all.follow({ saga: 'note', from: '0' }))
        if (changes.some(({ saga: { status } }) => status === 'completed'))
          return changes.map((one) => one.saga.id)
      return []
    })(),
  )
  expect(contexts[0]!.id).toBe(own)
  const { metadata } = contexts[0]!
  await log.append({ streams: [{ stream: 'log-1', events: [{ type: 'Noted', metadata }] }] })
  expect(shape((await all.trace(id)).roots)).toEqual([
    { 'OrderPlaced order-1@0': [{ [`${own!} completed`]: ['Noted log-1@0'] }] },
  ])
})
