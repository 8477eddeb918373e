import { expect } from 'vitest'
import {
  openLog,
  runSagas,
  saga,
  sagas,
  type AnySaga,
  type EventLog,
  type LogOptions,
  type RecordedEvent,
  type RunSagasOptions,
  type SagaOutcome,
  type StepOptions,
} from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'

const open: (() => Promise<void>)[] = []
/** Ends what a test has begun. */
export async function closeAll(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close()
}

/** Sagas of a log in memory, in virtual time. */
export async function setUp(
  definitions: readonly AnySaga[],
  options: Partial<RunSagasOptions> = {},
  ofLog: LogOptions = {},
) {
  const lines: string[] = []
  const runtime = virtualRuntime({
    telemetry: { ...virtualRuntime().telemetry, log: (level, message) => lines.push(`${level}: ${message}`) },
  })
  const log = await openLog('memory:', { ...ofLog, runtime })
  open.push(() => log.close())
  const all = sagas(log, { definitions, runtime })
  const run = async (others: RunSagasOptions['definitions'] = definitions) => {
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
export class Shop {
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

export function ordering(shop: Shop, more: Partial<AnySaga> = {}) {
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

export async function eventsOf(log: EventLog, id: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const event of log.read({ stream: `$saga/${id.replace('/', '-')}` })) events.push(event)
  return events
}
