import { afterEach, describe, expect, test } from 'vitest'
import { saga, terminal, type SagaDefinition } from '../../src/events/index.js'
import { closeAll, eventsOf, setUp } from './shop.js'

afterEach(closeAll)

describe('names that look alike', () => {
  test('give children ids of their own', async () => {
    const undone: string[] = []
    const kid = saga<string>({
      name: 'kid',
      async run(input, { step, signal }) {
        await step('k', { run: () => input, compensate: () => void undone.push(input) })
        await signal('go')
      },
    })
    const parent = saga<string>({
      name: 'q',
      run: (input, { child }) => child(input === 'X' ? 'c' : 'b-c', kid, input),
    })
    const { all, run, outcome, settle } = await setUp([parent, kid])
    await run()
    await settle(all.start(parent, 'X', { id: 'a-b' }))
    await settle(all.start(parent, 'Y', { id: 'a' }))
    await settle(all.start(parent, 'Y', { id: 'a-b/b-c' }))
    await all.signal('kid/q/a-b/c', 'go').catch(() => undefined)
    await settle(new Promise<void>((resolve) => setImmediate(resolve)))
    await settle(all.cancel('q/a'))
    expect(await outcome('q/a')).toMatchObject({ outcome: 'compensated' })
    expect(undone).toEqual(['Y'])
  })

  test('give steps keys of their own', async () => {
    const keys: string[] = []
    const definition = saga({
      name: 'kc',
      async run(_, { step }) {
        for (const name of ['a', 'b/a', 'b%2Fa'])
          await step(name, (context) => void keys.push(context.idempotencyKey))
      },
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    for (const id of ['1', '1/b']) {
      await all.start(definition, undefined, { id })
      await outcome(`kc/${id}`)
    }
    expect(new Set(keys).size).toBe(6)
  })

  test('park a parent whose child was started by somebody else', async () => {
    const kid = saga({ name: 'kid', run: () => 'mine' })
    const parent = saga({ name: 'p', run: (_, { child }) => child('c', kid) })
    const { all, run, outcome } = await setUp([parent, kid])
    await run()
    await all.start(kid, undefined, { id: 'p/1/c' })
    await all.start(parent, undefined, { id: '1' })
    expect(await outcome('p/1')).toEqual({
      outcome: 'parked',
      reason: 'there is a saga kid/p/1/c already, of somebody else',
    })
  })

  test('cannot be started as they are: the parent is parked for that', async () => {
    const kid = { name: 'kid', deadline: 'soon', run: () => 1 } as const
    const parent = saga<string>({
      name: 'p',
      run: (input, { child, step }) => (input === 'first' ? step('a', () => 1) : child('c', kid as never)),
    })
    const { all, run, outcome, settle } = await setUp([parent])
    await run()
    for (let number = 0; number < 9; number++)
      await outcome((await settle(all.start(parent, 'first', { id: `first-${number}` }))).id)
    const { id } = await settle(all.start(parent, 'then', { id: 'then' }))
    expect(await outcome(id)).toMatchObject({
      outcome: 'parked',
      reason: expect.stringMatching(/^it cannot go on: deadline/) as string,
    })
  })

  test('of any length and depth make ids that fit', async () => {
    const definition: SagaDefinition<number, number> = saga<number, number>({
      name: 'a_saga_with_quite_a_long_name_that_goes_on',
      run: async (depth, { child }) =>
        depth === 0 ? 0 : 1 + (await child('another level of it', definition, depth - 1)),
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition, 8, { id: 'x'.repeat(100) })
    expect(await outcome(id)).toEqual({ outcome: 'completed', result: 8 })
  })
})

describe('what users give and throw', () => {
  test.each<[string, (error: unknown) => unknown]>([
    ['throws', (error) => (error as { response: { status: number } }).response.status],
    ['gives no class', () => 'bogus'],
  ])('a classify that %s makes the failure unknown', async (_, classify) => {
    const undone: unknown[] = []
    const definition = saga({
      name: 'order',
      run: (_input, { step }) =>
        step('a', {
          run: () => {
            throw new Error('hm')
          },
          attempts: 1,
          classify: classify as () => 'terminal',
          compensate: ({ outcome }) => void undone.push(outcome),
        }),
    })
    const { all, run, outcome, lines } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated', class: 'unknown' })
    expect(undone).toEqual(['unknown'])
    expect(lines.filter((line) => line.includes('its classify'))).toHaveLength(1)
  })

  const odd = {
    'without a prototype': Object.create(null) as unknown,
    'whose code throws': Object.defineProperty(new Error('odd'), 'code', {
      get: () => {
        throw new Error('no')
      },
    }),
    'that cannot be text': {
      toString() {
        throw new Error('no')
      },
    },
    'that is a proxy': new Proxy(new Error('odd'), {
      get() {
        throw new Error('no')
      },
    }),
  }
  test.each(Object.entries(odd))('an error %s fails its step, and its saga', async (_, thrown) => {
    let calls = 0
    const definition = saga<boolean>({
      name: 'order',
      run: async (inStep, { step }) => {
        await step('a', () => {
          calls++

          if (inStep) throw thrown
        })

        throw thrown
      },
      attempts: 2,
    })
    const { all, run, outcome, settle } = await setUp([definition])
    await run()
    const inStep = await settle(all.start(definition, true))
    expect(await outcome(inStep.id)).toMatchObject({ outcome: 'compensated' })
    expect(calls).toBe(2)
    const inCode = await settle(all.start(definition, false))
    expect(await outcome(inCode.id)).toMatchObject({ outcome: 'parked' })
    expect(calls).toBe(3)
  })

  test.each<
    [string, (time: { sleep: (ms: number) => unknown; sleepUntil: (time: number) => unknown }) => unknown]
  >([
    ['sleepUntil(1e20)', ({ sleepUntil }) => sleepUntil(1e20)],
    ['sleepUntil(NaN)', ({ sleepUntil }) => sleepUntil(Number.NaN)],
    ['sleep(1e300)', ({ sleep }) => sleep(1e300)],
  ])('%s parks the saga, and says so', async (_, wait) => {
    let calls = 0
    const definition = saga({
      name: 'order',
      async run(_input, context) {
        await context.step('a', () => ++calls)
        await wait(context)
      },
    })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining('sleep') as string,
    })
    expect(calls).toBe(1)
  })

  test('a time that has passed is no wait, and a deadline of many lives is refused', async () => {
    const definition = saga({ name: 'order', run: (_, { sleepUntil }) => sleepUntil(-1) })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({ outcome: 'completed' })
    expect(() => saga({ name: 'order', deadline: '100000000d', run: () => undefined })).toThrow('1,000 years')
  })

  test('what a step returns that is no JSON fails it at once', async () => {
    let calls = 0
    const definition = saga({ name: 'order', run: (_, { step }) => step('a', () => (calls++, new Map())) })
    const { all, run, outcome } = await setUp([definition])
    await run()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({ outcome: 'compensated', class: 'unknown' })
    expect(calls).toBe(1)
  })

  test('a step in a step is refused at once', async () => {
    const definition = saga({
      name: 'order',
      run: (_, { step }) => step('a', () => step('b', () => 1)),
    })
    const { all, run, outcome, runtime } = await setUp([definition])
    await run()
    const begun = runtime.clock.now()
    const { id } = await all.start(definition)
    expect(await outcome(id)).toMatchObject({
      outcome: 'parked',
      reason: expect.stringMatching(/asks for step b .* no step into another$/) as string,
    })
    expect(runtime.clock.now() - begun).toBeLessThan(5000)
  })
})

test('results that are too large together are kept one by one, and each step is called once', async () => {
  let calls = 0
  const definition = saga<number>({
    name: 'order',
    async run(count, { step }) {
      const steps = Array.from({ length: count }, (_, number) =>
        step(`s${number}`, () => (calls++, 'x'.repeat(3_000_000))),
      )
      return (await Promise.all(steps)).length
    },
  })
  const { all, run, outcome } = await setUp([definition])
  await run()
  await all.start(definition, 8, { id: '1' })
  expect(await outcome('order/1')).toEqual({ outcome: 'completed', result: 8 })
  expect(calls).toBe(8)
})

test('a step whose result is too large parks its saga, and says which', async () => {
  const definition = saga({
    name: 'order',
    run: (_, { step }) => step('big', () => 'x'.repeat(17 * 1024 * 1024)),
  })
  const { all, run, outcome } = await setUp([definition])
  await run()
  await all.start(definition, undefined, { id: '1' })
  expect(await outcome('order/1')).toMatchObject({
    outcome: 'parked',
    reason: expect.stringContaining('what has to be kept of step big is refused by the log') as string,
  })
})

describe('code that was changed', () => {
  test('so that a step has no compensation any more does not fit', async () => {
    const undone: string[] = []
    const made = (isNew: boolean) =>
      saga({
        name: 'order',
        async run(_, { step, signal }) {
          await step('a', { run: () => 1, ...(!isNew && { compensate: () => void undone.push('a') }) })
          await step('b', { run: () => 1, compensate: () => void undone.push('b') })
          await signal('go')
          await step('c', () => {
            throw terminal('no')
          })
        },
      })
    const { all, run, outcome, settle } = await setUp([made(false)])
    const first = await run()
    await settle(all.start(made(false), undefined, { id: '1' }))
    await first.close()
    const second = await run([made(true)])
    await all.signal('order/1', 'go')
    expect(await outcome('order/1')).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining(
        'step a was asked for as number 1, and now the code has no compensation for it',
      ) as string,
    })
    expect(undone).toEqual([])
    await second.close()
    await run([made(false)])
    await settle(all.retry('order/1'))
    expect(await outcome('order/1')).toMatchObject({ outcome: 'compensated' })
    expect(undone).toEqual(['b', 'a'])
  })

  test('so that it throws says what it throws', async () => {
    const made = (isNew: boolean) =>
      saga({
        name: 'order',
        async run(_, { step, signal }) {
          if (isNew) throw new TypeError('boom')
          await step('a', () => 1)
          await signal('go')
        },
      })
    const { all, run, outcome, settle } = await setUp([made(false)])
    const first = await run()
    await settle(all.start(made(false), undefined, { id: '1' }))
    await first.close()
    await run([made(true)])
    await all.signal('order/1', 'go')
    expect(await outcome('order/1')).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining('the code throws before it: boom') as string,
    })
  })
})

test('nobody is said to have ended without a word who has not', async () => {
  const attempts: number[] = []
  const kid = saga({
    name: 'kid',
    run: (_, { step }) =>
      step('k', { run: () => 1, compensate: ({ attempt }) => void attempts.push(attempt) }),
  })
  const definition = saga({
    name: 'order',
    async run(_, { step, signal, child }) {
      await step('a', { run: () => 1, compensate: ({ attempt }) => void attempts.push(attempt) })
      await child('c', kid)
      await signal('go')
    },
  })
  const { all, run, outcome, settle, log, runtime } = await setUp([definition, kid])
  await run()
  await settle(all.start(definition, undefined, { id: '1' }))
  await runtime.clock.advance('1m')
  await settle(all.cancel('order/1'))
  expect(await outcome('order/1')).toMatchObject({ outcome: 'compensated' })
  expect(attempts).toEqual([1, 1])
  for (const id of ['order/1', 'kid/order/1/c'])
    expect(JSON.stringify(await eventsOf(log, id))).not.toContain('interrupted')
})
