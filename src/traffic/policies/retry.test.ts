import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualRuntime, type VirtualRuntime } from '../../testing/index.js'
import { retryBudget } from '../budget.js'
import { rejected, UpstreamError } from '../errors.js'
import { pipeline } from '../pipeline.js'
import { Call, httpIsFailure, invoke, type CallContext } from '../policy.js'
import { hedge } from './hedge.js'
import { retry, type RetryOptions } from './retry.js'

/** A retry without budget on a clock of its own, unless the test says otherwise. */
function setUp(options: RetryOptions = {}) {
  const runtime = virtualRuntime()
  return { runtime, clock: runtime.clock, policy: retry({ budget: false, runtime, ...options }) }
}

/** Work that fails until its nth try, and writes down when each began. */
function flaky(runtime: VirtualRuntime, goodFrom: number, error: () => unknown = () => new Error('down')) {
  const tries: { at: number; attempt: number; signal: AbortSignal }[] = []
  const work = (context: CallContext): Promise<string> => {
    tries.push({ at: runtime.clock.now(), attempt: context.attempt, signal: context.signal })
    return tries.length >= goodFrom ? Promise.resolve('good') : Promise.reject(error())
  }
  return { work, tries }
}

const NEVER = Infinity
const reset = (sent: boolean): UpstreamError => new UpstreamError('BANYAN_UPSTREAM_RESET', 'reset', sent)
const response = (status: number, retryAfter?: string) => ({
  status,
  headers: { get: (name: string) => (name === 'retry-after' ? (retryAfter ?? null) : null) },
})

describe('what is tried again', () => {
  test('a call that works is made once', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = flaky(runtime, 1)
    expect(await policy.execute(work)).toBe('good')
    expect(tries).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('a failed call is tried until it works, each try with its number', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 5 })
    const { work, tries } = flaky(runtime, 3)
    expect(await clock.settle(policy.execute(work))).toBe('good')
    expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  })

  test('after the last try its error is thrown as it is', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 3 })
    const errors = [new Error('first'), new Error('second'), new Error('third')]
    let index = 0
    const { work } = flaky(runtime, NEVER, () => errors[index++])
    await expect(clock.settle(policy.execute(work))).rejects.toBe(errors[2])
    expect(index).toBe(3)
  })

  test('after the last try its value is returned as it is, however bad', async () => {
    const { clock, policy } = setUp({ isFailure: httpIsFailure })
    const values = [response(500), response(502), response(503)]
    let index = 0
    expect(await clock.settle(policy.execute(() => values[index++]))).toBe(values[2])
  })

  test('work that throws before it returns a promise is retried as well', async () => {
    const { clock, policy } = setUp()
    let tries = 0
    const work = (): string => {
      if (++tries < 2) throw new Error('at once')
      return 'good'
    }
    expect(await clock.settle(policy.execute(work))).toBe('good')
  })

  test('a refusal is not retried: nothing failed', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = flaky(runtime, NEVER, () =>
      rejected('BANYAN_BREAKER_OPEN', 'open', 'breaker', 10),
    )
    await expect(clock.settle(policy.execute(work))).rejects.toThrow('open')
    expect(tries).toHaveLength(1)
  })

  test('a refusal is retried if isFailure says so', async () => {
    const { runtime, clock, policy } = setUp({ isFailure: (error) => error !== undefined })
    const { work, tries } = flaky(runtime, 2, () =>
      rejected('BANYAN_RATE_LIMITED', 'slow down', 'limit', 500),
    )
    expect(await clock.settle(policy.execute(work))).toBe('good')
    expect(tries[1]!.at).toBeGreaterThanOrEqual(500)
  })

  test('a call for which no time was left is never retried', async () => {
    const { runtime, clock, policy } = setUp({ isFailure: (error) => error !== undefined })
    const { work, tries } = flaky(runtime, NEVER, () =>
      rejected('BANYAN_DEADLINE_EXCEEDED', 'late', 'timeout'),
    )
    await expect(clock.settle(policy.execute(work))).rejects.toThrow('late')
    expect(tries).toHaveLength(1)
  })

  test.each([
    { after: 'an error of the work', error: new Error('down'), expected: 1 },
    { after: 'a connection that broke once the request was sent', error: reset(true), expected: 1 },
    { after: 'a connection that broke before anything was sent', error: reset(false), expected: 2 },
  ])('a call that must not be made twice has $expected tries after $after', async ({ error, expected }) => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = flaky(runtime, 2, () => error)
    await clock.settle(policy.execute(work, { idempotent: false }).catch(() => undefined))
    expect(tries).toHaveLength(expected)
  })

  test('a value of a call that must not be made twice is never retried', async () => {
    const { clock, policy } = setUp({ isFailure: httpIsFailure })
    let tries = 0
    const work = () => {
      tries++
      return response(503)
    }
    expect((await clock.settle(policy.execute(work, { idempotent: false }))).status).toBe(503)
    expect(tries).toBe(1)
  })

  test('an isFailure that throws fails the call with its error', async () => {
    const bug = new Error('bug in the predicate')
    const { clock, policy } = setUp({
      isFailure: () => {
        throw bug
      },
    })
    await expect(clock.settle(policy.execute(() => 'value'))).rejects.toBe(bug)
  })
})

describe('the wait between tries', () => {
  const jitter = fc.constantFrom('full' as const, 'decorrelated' as const, 'none' as const)

  test('stays within the bounds of its formula, and tries are never more than attempts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 500 }),
        fc.integer({ min: 0, max: 2_000 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 12 }),
        jitter,
        fc.integer(),
        async (base, max, factor, attempts, jitter, seed) => {
          const runtime = virtualRuntime({ seed })
          const policy = retry({ attempts, backoff: { base, max, factor, jitter }, budget: false, runtime })
          const { work, tries } = flaky(runtime, NEVER)
          await runtime.clock.settle(policy.execute(work).catch(() => undefined))
          expect(tries).toHaveLength(attempts)
          const longest = Math.max(base, max)
          let previous = base
          for (let index = 1; index < tries.length; index++) {
            const wait = tries[index]!.at - tries[index - 1]!.at
            const grown = Math.min(longest, base * factor ** (index - 1))
            const [least, most] =
              jitter === 'none'
                ? [grown, grown]
                : jitter === 'full'
                  ? [0, grown]
                  : [Math.min(base, longest), Math.min(longest, previous * 3)]
            expect(wait).toBeGreaterThanOrEqual(least - 1e-6)
            expect(wait).toBeLessThanOrEqual(most + 1e-6)
            previous = wait
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('full jitter uses the whole range', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 2, backoff: { base: 100 } })
    const waits: number[] = []
    for (let call = 0; call < 200; call++) {
      const { work, tries } = flaky(runtime, 2)
      await clock.settle(policy.execute(work))
      waits.push(tries[1]!.at - tries[0]!.at)
    }
    expect(Math.min(...waits)).toBeLessThan(5)
    expect(Math.max(...waits)).toBeGreaterThan(95)
    expect(waits.reduce((sum, wait) => sum + wait, 0) / waits.length).toBeCloseTo(50, -1)
  })

  test('stays finite however many tries there are', async () => {
    const { runtime, clock, policy } = setUp({
      attempts: 100,
      backoff: { factor: 100, jitter: 'none', max: '1s' },
    })
    const { work, tries } = flaky(runtime, NEVER)
    await expect(clock.settle(policy.execute(work))).rejects.toThrow('down')
    expect(tries[99]!.at - tries[98]!.at).toBe(1_000)
  })
})

describe('Retry-After', () => {
  const retried = async (header: string | undefined, options: RetryOptions = {}) => {
    const { clock, policy } = setUp({ attempts: 2, isFailure: httpIsFailure, ...options })
    const at: number[] = []
    const work = () => {
      at.push(clock.now())
      return response(at.length === 1 ? 503 : 200, header)
    }
    await clock.settle(policy.execute(work))
    return at.length === 2 ? at[1]! - at[0]! : undefined
  }

  test.each([
    ['seconds', '7', 7_000],
    ['a date as RFC 9110 writes it', 'Thu, 01 Jan 2026 00:00:09 GMT', 9_000],
    ['a date as RFC 850 wrote it', 'Thursday, 01-Jan-26 00:00:09 GMT', 9_000],
    ['a date as asctime wrote it', 'Thu Jan  1 00:00:09 2026', 9_000],
    ['a date that has passed', 'Thu, 01 Jan 2004 00:00:09 GMT', 0],
    ['a negative number, which means nothing', '-5', 0],
    ['a fraction, which means nothing', '1.5', 0],
    ['text that means nothing', 'soon', 0],
  ])('as %s is a floor for the wait', async (_form, header, floor) => {
    const wait = await retried(header)
    expect(wait).toBeGreaterThanOrEqual(floor)
    expect(wait).toBeLessThan(floor + 25)
  })

  test('in a fetch Response is found', async () => {
    const { clock, policy } = setUp({ attempts: 2, isFailure: httpIsFailure })
    const answers = [new Response(null, { status: 503, headers: { 'Retry-After': '3' } }), new Response('ok')]
    const result = await clock.settle(policy.execute(() => answers.shift()!))
    expect(result.status).toBe(200)
    expect(clock.now()).toBeGreaterThanOrEqual(3_000)
  })

  test('callers that were told the same time do not come back at the same time', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 2, backoff: { base: 100 } })
    const calls = Array.from({ length: 20 }, () => flaky(runtime, 2, () => ({ retryAfter: 1_000 })))
    await clock.settle(Promise.all(calls.map(({ work }) => policy.execute(work))))
    expect(new Set(calls.map(({ tries }) => tries[1]!.at)).size).toBeGreaterThan(15)
  })

  test.each([
    ['31 seconds', '31'],
    ['three centuries', '9999999999'],
    ['more than a number can hold', '1' + '0'.repeat(400)],
  ])('of %s, longer than maxRetryAfter, ends the tries at once', async (_length, header) => {
    expect(await retried(header)).toBeUndefined()
  })

  test('up to a maxRetryAfter of one’s own is waited for', async () => {
    expect(await retried('120', { maxRetryAfter: '2m' })).toBeGreaterThanOrEqual(120_000)
  })

  test.each([NaN, -1_000])('of an error that is %d ms does not hold up the next try', async (retryAfter) => {
    const { runtime, clock, policy } = setUp({ attempts: 2 })
    const { work, tries } = flaky(runtime, 2, () => Object.assign(new Error('odd'), { retryAfter }))
    expect(await clock.settle(policy.execute(work))).toBe('good')
    expect(tries[1]!.at).toBeLessThan(25)
  })
})

describe('the deadline and the caller', () => {
  test('no try begins at or after the deadline, and giving up does not wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer(),
        async (deadline, took, seed) => {
          const runtime = virtualRuntime({ seed })
          const { clock } = runtime
          const policy = retry({ attempts: 20, budget: false, runtime })
          const began: number[] = []
          let ended = 0
          const work = async (): Promise<never> => {
            began.push(clock.now())
            await new Promise<void>((resolve) => clock.schedule(clock.now() + took, resolve))
            ended = clock.now()
            throw new Error('down')
          }
          await clock.settle(policy.execute(work, { deadline }).catch(() => undefined))
          for (const at of began) expect(at).toBeLessThan(deadline)
          expect(clock.now()).toBe(ended)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a caller that gives up during the wait is answered at once, with its reason', async () => {
    const { runtime, clock, policy } = setUp({ backoff: { base: '10s', max: '10s', jitter: 'none' } })
    const { work, tries } = flaky(runtime, NEVER)
    const caller = new AbortController()
    const outcome = policy.execute(work, { signal: caller.signal }).catch((error: unknown) => error)
    await clock.advance(100)
    const reason = new Error('not interested any more')
    caller.abort(reason)
    expect(await outcome).toBe(reason)
    expect(tries).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('a call whose caller gave up during the try is not tried again', async () => {
    const { clock, policy } = setUp()
    const caller = new AbortController()
    let tries = 0
    const work = ({ signal }: CallContext): Promise<never> => {
      tries++
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    }
    const outcome = policy.execute(work, { signal: caller.signal }).catch((error: unknown) => error)
    caller.abort('bye')
    expect(await clock.settle(outcome)).toBe('bye')
    expect(tries).toBe(1)
  })

  test('leaves no listener on the caller’s signal', async () => {
    const { runtime, clock, policy } = setUp()
    const caller = new AbortController()
    let listeners = 0
    const { signal } = caller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    await clock.settle(policy.execute(flaky(runtime, 3).work, { signal }))
    expect(listeners).toBe(0)
  })
})

describe('the tries that are dropped', () => {
  test('are aborted when another follows, and the last one is not', async () => {
    const { clock, policy } = setUp({ isFailure: httpIsFailure })
    const signals: AbortSignal[] = []
    const work = ({ signal }: CallContext) => {
      signals.push(signal)
      return response(signals.length === 3 ? 200 : 503)
    }
    await clock.settle(policy.execute(work))
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
  })

  test('are aborted before the wait, not after it', async () => {
    const { runtime, clock, policy } = setUp({ backoff: { base: 1_000, jitter: 'none' } })
    const { work, tries } = flaky(runtime, 2)
    const outcome = policy.execute(work)
    await clock.advance(1)
    expect(tries.map(({ signal }) => signal.aborted)).toEqual([true])
    await clock.settle(outcome)
  })

  test('do not leave their tail to the call; the last one does', async () => {
    const { clock, policy } = setUp({ isFailure: httpIsFailure })
    const work = (context: CallContext) => {
      const first = context.attempt === 1
      context.waitUntil(first ? Promise.reject(new Error('body aborted')) : Promise.resolve('second body'))
      return response(first ? 503 : 200)
    }
    const call = new Call(work, undefined)
    await clock.settle(policy.wrap(invoke)(call))
    expect(await call.tail).toBe('second body')
  })
})

describe('the budget', () => {
  test('bounds what a storm of failing calls adds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 150 }),
        fc.constantFrom(0, 0.1, 0.5),
        fc.integer({ min: 0, max: 5 }),
        fc.integer(),
        async (calls, ratio, minimumPerSecond, seed) => {
          const runtime = virtualRuntime({ seed })
          const { clock } = runtime
          const policy = retry({ attempts: 4, budget: { ratio, minimumPerSecond, window: '1m' }, runtime })
          const { work, tries } = flaky(runtime, NEVER)
          const outcomes = Array.from({ length: calls }, () => policy.execute(work).catch(() => undefined))
          await clock.settle(Promise.all(outcomes))
          expect(tries.length - calls).toBeLessThanOrEqual(ratio * calls + minimumPerSecond * 60 + 1e-9)
        },
      ),
      { numRuns: 25 },
    )
  })

  test('by default allows a fifth of the calls and thirty more', async () => {
    const { runtime, clock, policy } = setUp({ budget: {}, attempts: 3 })
    const { work, tries } = flaky(runtime, NEVER)
    await clock.settle(
      Promise.all(Array.from({ length: 1_000 }, () => policy.execute(work).catch(() => undefined))),
    )
    expect(tries.length - 1_000).toBe(230)
  })

  test('once used up gives the failure back at once', async () => {
    const { runtime, clock, policy } = setUp({ budget: { ratio: 0, minimumPerSecond: 0 } })
    const { work, tries } = flaky(runtime, NEVER)
    await expect(clock.settle(policy.execute(work))).rejects.toThrow('down')
    expect(tries).toHaveLength(1)
    expect(clock.now()).toBe(0)
  })

  test('shared by two retries bounds both together', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ ratio: 0, minimumPerSecond: 1, window: '10s', runtime })
    const one = retry({ budget, runtime })
    const other = retry({ budget, runtime })
    const { work, tries } = flaky(runtime, NEVER)
    const outcomes = Array.from({ length: 20 }, (_, index) =>
      (index % 2 ? one : other).execute(work).catch(() => undefined),
    )
    await runtime.clock.settle(Promise.all(outcomes))
    expect(tries).toHaveLength(20 + 10)
  })

  test('shared with a hedge counts a call once, and not once for each policy and try', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ ratio: 1, minimumPerSecond: 0, runtime })
    const policy = pipeline(retry({ attempts: 2, budget, runtime }), hedge({ budget, delay: '1m', runtime }))
    const { work, tries } = flaky(runtime, NEVER)
    await runtime.clock.settle(policy.execute(work).catch(() => undefined))
    expect(tries).toHaveLength(2)
    expect(budget.balance).toBe(0)
  })
})

describe('options', () => {
  test.each<[object, RegExp]>([
    [{ attempts: 0 }, /attempts must be a whole number from 1 to 100/],
    [{ attempt: 3 }, /did you mean `attempts`/],
    [{ backoff: { jitter: 'some' } }, /backoff.jitter must be one of/],
    [{ backoff: { base: '25' } }, /backoff.base must be/],
    [{ budget: { ratoi: 1 } }, /did you mean `ratio`/],
    [{ budget: true }, /budget must be/],
  ])('%j is refused', (options, message) => {
    expect(() => retry(options)).toThrow(message)
  })
})
