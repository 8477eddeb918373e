import { afterEach, describe, expect, test } from 'vitest'
import { retryable, saga, StepFailedError, terminal } from '../../src/events/index.js'
import { closeAll, eventsOf, ordering, setUp, Shop } from './shop.js'

afterEach(closeAll)

test('a saga goes through its steps and completes with what its code returns', async () => {
  const shop = new Shop()
  const definition = ordering(shop)
  const { all, run, outcome, log } = await setUp([definition])
  await run()
  expect(await all.start(definition, { sku: 'A' }, { id: '17' })).toEqual({
    id: 'order/17',
    duplicate: false,
  })
  expect(await outcome('order/17')).toEqual({ outcome: 'completed', result: { tracking: 'T-1' } })
  expect(shop.calls).toEqual(['reserve', 'charge', 'ship'])
  expect((await eventsOf(log, 'order/17')).map(({ type }) => type)).toEqual([
    'Started',
    'Progressed',
    'Progressed',
    'Progressed',
    'Ended',
  ])
})

test('what is to be called, and what undoes it, is durable before it is called', async () => {
  const seen: unknown[] = []
  const definition = saga({
    name: 'order',
    run: (_, { step }) =>
      step('reserve', {
        run: async () => {
          for (const { data } of await eventsOf(log, 'order/1')) seen.push(data)
        },
        compensate: () => undefined,
      }),
  })
  const { all, run, outcome, log } = await setUp([definition])
  await run()
  await all.start(definition, undefined, { id: '1' })
  await outcome('order/1')
  expect(seen.at(-1)).toMatchObject({
    records: [{ is: 'begun', kind: 'step', name: 'reserve', compensable: true }],
  })
})

describe('when a step fails for good', () => {
  test('what was completed is undone in the reverse order, and what says that it did nothing is not', async () => {
    const shop = new Shop().fails('ship', () => terminal('no carrier goes there'))
    const definition = ordering(shop)
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition, { sku: 'A' })
    expect(await outcome(id)).toMatchObject({
      outcome: 'compensated',
      class: 'terminal',
      error: { message: 'step ship has failed (terminal): no carrier goes there' },
    })
    expect(shop.calls).toEqual(['reserve', 'charge', 'ship', 'undo charge', 'undo reserve'])
  })

  test('what may have happened is undone, too, and first', async () => {
    const shop = new Shop()
    const definition = saga({
      name: 'order',
      async run(_, { step }) {
        await step('reserve', shop.step('reserve', 1))
        await step('charge', {
          ...shop.step('charge'),
          run: () => new Promise(() => shop.calls.push('charge')),
          timeout: '5s',
          attempts: 3,
        })
      },
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated', class: 'unknown' })
    expect(shop.calls).toEqual(['reserve', 'charge', 'charge', 'charge', 'undo charge', 'undo reserve'])
  })

  test('a step that was only ever refused is not undone', async () => {
    const shop = new Shop().fails(
      'charge',
      ...Array.from({ length: 5 }, () => () => retryable('the breaker is open')),
    )
    const definition = ordering(shop)
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition, { sku: 'A' })
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated', class: 'retryable' })
    expect(shop.calls).toEqual(['reserve', 'charge', 'charge', 'charge', 'charge', 'charge', 'undo reserve'])
  })
})

test('code may handle the failure of a step and go another way', async () => {
  const shop = new Shop().fails('card', () => terminal('declined'))
  const definition = saga({
    name: 'order',
    async run(_, context) {
      try {
        return await context.step('card', shop.step('card', 'by card'))
      } catch (error) {
        expect(error).toBeInstanceOf(StepFailedError)
        return context.step('invoice', shop.step('invoice', 'by invoice'))
      }
    },
  })
  const { all, run, outcome } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  expect(await outcome(id)).toEqual({ outcome: 'completed', result: 'by invoice' })
})
