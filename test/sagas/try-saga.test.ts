import { describe, expect, test } from 'vitest'
import { saga, type AnySaga, type SagaContext } from '../../src/events/index.js'
import { SagaTrialError, trySaga, type TrySagaOptions } from '../../src/testing/index.js'

/** Accounts of a warehouse and a bank. */
class Shop {
  reserved = 0
  charged = 0
  shipped = 0
}

function ordering(shop: Shop, more: Partial<AnySaga> = {}): AnySaga {
  return saga<{ amount: number }>({
    name: 'order',
    async run({ amount }, { step, sleep, signal }) {
      await step('reserve', {
        run: () => {
          shop.reserved++
        },
        compensate: () => {
          shop.reserved--
        },
      })
      await sleep('1h')
      await Promise.all([
        step('charge', {
          run: () => {
            shop.charged += amount
          },
          compensate: ({ outcome }) => {
            if (outcome === 'done') shop.charged -= amount
          },
        }),
        signal('packed', { timeout: '1d' }),
      ])
      return step('ship', {
        run: () => ++shop.shipped,
        compensate: () => {
          shop.shipped--
        },
      })
    },
    ...more,
  })
}

const trial = (options: Partial<TrySagaOptions<Shop>> = {}): TrySagaOptions<Shop> => ({
  world: () => new Shop(),
  saga: (shop) => ordering(shop),
  input: { amount: 7 },
  signals: { packed: [true] },
  ...options,
})

async function failureOf(options: TrySagaOptions<Shop>): Promise<SagaTrialError> {
  const error: unknown = await trySaga(options).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SagaTrialError)
  return error as SagaTrialError
}

test('a saga is tried in every way that two faults make', { timeout: 60_000 }, async () => {
  const tried = await trySaga(trial())
  expect(tried).toMatchObject({ complete: true, outcomes: { waiting: 0 } })
  expect(tried.runs).toBeGreaterThan(1000)
  expect(tried.outcomes.completed + tried.outcomes.compensated + tried.outcomes.parked).toBe(tried.runs)
  for (const count of Object.values(tried.outcomes).slice(0, 3)) expect(count).toBeGreaterThan(10)
})

test('what must be true at the end is checked with one fault as with none', async () => {
  // The compensation trusts that what is unknown has not happened.
  const error = await failureOf(
    trial({
      faults: 1,
      check: ({ outcome }, { reserved, charged, shipped }) => {
        if (outcome === 'completed') expect([reserved, charged, shipped]).toEqual([1, 7, 1])
        if (outcome === 'compensated' && charged !== 0) throw new Error('the customer has paid for nothing')
      },
    }),
  )
  expect(error.message).toContain('the customer has paid for nothing')
  expect(error.message).toMatch(
    /with (is done, and never answers|fails each time, and perhaps is done|comes after somebody has cancelled the saga)/,
  )
  expect(error.trace.join('\n')).toContain('order/1/charge/compensate answers')
})

describe('finds code that', () => {
  const changed = (
    run: (amount: number, context: SagaContext, shop: Shop) => Promise<unknown>,
  ): TrySagaOptions<Shop> =>
    trial({
      saga: (shop) =>
        saga<{ amount: number }>({ name: 'order', run: ({ amount }, context) => run(amount, context, shop) }),
    })
  let chance = 0

  test.each<[string, TrySagaOptions<Shop>, RegExp]>([
    [
      'goes another way when it is run again',
      changed(async (_amount, { step }) => {
        await step(`reserve ${chance++}`, () => undefined)
      }),
      /does not do the same when it is run again|does not fit what has happened/,
    ],
    [
      'forgets to undo a step that may have been done',
      {
        ...changed(async (_amount, { step }, shop) => {
          await step('charge', () => {
            shop.charged++
          })
          await step('ship', () => undefined)
        }),
        check: ({ outcome }, { charged }) => {
          if (outcome === 'compensated' && charged > 0) throw new Error('charged for nothing')
        },
      },
      /charged for nothing/,
    ],
    [
      'throws what it does not mean to',
      changed(async (amount, { step }) => {
        const { id } = (await step('reserve', () => (amount > 0 ? undefined : { id: 1 }))) as unknown as {
          id: number
        }
        return id
      }),
      /its code has thrown TypeError/,
    ],
    [
      'waits for something else than its steps',
      changed(async () => {
        await new Promise((resolve) => setTimeout(resolve, 1))
      }),
      /waits for something else|has waited for something else/,
    ],
  ])('%s', async (_, options, message) => {
    expect((await failureOf(options)).message).toMatch(message)
  })
})

test('children are tried along with their parent', async () => {
  const child = (shop: Shop): AnySaga =>
    saga<number>({
      name: 'paying',
      run: (amount, { step }) =>
        step('charge', {
          run: () => {
            shop.charged += amount
          },
          compensate: () => undefined,
        }),
    })
  const { complete, outcomes } = await trySaga(
    trial({
      faults: 1,
      saga: (shop) =>
        saga({
          name: 'order',
          async run(_, context) {
            await context.step('reserve', {
              run: () => {
                shop.reserved++
              },
              compensate: () => {
                shop.reserved--
              },
            })
            await context.child('pay', child(shop), 7)
            await context.step('ship', () => undefined)
          },
        }),
      input: undefined,
    }),
  )
  expect(complete).toBe(true)
  expect(outcomes.compensated).toBeGreaterThan(0)
})

describe('a world', () => {
  const waiting = (run: () => unknown, compensate?: () => unknown): TrySagaOptions<Shop> => ({
    world: () => new Shop(),
    saga: () =>
      saga({
        name: 'order',
        async run(_, { step }) {
          await step('a', { run, ...(compensate && { compensate }) })
          await step('b', () => undefined)
        },
      }),
  })
  const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))

  test.each<[string, TrySagaOptions<Shop>, string]>([
    ['a step', waiting(later), 'step a waits for something real'],
    ['a compensation', waiting(() => 1, later), 'the compensation of step a waits for something real'],
  ])('is in memory: %s that waits for something else is named', async (_, options, message) => {
    expect((await failureOf({ ...options, check: () => undefined })).message).toContain(message)
  })

  test('may give promises that resolve by themselves', async () => {
    const turns = async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    const { complete, outcomes } = await trySaga({ ...waiting(turns, turns), faults: 1 })
    expect({ complete, ...outcomes }).toMatchObject({ complete: true, waiting: 0 })
    expect(outcomes.completed).toBeGreaterThan(0)
  })
})

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'trySaga needs world, a function, and got undefined'],
  ['no world', trial({ world: undefined as never }), 'trySaga needs world, a function, and got undefined'],
  ['no saga', trial({ saga: undefined as never }), 'trySaga needs saga, a function, and got undefined'],
  ['negative faults', trial({ faults: -1 }), 'trySaga: faults must be a whole number of at least 0, got -1'],
  ['no runs', trial({ runs: 0 }), 'trySaga: runs must be a whole number of at least 1, got 0'],
  ['what it does not know', { ...trial(), seeds: 4 }, 'trySaga: seeds is not an option'],
  ['input that is no JSON', trial({ input: 10n }), 'trySaga: input'],
  [
    'signals that are no lists',
    trial({ signals: { packed: true as never } }),
    'trySaga: signals.packed must be a list',
  ],
  ['signals that are no JSON', trial({ signals: { packed: [10n] } }), 'signals.packed.0'],
  ['no definition', trial({ saga: () => undefined as never }), 'a saga: must be an object of options'],
])('%s is refused', async (_, options, message) => {
  const error: unknown = await trySaga(options as TrySagaOptions<Shop>).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: expect.stringMatching(/^BANYAN_INVALID_(OPTIONS|EVENT)$/) as string })
  expect((error as Error).message).toContain(message)
})
