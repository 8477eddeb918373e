import { describe, expect, expectTypeOf, test } from 'vitest'
import { virtualRuntime } from '../testing/index.js'
import { pipeline } from './pipeline.js'
import { fallback } from './policies/fallback.js'
import { retry } from './policies/retry.js'
import { timeout } from './policies/timeout.js'
import { Call, definePolicy, invoke, type CallContext, type Handler, type Policy } from './policy.js'

/** Writes down when a call passes it, and when it comes back. */
function traced(name: string, trace: string[]): Policy {
  return definePolicy(name, <T>(next: Handler<T>): Handler<T> => (call) => {
    trace.push(`into ${name}`)
    return next(call).finally(() => trace.push(`out of ${name}`))
  })
}

/** Looks at the call after its result, as a bulkhead does. */
function watching(seen: Call[]): Policy {
  return definePolicy('watch', <T>(next: Handler<T>): Handler<T> => (call) => {
    seen.push(call)
    return next(call)
  })
}

/** Lets every promise that can go on do so. */
const quiet = (): Promise<void> => virtualRuntime().clock.advance(0)

/** Counts the listeners on a signal. */
function countListeners(signal: AbortSignal): () => number {
  let count = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    count++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    count--
    remove(...args)
  }
  return () => count
}

describe('a pipeline', () => {
  test('puts the first policy outermost', async () => {
    const trace: string[] = []
    const policy = pipeline(traced('a', trace), traced('b', trace))
    await policy.execute(() => trace.push('work'))
    expect(trace).toEqual(['into a', 'into b', 'work', 'out of b', 'out of a'])
  })

  test('of nothing is the work itself', async () => {
    expect(await pipeline().execute(() => 1)).toBe(1)
  })

  test('is a policy: it can stand in another', async () => {
    const trace: string[] = []
    const inner = pipeline(traced('b', trace), traced('c', trace))
    await pipeline(traced('a', trace), inner, traced('d', trace)).execute(() => undefined)
    expect(trace.filter((line) => line.startsWith('into'))).toEqual(['into a', 'into b', 'into c', 'into d'])
  })

  test('is named after its policies', () => {
    expect(pipeline(traced('a', []), traced('b', [])).name).toBe('a > b')
  })

  test('returns what the work or one of its fallbacks returns, and its type says so', () => {
    const policy = pipeline(fallback({ value: 'other' as const }), retry())
    expectTypeOf(() => policy.execute(() => 1)).returns.resolves.toEqualTypeOf<number | 'other'>()
    expectTypeOf(() => pipeline(retry()).execute(() => 1)).returns.resolves.toEqualTypeOf<number>()
  })

  test('turns what the work throws at once into a rejection', async () => {
    const error = new Error('at once')
    const work = (): never => {
      throw error
    }
    await expect(pipeline(traced('a', [])).execute(work)).rejects.toBe(error)
  })

  test('may be used for many calls at a time, each with its own context', async () => {
    const policy = pipeline(retry(), timeout('10s'))
    const keys = await Promise.all(
      Array.from({ length: 20 }, (_, index) => policy.execute(({ key }) => key, { key: `key ${index}` })),
    )
    expect(keys).toEqual(Array.from({ length: 20 }, (_, index) => `key ${index}`))
  })

  test('tells the work everything the caller said', async () => {
    const subject = { path: '/orders' }
    const options = { key: 'tenant', deadline: 5_000, idempotent: true, subject }
    const runtime = virtualRuntime()
    const policy = pipeline(retry({ runtime }), timeout({ after: '9s', runtime }))
    const told = await policy.execute(({ key, deadline, idempotent, subject, attempt }) => {
      return { key, deadline, idempotent, subject, attempt }
    }, options)
    expect(told).toEqual({ ...options, attempt: 1 })
  })
})

describe('the caller’s cancellation', () => {
  const runtime = virtualRuntime()
  const policy = pipeline(retry({ runtime }), timeout({ after: '10s', runtime }))
  const untilAborted = ({ signal }: CallContext): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })

  test('reaches the work through every layer, with its reason', async () => {
    const caller = new AbortController()
    const outcome = policy.execute(untilAborted, { signal: caller.signal }).catch((error: unknown) => error)
    const reason = new Error('closed the tab')
    caller.abort(reason)
    expect(await outcome).toBe(reason)
  })

  test('before the call keeps it from being made', async () => {
    let made = 0
    const outcome = policy.execute(() => made++, { signal: AbortSignal.abort('too late') })
    expect(await outcome.catch((error: unknown) => error)).toBe('too late')
    expect(made).toBe(0)
  })

  test('is seen by a signal that is asked for only afterwards', async () => {
    const caller = new AbortController()
    const work = async (context: CallContext): Promise<boolean> => {
      await Promise.resolve()
      caller.abort()
      return context.signal.aborted
    }
    expect(await policy.execute(work, { signal: caller.signal })).toBe(true)
  })

  test('leaves no listener behind when the call has ended', async () => {
    const { signal } = new AbortController()
    const listeners = countListeners(signal)
    const counts = await policy.execute((context) => [context.signal.aborted, listeners()], { signal })
    expect(counts).toEqual([false, 1])
    expect(listeners()).toBe(0)
  })

  test('still reaches a body that streams after the result, and is let go when that ends', async () => {
    const caller = new AbortController()
    const listeners = countListeners(caller.signal)
    let end: () => void = () => undefined
    let signal: AbortSignal | undefined
    const work = (context: CallContext): void => {
      signal = context.signal
      context.waitUntil(new Promise<void>((resolve) => (end = resolve)))
    }
    await policy.execute(work, { signal: caller.signal })
    expect(listeners()).toBe(1)
    end()
    await runtime.clock.advance(0)
    expect(listeners()).toBe(0)

    await policy.execute(work, { signal: caller.signal })
    caller.abort('stop the body')
    expect(signal?.reason).toBe('stop the body')
  })
})

describe('a policy inside the work of another', () => {
  const runtime = virtualRuntime()

  test('takes its signal, deadline and key from the context it is given', async () => {
    const outer = timeout({ after: 100, runtime })
    const inner = pipeline(retry({ runtime }))
    const { clock } = runtime
    let signal: AbortSignal | undefined
    const outcome = outer.execute(
      (context) => {
        return inner.execute((nested) => {
          signal = nested.signal
          expect([nested.deadline, nested.key]).toEqual([clock.now() + 100, 'tenant'])
          return new Promise<never>(() => undefined)
        }, context)
      },
      { key: 'tenant' },
    )
    const error: unknown = await clock.settle(outcome.catch((error: unknown) => error))
    expect(signal?.reason).toBe(error)
  })

  test('makes no call when its context is cancelled already', async () => {
    let made = 0
    const caller = new AbortController()
    const outcome = pipeline().execute(
      (context) => {
        caller.abort('bye')
        return retry({ runtime }).execute(() => made++, context)
      },
      { signal: caller.signal },
    )
    expect(await outcome.catch((error: unknown) => error)).toBe('bye')
    expect(made).toBe(0)
  })

  test('hands its tail on to the outer call', async () => {
    const seen: Call[] = []
    await watching(seen).execute((context) => {
      return pipeline(timeout({ after: 100, runtime }), retry({ runtime })).execute((nested) => {
        nested.waitUntil(Promise.resolve('body'))
      }, context)
    })
    expect(await seen[0]!.tail).toBe('body')
  })
})

describe('waitUntil', () => {
  test('said twice waits for both', async () => {
    const call = new Call(() => undefined, undefined)
    let end: () => void = () => undefined
    call.waitUntil(Promise.resolve())
    call.waitUntil(new Promise<void>((resolve) => (end = resolve)))
    let ended = false
    void call.tail!.then(() => (ended = true))
    await quiet()
    expect(ended).toBe(false)
    end()
    await quiet()
    expect(ended).toBe(true)
  })

  test('said twice fails if either fails, but not before both have ended', async () => {
    const call = new Call(() => undefined, undefined)
    const error = new Error('body aborted')
    let end: () => void = () => undefined
    call.waitUntil(Promise.reject(error))
    call.waitUntil(new Promise<void>((resolve) => (end = resolve)))
    let outcome: unknown
    call.tail!.catch((failure: unknown) => (outcome = failure))
    await quiet()
    expect(outcome).toBeUndefined()
    end()
    await quiet()
    expect(outcome).toBe(error)
  })

  test('of the work itself is not forgotten when a policy inside the work ends', async () => {
    const seen: Call[] = []
    await watching(seen).execute(async (context) => {
      context.waitUntil(Promise.resolve('own body'))
      await timeout('1s').execute(() => undefined, context)
    })
    expect(await seen[0]!.tail).toBe('own body')
  })

  test('that nobody looks at may reject without harm', async () => {
    const unhandled: unknown[] = []
    const listener = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', listener)
    await pipeline(timeout('1s')).execute((context) =>
      context.waitUntil(Promise.reject(new Error('body aborted'))),
    )
    await quiet()
    process.off('unhandledRejection', listener)
    expect(unhandled).toEqual([])
  })
})

describe('a tree of calls', () => {
  const root = (): Call => new Call(() => undefined, undefined)

  test('is cancelled downwards, never upwards or sideways', () => {
    const parent = root()
    const [one, other] = [parent.fork(), parent.fork()]
    const grandchild = one.fork()
    one.cancel('lost')
    const state = [parent, one, other, grandchild].map(({ cancelled, reason }) => [cancelled, reason])
    expect(state).toEqual([
      [false, undefined],
      [true, 'lost'],
      [false, undefined],
      [true, 'lost'],
    ])
  })

  test('tells every listener below once, and those who come late at once', () => {
    const parent = root()
    const child = parent.fork()
    const told: string[] = []
    child.onCancel(() => told.push('first'))
    child.onCancel(() => told.push('second'))
    child.fork().onCancel(() => told.push('grandchild'))
    const forget = child.onCancel(() => told.push('never'))
    forget()
    parent.cancel('bye')
    parent.cancel('again')
    child.onCancel(() => told.push('late'))
    expect(told).toEqual(['first', 'second', 'grandchild', 'late'])
    expect(child.signal.reason).toBe('bye')
  })

  test('keeps the first reason', () => {
    const parent = root()
    const child = parent.fork()
    child.cancel('first')
    parent.cancel('second')
    expect(child.reason).toBe('first')
    expect(child.signal.reason).toBe('first')
  })

  test('does not tell a child that was released', () => {
    const parent = root()
    const child = parent.fork()
    const told: string[] = []
    child.onCancel(() => told.push('child'))
    parent.release(child)
    parent.cancel('bye')
    expect(told).toEqual([])
  })

  test('gives a dropped child the reason, and nothing of it to the parent', () => {
    const parent = root()
    const child = parent.fork()
    const { signal } = child
    child.waitUntil(Promise.reject(new Error('body aborted')))
    parent.drop(child, 'lost')
    expect(signal.reason).toBe('lost')
    expect(parent.tail).toBeUndefined()
  })

  test('inherits what is known of the call', () => {
    const subject = {}
    const parent = new Call(invoke as never, { key: 'k', deadline: 7, idempotent: false, subject })
    parent.attempt = 3
    const child = parent.fork().fork()
    expect(child).toMatchObject({ key: 'k', deadline: 7, idempotent: false, attempt: 3, subject })
  })
})
