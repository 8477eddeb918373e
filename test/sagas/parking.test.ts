import { afterEach, describe, expect, test } from 'vitest'
import { saga, terminal, type AnySaga, type SagaContext } from '../../src/events/index.js'
import { closeAll, eventsOf, ordering, setUp, Shop } from './shop.js'

afterEach(closeAll)

describe('a compensation that keeps failing', () => {
  async function parked(attempts = 3) {
    const shop = new Shop()
      .fails('ship', () => terminal('no carrier goes there'))
      .fails('undo charge', ...Array.from({ length: attempts }, () => () => new Error('the bank is closed')))
    const definition = ordering(shop, { attempts })
    const its = await setUp([definition])
    await its.run()
    const { id } = await its.all.start(definition, { sku: 'A' })
    expect(await its.outcome(id)).toEqual({
      outcome: 'parked',
      reason: 'the compensation of step charge has failed 3 times: the bank is closed',
    })
    return { ...its, shop, id }
  }

  test('parks the saga with everything that is known', async () => {
    const { all, id, shop, lines } = await parked()
    expect(shop.calls).toEqual(['reserve', 'charge', 'ship', 'undo charge', 'undo charge', 'undo charge'])
    expect(await all.show(id)).toMatchObject({
      status: 'parked',
      input: { sku: 'A' },
      failure: { class: 'terminal' },
      parked: { step: 'charge', direction: 'compensate' },
      steps: [
        { name: 'reserve', status: 'done', result: { sku: 'A' }, compensated: false },
        { name: 'charge', status: 'done', result: 7, tries: { run: 0, compensate: 3 }, compensated: false },
        { name: 'ship', status: 'failed', class: 'terminal' },
      ],
    })
    expect(lines.join('\n')).toContain(
      `error: saga ${id} is parked: the compensation of step charge has failed 3 times`,
    )
  })

  test('goes on when somebody has it tried again', async () => {
    const { all, id, shop, outcome, settle } = await parked()
    await settle(all.retry(id, { actor: 'ada', reason: 'the bank is open' }))
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated' })
    expect(shop.calls.slice(-2)).toEqual(['undo charge', 'undo reserve'])
    expect((await all.show(id)).timeline.map(({ what }) => what)).toContain(
      'retry was asked for by ada: the bank is open',
    )
  })

  test('is passed over when somebody has done it by hand', async () => {
    const { all, id, shop, outcome, settle } = await parked()
    await settle(all.skip(id, { actor: 'ada' }))
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated' })
    expect(shop.calls.slice(-2)).toEqual(['undo charge', 'undo reserve'])
    expect(shop.calls.filter((call) => call === 'undo charge').length).toBe(3)
  })

  test('is parked again if it fails again', async () => {
    const { all, id, shop, outcome, settle } = await parked()
    shop.fails('undo charge', ...Array.from({ length: 3 }, () => () => new Error('still closed')))
    await settle(all.retry(id))
    const { reason } = (await outcome(id)) as { reason: string }
    expect(reason).toMatch(/closed/)
  })
})

describe('past its point of no return', () => {
  const shop = new Shop()
  const definition = saga({
    name: 'order',
    async run(_, context) {
      await context.step('charge', shop.step('charge', 7))
      context.pointOfNoReturn()
      return context.step('ship', { ...shop.step('ship', 'T-1'), attempts: 2 })
    },
  })

  test('a saga is never undone: it is parked, tried again, or told the result', async () => {
    shop.fails('ship', ...Array.from({ length: 4 }, () => () => new Error('no carrier')))
    const { all, run, outcome, settle } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    const parked = {
      outcome: 'parked',
      reason: 'step ship has failed 2 times after the point of no return: no carrier',
    }
    expect(await outcome(id)).toEqual(parked)
    await expect(settle(all.cancel(id))).rejects.toMatchObject({ code: 'BANYAN_SAGA_REFUSED' })
    await settle(all.retry(id))
    await settle(Promise.resolve().then(() => new Promise((resolve) => setTimeout(resolve, 5))))
    expect(await outcome(id)).toEqual(parked)
    await settle(all.skip(id, { result: 'T-2' }))
    expect(await outcome(id)).toEqual({ outcome: 'completed', result: 'T-2' })
    expect(shop.calls).toEqual(['charge', 'ship', 'ship', 'ship', 'ship'])
    await expect(settle(all.retry(id))).rejects.toMatchObject({ code: 'BANYAN_SAGA_ENDED' })
  })
})

test('a saga whose code throws something else is parked, and not undone; it goes on when the code was mended', async () => {
  const shop = new Shop()
  let isBroken = true
  const definition = saga({
    name: 'order',
    async run(_, context) {
      await context.step('reserve', shop.step('reserve', 1))
      if (isBroken) (undefined as unknown as { foo(): void }).foo()
      return context.step('charge', shop.step('charge', 2))
    },
  })
  const { all, run, outcome, settle } = await setUp([definition])
  await run()
  const { id } = await all.start(definition)
  expect(await outcome(id)).toMatchObject({
    outcome: 'parked',
    reason: expect.stringContaining('its code has thrown TypeError') as string,
  })
  await expect(settle(all.skip(id))).rejects.toThrow(/not parked for a step/)
  isBroken = false
  await settle(all.retry(id))
  expect(await outcome(id)).toEqual({ outcome: 'completed', result: 2 })
  expect(shop.calls).toEqual(['reserve', 'charge'])
})

describe('code that was changed under a running saga', () => {
  type Code = (context: SagaContext, shop: Shop) => Promise<unknown>

  /** A saga that was begun with one code, waits, and goes on with another. */
  async function changed(before: Code, after: Code) {
    const shop = new Shop()
    const of = (code: Code): AnySaga => saga({ name: 'order', run: (_, context) => code(context, shop) })
    const its = await setUp([of(before)])
    const first = await its.run()
    await its.all.start(of(before), undefined, { id: '1' })
    await its.runtime.clock.advance('1m')
    expect(await its.all.show('order/1')).toMatchObject({ status: 'waiting' })
    await its.settle(first.close())
    await its.run([of(after)])
    await its.settle(its.all.signal('order/1', 'go on'))
    return { ...its, shop, result: await its.outcome('order/1') }
  }

  const reserveAndWait: Code = async ({ step, signal }, shop) => {
    await step('reserve', shop.step('reserve', 1))
    await signal('go on')
    return step('charge', shop.step('charge', 2))
  }

  test.each<[string, Code, RegExp]>([
    [
      'another step in the place of one',
      async ({ step, signal }, shop) => {
        await step('allocate', shop.step('allocate', 1))
        await signal('go on')
      },
      /step reserve was asked for as number 1, and now the code asks for step allocate in its place/,
    ],
    [
      'a step that is not there any more',
      async ({ step, signal }, shop) => {
        await signal('go on')
        return step('charge', shop.step('charge', 2))
      },
      /step reserve was asked for as number 1, and now the code asks for signal go on in its place/,
    ],
    [
      'a new step before what it waits for',
      async ({ step, signal }, shop) => {
        await step('reserve', shop.step('reserve', 1))
        await step('check', shop.step('check', 1))
        await signal('go on')
      },
      /signal go on was asked for as number 2, and now the code asks for step check in its place/,
    ],
    [
      'an earlier end',
      async ({ step }, shop) => {
        await step('reserve', shop.step('reserve', 1))
      },
      /signal go on was asked for as number 2, and now the code ends before it/,
    ],
  ])('parks it, and does nothing: %s', async (_, after, reason) => {
    const { result, shop, lines, log } = await changed(reserveAndWait, after)
    expect(result).toMatchObject({ outcome: 'parked', reason: expect.stringMatching(reason) as string })
    expect(shop.calls).toEqual(['reserve'])
    expect(lines.join('\n')).toMatch(reason)
    expect((await eventsOf(log, 'order/1')).at(-1)!.type).toBe('Parked')
  })

  test('with a patch mark it goes on as it began, and those that are new as the code is now', async () => {
    const patched: Code = async ({ step, signal, patched: isPatched }, shop) => {
      await step('reserve', shop.step('reserve', 1))
      if (isPatched('check first')) await step('check', shop.step('check', 1))
      await signal('go on')
      return isPatched('check first') ? 'new' : step('charge', shop.step('charge', 2))
    }
    const old = await changed(reserveAndWait, patched)
    expect(old.result).toEqual({ outcome: 'completed', result: 2 })
    expect(old.shop.calls).toEqual(['reserve', 'charge'])
    const fresh = await changed(patched, patched)
    expect(fresh.result).toEqual({ outcome: 'completed', result: 'new' })
    expect(fresh.shop.calls).toEqual(['reserve', 'check'])
  })

  test('of another version it waits for a process that has its version', async () => {
    const shop = new Shop()
    const version = (number: number, name: string): AnySaga =>
      saga({
        name: 'order',
        version: number,
        async run(_, { step, signal }) {
          await signal('go on')
          return step(name, shop.step(name, name))
        },
      })
    const { all, run, outcome, settle, runtime, lines } = await setUp([])
    const first = await run([version(1, 'old')])
    await all.start(version(1, 'old'), undefined, { id: '1' })
    await runtime.clock.advance('1s')
    await settle(first.close())
    const second = await run([version(2, 'new')])
    await settle(all.signal('order/1', 'go on'))
    await all.start(version(2, 'new'), undefined, { id: '2' })
    await settle(all.signal('order/2', 'go on'))
    expect(await outcome('order/2')).toEqual({ outcome: 'completed', result: 'new' })
    expect(lines.join('\n')).toContain('saga order/1 is of version 1')
    await settle(second.close())
    await run([version(2, 'new'), version(1, 'old')])
    expect(await outcome('order/1')).toEqual({ outcome: 'completed', result: 'old' })
  })

  test('that waits for something else than its steps is parked', async () => {
    const shop = new Shop()
    const definition = saga({
      name: 'order',
      async run(_, { step }) {
        await new Promise((resolve) => setTimeout(resolve, 1))
        await step('reserve', shop.step('reserve', 1))
      },
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining('put that into a step') as string,
    })
    expect(shop.calls).toEqual([])
  })
})

describe('bad input', () => {
  const definition = saga<{ sku: string }>({ name: 'order', run: ({ sku }) => sku })

  test.each<[string, unknown, RegExp]>([
    ['a value that JSON would change', { sku: new Map() }, /the input of saga order\/1.*sku/],
    ['a function', { sku: () => 1 }, /the input of saga order\/1.*sku is a function/],
  ])('%s is refused before anything is started', async (_, input, message) => {
    const { all } = await setUp([definition])
    await expect(all.start(definition, input as { sku: string }, { id: '1' })).rejects.toThrow(message)
    await expect(all.show('order/1')).rejects.toMatchObject({ code: 'BANYAN_SAGA_UNKNOWN' })
  })

  test('the same id starts nothing, and another input under it is refused', async () => {
    const { all, run, outcome } = await setUp([definition])
    await run()
    expect(await all.start(definition, { sku: 'A' }, { id: '1' })).toEqual({
      id: 'order/1',
      duplicate: false,
    })
    expect(await all.start(definition, { sku: 'A' }, { id: '1' })).toEqual({ id: 'order/1', duplicate: true })
    await expect(all.start(definition, { sku: 'B' }, { id: '1' })).rejects.toMatchObject({
      code: 'BANYAN_SAGA_EXISTS',
    })
    expect(await outcome('order/1')).toEqual({ outcome: 'completed', result: 'A' })
    expect(await all.start(definition, { sku: 'A' }, { id: '1' })).toEqual({ id: 'order/1', duplicate: true })
  })

  test('a result that does not serialise fails its step, which is undone as it has happened', async () => {
    const shop = new Shop()
    const odd = saga({
      name: 'order',
      run: (_, { step }) =>
        step('count', { run: () => new Set([1]), compensate: () => void shop.calls.push('undo count') }),
    })
    const { all, run, outcome } = await setUp([odd])
    await run()
    const { id } = await all.start(odd)
    expect(await outcome(id)).toMatchObject({
      outcome: 'compensated',
      error: { message: expect.stringContaining('the result of step count') as string },
    })
    expect(shop.calls).toEqual(['undo count'])
  })

  test('a step name that was used before is a mistake in the code', async () => {
    const twice = saga({
      name: 'order',
      async run(_, { step }) {
        await step('pay', () => 1)
        await step('pay', () => 2)
      },
    })
    const { all, run, outcome } = await setUp([twice])
    await run()
    const { id } = await all.start(twice)
    expect(await outcome(id)).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining('there is a step pay already') as string,
    })
  })

  test.each<[object, RegExp]>([
    [{ name: 'with-dash', run: () => 1 }, /name of a saga/],
    [{ name: 'x', run: 5 }, /run/],
    [{ name: 'x', run: () => 1, retries: 3 }, /retries is not an option/],
    [{ name: 'x', run: () => 1, deadline: 'soon' }, /deadline/],
  ])('definition %o is refused', (bad, message) => {
    expect(() => saga(bad as unknown as AnySaga)).toThrow(message)
  })
})

test('a step that has killed whoever ran it again and again is parked', async () => {
  const shop = new Shop()
  const definition = saga({ name: 'order', run: (_, { step }) => step('bomb', shop.step('bomb', 1)) })
  const { all, log, run, outcome, settle, runtime } = await setUp([definition])
  await all.start(definition, undefined, { id: '1' })
  const at = runtime.clock.wall()
  const records = [{ is: 'begun', op: 0, kind: 'step', name: 'bomb', at, compensable: true }]
  const interrupted = Array.from({ length: 24 }, () => ({ is: 'interrupted', ops: [0], at }))
  await log.append({
    streams: [
      {
        stream: '$saga/order-1',
        events: [{ type: 'Progressed', data: { records: [...records, ...interrupted] } }],
      },
    ],
  })
  await run()
  // The message is that of its start, which has been read before.
  await settle(all.signal('order/1', 'wake up'))
  expect(await outcome('order/1')).toMatchObject({ outcome: 'parked' })
  expect(shop.calls).toEqual([])
  await settle(all.cancel('order/1'))
  expect(await outcome('order/1')).toMatchObject({ outcome: 'compensated' })
  expect(shop.calls).toEqual(['undo bomb'])
})

test('a step that is done, or undone, shows no error of an earlier try; one that has failed shows its own', async () => {
  const shop = new Shop()
    .fails('reserve', () => new Error('busy'))
    .fails('charge', () => terminal('the card was refused'))
    .fails('undo reserve', () => new Error('locked'))
  const { all, run, outcome, settle } = await setUp([ordering(shop, { attempts: 2 })])
  await run()
  const { id } = await settle(all.start('order', { sku: 'A' }))
  expect(await outcome(id)).toMatchObject({ outcome: 'compensated' })
  const [reserve, charge] = (await all.show(id)).steps
  expect(reserve).toMatchObject({ status: 'done', compensated: true, tries: { run: 1, compensate: 1 } })
  expect(reserve).not.toHaveProperty('error')
  expect(reserve!.failures).toHaveLength(2)
  expect(charge).toMatchObject({ status: 'failed', error: { message: 'the card was refused' } })
})
