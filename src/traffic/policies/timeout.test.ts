import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noTelemetry, type Telemetry } from '../../core/telemetry.js'
import { virtualRuntime } from '../../testing/index.js'
import { RejectedError, TimeoutError } from '../errors.js'
import { pipeline } from '../pipeline.js'
import type { CallContext } from '../policy.js'
import { timeout } from './timeout.js'

function setUp(after: number) {
  const runtime = virtualRuntime()
  const { clock } = runtime
  const taking = (ms: number) => (): Promise<string> =>
    new Promise((resolve) => clock.schedule(clock.now() + ms, () => resolve('done')))
  return { runtime, clock, taking, policy: timeout({ after, runtime }) }
}

const forever = (): Promise<never> => new Promise(() => undefined)

describe('a timeout', () => {
  test('lets through what is faster, and waits no longer', async () => {
    const { clock, policy, taking } = setUp(100)
    expect(await clock.settle(policy.execute(taking(99)))).toBe('done')
    expect(clock.pending).toBe(0)
  })

  test('passes an error on as it is', async () => {
    const { clock, policy } = setUp(100)
    const error = new Error('down')
    await expect(policy.execute(() => Promise.reject(error))).rejects.toBe(error)
    expect(clock.pending).toBe(0)
  })

  test('answers at its time, also for work that ignores its signal', async () => {
    const { clock, policy } = setUp(100)
    const error: unknown = await clock.settle(policy.execute(forever).catch((error: unknown) => error))
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({
      code: 'BANYAN_TIMEOUT',
      after: 100,
      message: 'timeout: no result within 100ms',
    })
    expect(clock.now()).toBe(100)
  })

  test('aborts the signal of the work with the error the caller gets', async () => {
    const { clock, policy } = setUp(100)
    let signal: AbortSignal | undefined
    const work = (context: CallContext): Promise<never> => {
      signal = context.signal
      return forever()
    }
    const error: unknown = await clock.settle(policy.execute(work).catch((error: unknown) => error))
    expect(signal?.aborted).toBe(true)
    expect(signal?.reason).toBe(error)
  })

  test('drops a result that comes too late', async () => {
    const { clock, policy, taking } = setUp(100)
    await expect(clock.settle(policy.execute(taking(150)))).rejects.toBeInstanceOf(TimeoutError)
    await clock.advance(100)
    expect(clock.pending).toBe(0)
  })

  test('tells the work its deadline, which is the nearer of its own and the caller’s', async () => {
    const { clock, policy } = setUp(100)
    await clock.advance(1_000)
    const deadline = ({ deadline }: CallContext): number => deadline
    expect(await policy.execute(deadline)).toBe(1_100)
    expect(await policy.execute(deadline, { deadline: 1_030 })).toBe(1_030)
    expect(await policy.execute(deadline, { deadline: 5_000 })).toBe(1_100)
  })

  test('ends with the caller’s deadline if that is nearer', async () => {
    const { clock, policy } = setUp(100)
    const outcome = policy.execute(forever, { deadline: 30 }).catch((error: unknown) => error)
    expect(await clock.settle(outcome)).toMatchObject({ code: 'BANYAN_TIMEOUT', after: 30 })
    expect(clock.now()).toBe(30)
  })

  test('refuses a call whose deadline has passed, and does not make it', async () => {
    const { clock, policy } = setUp(100)
    await clock.advance(50)
    let made = 0
    const error: unknown = await policy
      .execute(() => made++, { deadline: 50 })
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RejectedError)
    expect(error).toMatchObject({ code: 'BANYAN_DEADLINE_EXCEEDED', policy: 'timeout' })
    expect(made).toBe(0)
  })

  test('is not set off by a body that streams on after its result', async () => {
    const { clock, policy } = setUp(100)
    let signal: AbortSignal | undefined
    const work = (context: CallContext): string => {
      signal = context.signal
      context.waitUntil(forever())
      return 'head'
    }
    expect(await policy.execute(work)).toBe('head')
    await clock.advance(1_000)
    expect(signal?.aborted).toBe(false)
  })

  test('one in another: whichever is nearer answers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 60 }),
        async (outer, inner, took) => {
          const { runtime, clock, taking } = setUp(1)
          const policy = pipeline(
            timeout({ after: outer, name: 'outer', runtime }),
            timeout({ after: inner, name: 'inner', runtime }),
          )
          const outcome = await clock.settle(policy.execute(taking(took)).catch((error: unknown) => error))
          const nearest = Math.min(outer, inner)
          // The outer timer was set first, so it comes first where both are due.
          if (took > nearest) {
            const name = outer <= inner ? 'outer' : 'inner'
            expect(outcome).toMatchObject({ message: `${name}: no result within ${nearest}ms` })
            expect(clock.now()).toBe(nearest)
          } else if (took < nearest) expect(outcome).toBe('done')
        },
      ),
      { numRuns: 100 },
    )
  })

  test('counts what it ended', async () => {
    const counts: unknown[] = []
    const telemetry: Telemetry = {
      ...noTelemetry,
      counter: (name, { attributes }) => ({ add: (amount) => counts.push([name, attributes, amount]) }),
    }
    const runtime = virtualRuntime({ telemetry })
    const policy = timeout({ after: 10, name: 'orders', runtime })
    await policy.execute(() => 'fast')
    await runtime.clock.settle(policy.execute(forever).catch(() => undefined))
    expect(counts).toEqual([['banyan.timeout.exceeded', { 'banyan.policy': 'orders' }, 1]])
  })

  test.each<[unknown, RegExp]>([
    [0, /after must be .* at least 1ms/],
    ['3', /after must be/],
    [{ after: '3s', nmae: 'x' }, /did you mean `name`/],
    [{}, /after must be/],
  ])('%j is refused', (options, message) => {
    expect(() => timeout(options as never)).toThrow(message)
  })
})
