import { expect, test } from 'vitest'
import { eventBus, openLog, pubSub, subscribe, topic } from '../../src/events/index.js'

type Order =
  | { type: 'OrderPlaced'; data: { item: string } }
  | { type: 'OrderPaid' }
  | { type: 'Noted'; data?: { text: string } }

test('what is published has the data of its type', async () => {
  const log = await openLog('memory:')
  const orders = topic<Order>(log, 'order')
  const channels = [pubSub<{ order: Order }>(log), eventBus<{ order: Order }>()]
  await orders.publish([
    { type: 'OrderPlaced', data: { item: 'apple' }, key: '1' },
    { type: 'OrderPaid', key: '1', delay: '0ms' },
    { type: 'Noted' },
    { type: 'Noted', data: { text: 'red' } },
  ])
  for (const channel of channels) {
    await channel.publish('order', { type: 'OrderPlaced', data: { item: 'apple' } })
    // @ts-expect-error -- it has data
    await channel.publish('order', { type: 'OrderPlaced' })
    await channel.close()
  }
  // @ts-expect-error -- it has none
  await orders.publish({ type: 'OrderPaid', data: { item: 'apple' } })
  // @ts-expect-error -- it has data
  await orders.publish({ type: 'OrderPlaced', key: '1' })
  // @ts-expect-error -- an item is text
  await orders.publish({ type: 'OrderPlaced', data: { item: 5 } })
  // @ts-expect-error -- the data of another type
  await orders.publish({ type: 'OrderPlaced', data: { text: 'red' } })
  // @ts-expect-error -- there is no such type
  await orders.publish({ type: 'OrderPlacd', data: { item: 'apple' } })
  // Types are not there any more when it runs.
  expect(await log.revision('order')).toBe(7)
  await log.close()
})

test('what a subscription selects has the types of its topic', async () => {
  const log = await openLog('memory:')
  const placed = await subscribe<Order>(log, {
    name: 'placed',
    topic: 'order',
    types: ['OrderPlaced'],
    where: (event) => event.type === 'OrderPlaced' && event.data.item !== 'pear',
    key: (event) => (event.type === 'Noted' ? event.data?.text : event.stream),
  })
  // @ts-expect-error -- there is no such type
  const wrong = await subscribe<Order>(log, { name: 'wrong', topic: 'order', types: ['OrderPlacd'] })
  // Without types it takes any.
  const any = await subscribe(log, {
    name: 'any',
    topic: 'order',
    types: ['Whatever'],
    where: ({ data }) => !data,
  })
  for (const subscription of [placed, wrong, any]) await subscription.close()
  await log.close()
  expect(placed.name).toBe('placed')
})
