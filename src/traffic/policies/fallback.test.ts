import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { noTelemetry, type Attributes, type Telemetry } from '../../core/telemetry.js'
import { virtualRuntime } from '../../testing/index.js'
import { FallbackError, rejected } from '../errors.js'
import { pipeline } from '../pipeline.js'
import { Call, httpIsFailure, invoke, type CallContext } from '../policy.js'
import { fallback } from './fallback.js'
import { timeout } from './timeout.js'

const down = new Error('down')
const fail = (): Promise<number> => Promise.reject(down)

describe('the alternative', () => {
  test('is not used for a call that works', async () => {
    expect(await fallback({ value: 'other' }).execute(() => 1)).toBe(1)
  })

  test('is returned instead of an error', async () => {
    expect(await fallback({ value: 'other' }).execute(fail)).toBe('other')
  })

  test.each([null, undefined, 0, false])('may be %s', async (value) => {
    expect(await fallback({ value }).execute(fail)).toBe(value)
  })

  test('is returned instead of a refusal', async () => {
    const refuse = (): never => {
      throw rejected('BANYAN_BREAKER_OPEN', 'open', 'breaker')
    }
    expect(await fallback({ value: 'other' }).execute(refuse)).toBe('other')
  })

  test('is returned for what a timeout inside it gave up', async () => {
    const runtime = virtualRuntime()
    const policy = pipeline(fallback({ value: 'other', runtime }), timeout({ after: 100, runtime }))
    expect(await runtime.clock.settle(policy.execute(() => new Promise<never>(() => undefined)))).toBe(
      'other',
    )
  })

  test('is part of the result’s type, and only that', () => {
    const fixed = () => fallback({ value: 'other' }).execute(fail)
    expectTypeOf(fixed).returns.resolves.toEqualTypeOf<number | string>()
    const asked = () => fallback({ use: () => Promise.resolve(true) }).execute(fail)
    expectTypeOf(asked).returns.resolves.toEqualTypeOf<number | boolean>()
    const last = () => fallback({ lastGood: { maxAge: '1m' } }).execute(fail)
    expectTypeOf(last).returns.resolves.toEqualTypeOf<number>()
  })

  test('is not given to a caller who has given up', async () => {
    const caller = new AbortController()
    let asked = 0
    const policy = fallback({ use: () => ++asked })
    const work = ({ signal }: CallContext): Promise<number> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    const outcome = policy.execute(work, { signal: caller.signal }).catch((error: unknown) => error)
    caller.abort('bye')
    expect(await outcome).toBe('bye')
    expect(asked).toBe(0)
  })

  test('is not asked for when a timeout around it has answered', async () => {
    const runtime = virtualRuntime()
    let asked = 0
    const policy = pipeline(timeout({ after: 100, runtime }), fallback({ use: () => ++asked, runtime }))
    const work = ({ signal }: CallContext): Promise<number> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    await expect(runtime.clock.settle(policy.execute(work))).rejects.toThrow('no result within')
    expect(asked).toBe(0)
  })

  test('follows isFailure: an outcome it lets pass stays as it is', async () => {
    const policy = fallback({ value: 'other', isFailure: (error) => error instanceof TypeError })
    await expect(policy.execute(fail)).rejects.toBe(down)
    expect(await policy.execute(() => Promise.reject(new TypeError('mine')))).toBe('other')
  })

  test('an isFailure that throws fails the call with its error', async () => {
    const bug = new Error('bug in the predicate')
    const policy = fallback({
      value: 'other',
      isFailure: () => {
        throw bug
      },
    })
    await expect(policy.execute(() => 1)).rejects.toBe(bug)
    await expect(policy.execute(fail)).rejects.toBe(bug)
  })
})

describe('use', () => {
  test('gets the error and the context', async () => {
    const policy = fallback({ use: (error, value, { key }) => [error, value, key] })
    expect(await policy.execute(fail, { key: 'tenant 1' })).toEqual([down, undefined, 'tenant 1'])
  })

  test('gets the value that was judged a failure', async () => {
    const policy = fallback({
      use: (error, value) => [error, (value as { status: number }).status],
      isFailure: httpIsFailure,
    })
    expect(await policy.execute(() => ({ status: 503 }))).toEqual([undefined, 503])
  })

  test('that fails is reported together with the failure it was to replace', async () => {
    const second = new Error('the replica is down too', { cause: 'ECONNREFUSED' })
    const policy = fallback({ name: 'replica', use: () => Promise.reject(second) })
    const error: unknown = await policy.execute(fail).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(FallbackError)
    expect(error).toMatchObject({ code: 'BANYAN_FALLBACK_FAILED', original: down, cause: second })
    expect(second.cause).toBe('ECONNREFUSED')
  })

  test('that throws at once is reported the same way', async () => {
    const policy = fallback({
      use: () => {
        throw new Error('second')
      },
    })
    await expect(policy.execute(fail)).rejects.toMatchObject({ original: down })
  })

  test('may let the failure pass by throwing the very same error', async () => {
    const policy = fallback({
      use: (error) => {
        throw error
      },
    })
    await expect(policy.execute(fail)).rejects.toBe(down)
  })
})

describe('a value that is replaced', () => {
  const isFailure = httpIsFailure

  test.each([
    ['a fixed value', fallback({ value: 'other', isFailure })],
    ['a function', fallback({ use: () => 'other', isFailure })],
  ])('by %s is let go: its signal is aborted', async (_kind, policy) => {
    let tried: AbortSignal | undefined
    const work = ({ signal }: CallContext) => {
      tried = signal
      return { status: 503 }
    }
    expect(await policy.execute(work)).toBe('other')
    expect(tried?.aborted).toBe(true)
  })

  test('is let go also when use fails', async () => {
    let tried: AbortSignal | undefined
    const policy = fallback({ use: () => Promise.reject(new Error('second')), isFailure })
    const work = ({ signal }: CallContext) => {
      tried = signal
      return { status: 503 }
    }
    await expect(policy.execute(work)).rejects.toBeInstanceOf(FallbackError)
    expect(tried?.aborted).toBe(true)
  })

  test('can be read by use until that is done', async () => {
    const policy = fallback({
      isFailure,
      use: async (_error, value) => {
        await Promise.resolve()
        return (value as { signal: AbortSignal }).signal.aborted
      },
    })
    expect(await policy.execute(({ signal }) => ({ status: 503, signal }))).toBe(false)
  })

  test('and returned by use all the same is not let go', async () => {
    const policy = fallback({ use: (_error, value) => value as { status: number }, isFailure })
    const tail = Promise.resolve('its body')
    const call = new Call((context) => {
      context.waitUntil(tail)
      return { status: 503, signal: context.signal }
    }, undefined)
    const result = (await policy.wrap<{ signal: AbortSignal }>(invoke)(call)) as { signal: AbortSignal }
    expect(result.signal.aborted).toBe(false)
    expect(await call.tail).toBe('its body')
  })

  test('leaves its tail behind', async () => {
    const policy = fallback({ value: 'other', isFailure })
    const call = new Call((context) => {
      context.waitUntil(Promise.reject(new Error('body aborted')))
      return { status: 503 }
    }, undefined)
    await policy.wrap(invoke)(call)
    expect(call.tail).toBeUndefined()
  })
})

describe('the last good result', () => {
  test('answers for a failure of the same key while it is young enough', async () => {
    const runtime = virtualRuntime()
    const policy = fallback({ lastGood: { maxAge: '1m' }, runtime })
    await policy.execute(() => 'fresh', { key: 'a' })
    await runtime.clock.advance('1m')
    expect(await policy.execute(fail, { key: 'a' })).toBe('fresh')
    await expect(policy.execute(fail, { key: 'b' })).rejects.toBe(down)
    await runtime.clock.advance(1)
    await expect(policy.execute(fail, { key: 'a' })).rejects.toBe(down)
  })

  test('does not become younger by being used', async () => {
    const runtime = virtualRuntime()
    const policy = fallback({ lastGood: { maxAge: '1m' }, runtime })
    await policy.execute(() => 'fresh')
    await runtime.clock.advance('50s')
    expect(await policy.execute(fail)).toBe('fresh')
    await runtime.clock.advance('50s')
    await expect(policy.execute(fail)).rejects.toBe(down)
  })

  test('comes before a value, which answers when there is none', async () => {
    const runtime = virtualRuntime()
    const policy = fallback({ lastGood: { maxAge: '1m' }, value: 'default', runtime })
    expect(await policy.execute(fail)).toBe('default')
    await policy.execute(() => 7)
    expect(await policy.execute(fail)).toBe(7)
  })

  test('is never one that was judged a failure', async () => {
    const runtime = virtualRuntime()
    const policy = fallback({
      lastGood: { maxAge: '1m' },
      value: 'default',
      isFailure: httpIsFailure,
      runtime,
    })
    await policy.execute(() => ({ status: 503 }))
    expect(await policy.execute(fail)).toBe('default')
  })

  test('is kept for so many keys, and those used last', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), good: fc.boolean() }), {
          maxLength: 60,
          size: 'max',
        }),
        fc.integer({ min: 1, max: 4 }),
        async (calls, maxKeys) => {
          const policy = fallback({
            lastGood: { maxAge: '1m', maxKeys },
            value: 'none',
            runtime: virtualRuntime(),
          })
          // The model: a list, used last at the end.
          let model: { key: string; result: number }[] = []
          for (const [result, { key, good }] of calls.entries()) {
            const known = model.find((entry) => entry.key === key)
            const expected = good ? result : (known?.result ?? 'none')
            expect(await policy.execute(() => (good ? result : fail()), { key })).toBe(expected)
            if (good || known) {
              model = model.filter((entry) => entry !== known)
              model.push({ key, result: good ? result : known!.result })
              model = model.slice(-maxKeys)
            }
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})

test('each answer is counted with where it came from', async () => {
  const counts: unknown[] = []
  const telemetry: Telemetry = {
    ...noTelemetry,
    counter: (name, { attributes }) => ({
      add: (amount: number, more?: Attributes) => counts.push([name, amount, { ...attributes, ...more }]),
    }),
  }
  const runtime = virtualRuntime({ telemetry })
  const policies = [
    fallback({ name: 'fixed', value: 1, runtime }),
    fallback({ name: 'asked', use: () => 1, runtime }),
    fallback({ name: 'failed', use: () => Promise.reject(down), runtime }),
    fallback({ name: 'last', lastGood: { maxAge: 1 }, runtime }),
  ]
  for (const policy of policies) {
    await policy.execute(() => 1)
    await policy.execute(fail).catch(() => undefined)
  }
  const used = (policy: string, source: string) => [
    'banyan.fallback.used',
    1,
    { 'banyan.policy': policy, 'banyan.fallback.source': source },
  ]
  expect(counts).toEqual([used('fixed', 'value'), used('asked', 'use'), used('last', 'last_good')])
})

describe('options', () => {
  test.each<[object, RegExp]>([
    [{}, /one of value, use and lastGood is needed/],
    [{ value: 1, use: () => 1 }, /either value or use, not both/],
    [{ lastGood: {} }, /lastGood.maxAge must be/],
    [{ lastGood: { maxAge: '1m', maxKey: 1 } }, /did you mean `maxKeys`/],
    [{ use: 'text' }, /use must be a function/],
  ])('%j is refused', (options, message) => {
    expect(() => fallback(options)).toThrow(message)
  })
})
