import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../testing/index.js'
import {
  openLog,
  retryable,
  runSagas,
  saga,
  sagas,
  terminal,
  StepFailedError,
  type AnySaga,
  type EventLog,
  type RunSagasOptions,
  type SagaOutcome,
  type StepOptions,
} from '../index.js'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** Sagas of a log in memory, in virtual time. */
async function setUp(definitions: readonly AnySaga[], options: Partial<RunSagasOptions> = {}) {
  const lines: string[] = []
  const runtime = virtualRuntime({
    telemetry: { ...virtualRuntime().telemetry, log: (level, message) => lines.push(`${level}: ${message}`) },
  })
  const log = await openLog('memory:', { runtime })
  open.push(() => log.close())
  const all = sagas(log, { definitions, runtime })
  const run = async (others: readonly AnySaga[] = definitions) => {
    const runner = await runSagas(log, { definitions: others, runtime, drain: '1s', ...options })
    let isClosed = false
    const close = async (): Promise<void> => {
      if (isClosed) return
      isClosed = true
      await runtime.clock.settle(runner.close())
    }
    open.push(close)
    return { ...runner, close }
  }
  const settle = <T>(result: Promise<T>): Promise<T> => runtime.clock.settle(result)
  const outcome = (id: string): Promise<SagaOutcome> => settle(all.outcome(id))
  return { log, runtime, all, run, settle, outcome, lines }
}

/** What the services of a shop have been asked for. */
class Shop {
  readonly calls: string[] = []
  readonly #failing = new Map<string, (() => Error)[]>()

  /** The next calls of it fail. */
  fails(call: string, ...errors: (() => Error)[]): this {
    this.#failing.set(call, errors)
    return this
  }

  step<Result>(name: string, result?: Result, more: Partial<StepOptions<Result>> = {}): StepOptions<Result> {
    const call = (what: string): void => {
      this.calls.push(what)
      const error = this.#failing.get(what)?.shift()
      if (error) throw error()
    }
    return {
      run: () => {
        call(name)
        return result!
      },
      compensate: ({ result: done, outcome }) => {
        call(`undo ${name}`)
        if (outcome === 'done') expect(done).toEqual(result)
        else expect(done).toBeUndefined()
      },
      ...more,
    }
  }
}

function ordering(shop: Shop, more: Partial<AnySaga> = {}) {
  return saga<{ sku: string }, { tracking: string }>({
    name: 'order',
    ...more,
    async run({ sku }, context) {
      await context.step('reserve', shop.step('reserve', { sku }))
      await context.step('charge', shop.step('charge', 7))
      const tracking = await context.step('ship', shop.step('ship', 'T-1'))
      return { tracking }
    },
  })
}

async function eventsOf(log: EventLog, id: string) {
  const events = []
  for await (const event of log.read({ stream: `$saga/${id.replace('/', '-')}` })) events.push(event)
  return events
}

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
