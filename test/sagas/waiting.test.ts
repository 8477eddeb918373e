import { afterEach, describe, expect, test } from 'vitest'
import { saga } from '../../src/events/index.js'
import { closeAll, eventsOf, setUp, Shop } from './shop.js'

afterEach(closeAll)

const HOUR = 3_600_000

describe('timers', () => {
  test('wake a saga late rather than never, also when nobody was there when they were due', async () => {
    const woken: number[] = []
    const definition = saga({
      name: 'reminder',
      async run(_, context) {
        await context.sleep('2h')
        await context.step('remind', () => void woken.push(runtime.clock.now()))
        return context.now()
      },
    })
    const { all, run, outcome, runtime, settle } = await setUp([definition])
    const first = await run()
    await all.start(definition, undefined, { id: '1' })
    const { started } = await all.show('reminder/1')
    await runtime.clock.advance('1h')
    expect(await all.show('reminder/1')).toMatchObject({
      status: 'waiting',
      steps: [{ kind: 'timer', due: started + 2 * HOUR }],
    })
    await settle(first.close())
    await runtime.clock.advance('3h')
    expect(woken).toEqual([])
    await run()
    expect(await outcome('reminder/1')).toMatchObject({ outcome: 'completed' })
    expect(woken.length).toBe(1)
    expect(woken[0]! - 4 * HOUR).toBeLessThan(60_000)
  })

  test('fire to the millisecond when somebody is there', async () => {
    const definition = saga({
      name: 'reminder',
      async run(_, context) {
        const begun = context.now()
        await context.sleep(12_345)
        return context.now() - begun
      },
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    const { result } = (await outcome(id)) as { result: number }
    expect(result).toBeGreaterThanOrEqual(12_345)
    expect(result).toBeLessThan(12_400)
  })
})

describe('signals', () => {
  const paying = saga({
    name: 'order',
    async run(_, context) {
      const paid = await context.signal<number>('paid', { timeout: '1h' })
      const shipped = await context.signal<string>('shipped')
      return { paid, shipped }
    },
  })

  test('are taken in their order, whether they come before they are waited for or after', async () => {
    const { all, run, outcome, settle } = await setUp([paying])
    await run()
    const { id } = await all.start(paying)
    await settle(all.signal(id, 'shipped', 'T-1'))
    await settle(all.signal(id, 'paid', 7))
    expect(await outcome(id)).toEqual({ outcome: 'completed', result: { paid: 7, shipped: 'T-1' } })
  })

  test('count once for an id', async () => {
    const definition = saga({
      name: 'count',
      async run(_, context) {
        const counts = []
        for (let number = 0; number < 3; number++) counts.push(await context.signal<number>('count'))
        return counts
      },
    })
    const { all, run, outcome, settle } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    for (const count of [1, 1, 2, 2, 3]) await settle(all.signal(id, 'count', count, { id: String(count) }))
    expect(await outcome(id)).toEqual({ outcome: 'completed', result: [1, 2, 3] })
  })

  test('that do not come in time fail, and the saga is compensated', async () => {
    const { all, run, outcome, runtime } = await setUp([paying])
    await run()
    const { id } = await all.start(paying)
    const before = runtime.clock.now()
    expect(await outcome(id)).toMatchObject({
      outcome: 'compensated',
      error: { message: 'signal paid has failed (terminal): no signal paid has come in time' },
    })
    expect(runtime.clock.now() - before).toBeGreaterThanOrEqual(HOUR)
  })

  test('for a saga that is not there, or has ended, are refused', async () => {
    const { all, run, outcome, settle } = await setUp([paying])
    await run()
    await expect(settle(all.signal('order/none', 'paid'))).rejects.toMatchObject({
      code: 'BANYAN_SAGA_UNKNOWN',
    })
    await expect(settle(all.signal('order', 'paid'))).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
    const { id } = await all.start(paying)
    await outcome(id)
    await expect(settle(all.signal(id, 'paid'))).rejects.toThrow(
      /has ended \(compensated\); the signal paid was not given/,
    )
  })

  test('that do not serialise are refused', async () => {
    const { all, settle } = await setUp([paying])
    const { id } = await all.start(paying)
    await expect(settle(all.signal(id, 'paid', { count: NaN }))).rejects.toThrow(
      /payload of signal paid .*count is NaN/,
    )
  })
})

test('a deadline cancels the saga wherever it is', async () => {
  const shop = new Shop()
  const definition = saga({
    name: 'order',
    deadline: '1d',
    async run(_, context) {
      await context.step('reserve', shop.step('reserve', 1))
      await context.signal('paid')
    },
  })
  const { all, run, outcome } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  expect(await outcome(id)).toMatchObject({
    outcome: 'compensated',
    class: 'cancelled',
    error: { message: expect.stringContaining('its deadline has passed') as string },
  })
  expect(shop.calls).toEqual(['reserve', 'undo reserve'])
})

test('a deadline of a saga that has ended changes nothing', async () => {
  const definition = saga({ name: 'order', deadline: '1d', run: () => 'done' })
  const { all, run, outcome, runtime, log } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  await outcome(id)
  await runtime.clock.advance('2d')
  expect((await eventsOf(log, id)).map(({ type }) => type)).toEqual(['Started', 'Ended', 'Woken'])
  expect(await outcome(id)).toEqual({ outcome: 'completed', result: 'done' })
})

describe('children', () => {
  const shop = (): Shop => new Shop()

  function family(calls: Shop, parentFails: boolean, childFails = false) {
    const child = saga<{ amount: number }, string>({
      name: 'invoicing',
      async run({ amount }, context) {
        await context.step('write', calls.step('write', amount))
        if (childFails)
          calls.fails('send', () => Object.assign(new Error('no address'), { code: 'BANYAN_INVALID_INPUT' }))
        return context.step('send', calls.step('send', 'I-1'))
      },
    })
    const parent = saga({
      name: 'order',
      async run(_, context) {
        await context.step('reserve', calls.step('reserve', 1))
        const invoice = await context.child('invoice', child, { amount: 7 })
        if (parentFails)
          calls.fails('ship', () => Object.assign(new Error('gone'), { code: 'BANYAN_INVALID_INPUT' }))
        await context.step('ship', calls.step('ship', 1))
        return invoice
      },
    })
    return [parent, child] as const
  }

  test('give their result to their parent', async () => {
    const calls = shop()
    const [parent, child] = family(calls, false)
    const { all, run, outcome } = await setUp([parent, child])
    await run()
    await all.start(parent, undefined, { id: '1' })
    expect(await outcome('order/1')).toEqual({ outcome: 'completed', result: 'I-1' })
    expect(await all.show('invoicing/order/1/invoice')).toMatchObject({
      status: 'completed',
      parent: 'order/1',
    })
    expect(calls.calls).toEqual(['reserve', 'write', 'send', 'ship'])
  })

  test('are compensated in their turn when the parent fails', async () => {
    const calls = shop()
    const [parent, child] = family(calls, true)
    const { all, run, outcome } = await setUp([parent, child])
    await run()
    await all.start(parent, undefined, { id: '1' })
    expect(await outcome('order/1')).toMatchObject({ outcome: 'compensated' })
    expect(calls.calls).toEqual([
      'reserve',
      'write',
      'send',
      'ship',
      'undo send',
      'undo write',
      'undo reserve',
    ])
    expect(await all.show('invoicing/order/1/invoice')).toMatchObject({ status: 'compensated' })
  })

  test('that fail are a failed step of the parent', async () => {
    const calls = shop()
    const [parent, child] = family(calls, false, true)
    const { all, run, outcome } = await setUp([parent, child])
    await run()
    await all.start(parent, undefined, { id: '1' })
    expect(await outcome('order/1')).toMatchObject({ outcome: 'compensated', class: 'terminal' })
    expect(calls.calls).toEqual(['reserve', 'write', 'send', 'undo write', 'undo reserve'])
  })

  test('are cancelled with their parent', async () => {
    const calls = shop()
    const child = saga({
      name: 'waiting',
      async run(_, context) {
        await context.step('begin', calls.step('begin', 1))
        await context.signal('never')
      },
    })
    const parent = saga({ name: 'order', run: (_, context) => context.child('wait', child) })
    const { all, run, outcome, settle, runtime } = await setUp([parent, child])
    await run()
    await all.start(parent, undefined, { id: '1' })
    await runtime.clock.advance('1m')
    await settle(all.cancel('order/1', { reason: 'changed her mind', actor: 'ada' }))
    expect(await outcome('order/1')).toMatchObject({
      outcome: 'compensated',
      error: { message: 'changed her mind' },
    })
    expect(calls.calls).toEqual(['begin', 'undo begin'])
  })
})

test('queries are answered from what has happened, in any process, without calling anything', async () => {
  const shop = new Shop()
  const definition = saga({
    name: 'order',
    async run(_, context) {
      const done: string[] = []
      context.query('progress', (since = 0) => done.slice(since as number))
      await context.step('reserve', shop.step('reserve', 1))
      done.push('reserved')
      await context.step('charge', shop.step('charge', 1))
      done.push('charged')
      await context.signal('go on')
    },
  })
  const { all, run, runtime, settle } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  await runtime.clock.advance('1m')
  expect(await settle(all.query(id, 'progress'))).toEqual(['reserved', 'charged'])
  expect(await settle(all.query(id, 'progress', 1))).toEqual(['charged'])
  await expect(settle(all.query(id, 'price'))).rejects.toThrow(/answers no query price, but progress/)
  expect(shop.calls).toEqual(['reserve', 'charge'])
})

test('a step in flight is told when its saga is cancelled, and waited for', async () => {
  const shop = new Shop()
  const definition = saga({
    name: 'order',
    async run(_, context) {
      await context.step('reserve', shop.step('reserve', 1))
      await context.step('charge', {
        ...shop.step('charge'),
        run: ({ signal }) =>
          new Promise((_resolve, reject) => {
            shop.calls.push('charge')
            signal.addEventListener('abort', () => reject(signal.reason as Error))
          }),
      })
    },
  })
  const { all, run, outcome, settle, runtime } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  await runtime.clock.advance('1s')
  expect(await all.show(id)).toMatchObject({ status: 'running' })
  await settle(all.cancel(id))
  expect(await outcome(id)).toMatchObject({ outcome: 'compensated', class: 'cancelled' })
  expect(shop.calls).toEqual(['reserve', 'charge', 'undo charge', 'undo reserve'])
  await expect(settle(all.cancel(id))).rejects.toMatchObject({ code: 'BANYAN_SAGA_ENDED' })
})
