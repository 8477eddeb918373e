import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.js'
import { virtualRuntime, type VirtualRuntime } from '../../testing/index.js'
import { retryBudget } from '../budget.js'
import { rejected } from '../errors.js'
import { Call, httpIsFailure, invoke, type CallContext } from '../policy.js'
import { hedge, type HedgeOptions } from './hedge.js'

/** A hedge after 100 ms without budget on a clock of its own, unless the test says otherwise. */
function setUp(options: HedgeOptions = {}) {
  const runtime = virtualRuntime()
  const policy = hedge({ delay: 100, budget: false, runtime, ...options })
  return { runtime, clock: runtime.clock, policy }
}

/** What a try of the work does, when, and what came of it. */
interface Try {
  context: CallContext
  at: number
  signal: AbortSignal
}

/** Work whose nth try (or later, if it is the last one planned) takes so long and then ends so; it honours its signal. */
function planned<T>(runtime: VirtualRuntime, plan: { ms: number; value?: T; error?: unknown }[]) {
  const tries: Try[] = []
  const work = (context: CallContext): Promise<T> => {
    const { signal } = context
    tries.push({ context, at: runtime.clock.now(), signal })
    const { ms, value, error } = plan[Math.min(tries.length, plan.length) - 1]!
    return new Promise((resolve, reject) => {
      const timer = runtime.clock.schedule(runtime.clock.now() + ms, () => {
        if (error === undefined) resolve(value as T)
        else reject(error)
      })
      signal.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason)
      })
    })
  }
  return { work, tries }
}

const SLOW = 100_000

describe('the race', () => {
  test('a call that is fast enough is made once', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = planned(runtime, [{ ms: 99, value: 'first' }])
    expect(await clock.settle(policy.execute(work))).toBe('first')
    expect(tries).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('a slow call gets a second try after the delay, and the faster one wins', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = planned(runtime, [
      { ms: SLOW, value: 'first' },
      { ms: 10, value: 'second' },
    ])
    expect(await clock.settle(policy.execute(work))).toBe('second')
    expect(tries.map(({ at }) => at)).toEqual([0, 100])
    expect(clock.now()).toBe(110)
  })

  test('the first try may still win after the second began', async () => {
    const { runtime, clock, policy } = setUp()
    const { work } = planned(runtime, [
      { ms: 150, value: 'first' },
      { ms: SLOW, value: 'second' },
    ])
    expect(await clock.settle(policy.execute(work))).toBe('first')
    expect(clock.now()).toBe(150)
  })

  test('losers are aborted at once and the winner is not', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 3 })
    const { work, tries } = planned(runtime, [
      { ms: SLOW, value: 1 },
      { ms: 120, value: 2 },
      { ms: SLOW, value: 3 },
    ])
    expect(await clock.settle(policy.execute(work))).toBe(2)
    expect(tries.map(({ signal }) => signal.aborted)).toEqual([true, false, true])
    expect(clock.pending).toBe(0)
  })

  test('each try has its number', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 3 })
    const { work, tries } = planned(runtime, [{ ms: SLOW }, { ms: SLOW }, { ms: 1, value: 'third' }])
    await clock.settle(policy.execute(work))
    expect(tries.map(({ context }) => context.attempt)).toEqual([1, 2, 3])
  })

  test('inside the second try of a retry the numbers go on from there', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = planned(runtime, [{ ms: SLOW }, { ms: 1 }])
    const call = new Call(work, undefined)
    call.attempt = 2
    await clock.settle(policy.wrap(invoke)(call))
    expect(tries.map(({ context }) => context.attempt)).toEqual([2, 3])
  })

  test('the caller’s cancellation reaches every try, and no other begins', async () => {
    const { runtime, clock, policy } = setUp({ attempts: 3 })
    const { work, tries } = planned(runtime, [{ ms: SLOW }, { ms: SLOW }, { ms: SLOW }])
    const caller = new AbortController()
    const outcome = policy.execute(work, { signal: caller.signal }).catch((error: unknown) => error)
    await clock.advance(150)
    caller.abort('bye')
    expect(await clock.settle(outcome)).toBe('bye')
    await clock.advance(1_000)
    expect(tries.map(({ signal }) => signal.aborted)).toEqual([true, true])
  })

  test('a call that must not be made twice is made once', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = planned(runtime, [{ ms: 500, value: 'only' }])
    expect(await clock.settle(policy.execute(work, { idempotent: false }))).toBe('only')
    expect(tries).toHaveLength(1)
  })

  test('no try begins at or after the deadline', async () => {
    const { runtime, clock, policy } = setUp()
    const { work, tries } = planned(runtime, [{ ms: 500, value: 'late' }])
    expect(await clock.settle(policy.execute(work, { deadline: 100 }))).toBe('late')
    expect(tries).toHaveLength(1)
  })

  test('the tail of the winner is the call’s, those of losers are not', async () => {
    const { runtime, clock, policy } = setUp()
    const { work } = planned(runtime, [{ ms: SLOW }, { ms: 10, value: 'second' }])
    const tailed = (context: CallContext): Promise<unknown> => {
      const first = context.attempt === 1
      context.waitUntil(first ? Promise.reject(new Error('body aborted')) : Promise.resolve('second body'))
      return work(context)
    }
    const call = new Call(tailed, undefined)
    expect(await clock.settle(policy.wrap(invoke)(call))).toBe('second')
    expect(await call.tail).toBe('second body')
  })
})

describe('failures', () => {
  test('of a try that is alone end the call: they are the business of retry', async () => {
    const { runtime, clock, policy } = setUp()
    const error = new Error('down')
    const { work, tries } = planned(runtime, [{ ms: 10, error }])
    await expect(clock.settle(policy.execute(work))).rejects.toBe(error)
    expect(tries).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })

  test('of one try while another runs are waited out', async () => {
    const { runtime, clock, policy } = setUp()
    const { work } = planned(runtime, [
      { ms: 120, error: new Error('down') },
      { ms: 300, value: 'second' },
    ])
    expect(await clock.settle(policy.execute(work))).toBe('second')
  })

  test('of all tries give the last one to come', async () => {
    const { runtime, clock, policy } = setUp()
    const last = new Error('the first try, failed last')
    const { work } = planned(runtime, [
      { ms: 300, error: last },
      { ms: 10, error: new Error('the second try') },
    ])
    await expect(clock.settle(policy.execute(work))).rejects.toBe(last)
  })

  test('that are values lose to a good one and are aborted', async () => {
    const { runtime, clock, policy } = setUp({ isFailure: httpIsFailure })
    const { work, tries } = planned(runtime, [
      { ms: 120, value: { status: 503 } },
      { ms: 300, value: { status: 200 } },
    ])
    expect(await clock.settle(policy.execute(work))).toEqual({ status: 200 })
    expect(tries.map(({ signal }) => signal.aborted)).toEqual([true, false])
  })

  test('that are values are returned if nothing better comes', async () => {
    const { runtime, clock, policy } = setUp({ isFailure: httpIsFailure })
    const { work, tries } = planned(runtime, [{ ms: 20, value: { status: 503 } }])
    expect(await clock.settle(policy.execute(work))).toEqual({ status: 503 })
    expect(tries[0]!.signal.aborted).toBe(false)
  })

  test('refusals lose too', async () => {
    const { runtime, clock, policy } = setUp()
    const { work } = planned(runtime, [
      { ms: 300, value: 'first' },
      { ms: 0, error: rejected('BANYAN_BULKHEAD_FULL', 'full', 'bulkhead') },
    ])
    expect(await clock.settle(policy.execute(work))).toBe('first')
  })

  test('an isFailure that throws fails the call with its error', async () => {
    const bug = new Error('bug in the predicate')
    const { runtime, clock, policy } = setUp({
      isFailure: () => {
        throw bug
      },
    })
    const { work } = planned(runtime, [{ ms: 10, value: 'first' }])
    await expect(clock.settle(policy.execute(work))).rejects.toBe(bug)
  })
})

describe('whatever the tries do', () => {
  interface Planned {
    ms: number
    good: boolean
  }

  /** The model: try n begins n delays after the first, unless the call is over by then. */
  const model = (plan: Planned[], attempts: number, delay: number) => {
    for (let begun = 1; ; begun++) {
      const ends = plan.slice(0, begun).map(({ ms }, index) => index * delay + ms)
      const good = ends.filter((_, index) => plan[index]!.good)
      const over = good.length > 0 ? Math.min(...good) : Math.max(...ends)
      if (begun === attempts || over < begun * delay) return { begun, over, decisive: ends.indexOf(over) }
    }
  }

  test('the first good result wins, everything else is aborted, nothing is left behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ tens: fc.integer({ min: 0, max: 40 }), good: fc.boolean() }), {
          minLength: 4,
          maxLength: 4,
        }),
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 15 }),
        async (outcomes, attempts, delayTens) => {
          // The last digit keeps any two events from happening at the same instant.
          const plan = outcomes.map(({ tens, good }, index) => ({ ms: tens * 10 + index + 1, good }))
          const delay = delayTens * 10
          const { runtime, clock, policy } = setUp({ attempts, delay })
          const { work, tries } = planned(
            runtime,
            plan.map(({ ms, good }, index) =>
              good ? { ms, value: index } : { ms, error: `error ${index}` },
            ),
          )
          const result = await clock.settle(policy.execute(work).catch((error: unknown) => error))

          const { begun, over, decisive } = model(plan, attempts, delay)
          expect(clock.now()).toBe(over)
          expect(result).toBe(plan[decisive]!.good ? decisive : `error ${decisive}`)
          const aborted = tries.map(({ signal }) => signal.aborted)
          expect(aborted).toEqual(Array.from({ length: begun }, (_, index) => index !== decisive))
          expect(clock.pending).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('the percentile', () => {
  /** Makes calls one after another, each of which takes what `latency` says; returns the share that was hedged. */
  async function shareHedged(options: HedgeOptions, calls: number, latency: (call: number) => number) {
    const runtime = virtualRuntime()
    const policy = hedge({ budget: false, runtime, ...options })
    let hedges = 0
    for (let index = 0; index < calls; index++) {
      let tries = 0
      await runtime.clock.settle(
        policy.execute(({ signal }) => {
          if (++tries > 1) hedges++
          return planned(runtime, [{ ms: latency(index) }]).work({ signal } as CallContext)
        }),
      )
    }
    return hedges / calls
  }

  test('hedges the share of calls it says, and the calls that hedges win do not move it', async () => {
    // One try in five hangs, and a hedge wins nearly all of these calls.
    const random = seededRandom(7)
    const latency = (): number => (random.next() < 1 / 5 ? 2_000 : 10 + 90 * random.next())
    const share = await shareHedged({ percentile: 0.75 }, 2_000, latency)
    expect(share).toBeGreaterThan(0.2)
    expect(share).toBeLessThan(0.3)
  })

  test('does not hedge calls that all take the same time', async () => {
    expect(await shareHedged({}, 500, () => 10)).toBe(0)
  })

  test('is not trusted before there are enough calls', async () => {
    expect(await shareHedged({ minimumCalls: 50 }, 50, (call) => (call === 49 ? 5_000 : 10))).toBe(0)
    expect(await shareHedged({ minimumCalls: 50 }, 51, (call) => (call === 50 ? 5_000 : 10))).toBe(1 / 51)
  })

  test('is never below the minimum delay', async () => {
    const latency = (call: number): number => (call < 40 ? 1 : 20)
    expect(await shareHedged({ minimumDelay: 15 }, 41, latency)).toBe(1 / 41)
    expect(await shareHedged({ minimumDelay: 25 }, 41, latency)).toBe(0)
  })

  test('follows a service that has become slower for good', async () => {
    const share = await shareHedged({ percentile: 0.9 }, 1_000, (call) =>
      call < 100 ? 10 : 40 + (call % 20),
    )
    expect(share).toBeLessThan(0.2)
  })

  test('is not learned from failures', async () => {
    const runtime = virtualRuntime()
    const policy = hedge({ budget: false, minimumCalls: 5, runtime })
    for (let call = 0; call < 50; call++) {
      const { work } = planned(runtime, [{ ms: 3, error: new Error('down') }])
      await runtime.clock.settle(policy.execute(work).catch(() => undefined))
    }
    const { work, tries } = planned(runtime, [{ ms: 1_000 }])
    await runtime.clock.settle(policy.execute(work))
    expect(tries).toHaveLength(1)
  })

  test('forgets what is older than its memory', async () => {
    const runtime = virtualRuntime()
    const policy = hedge({ budget: false, runtime })
    const call = async (ms: number): Promise<number> => {
      const { work, tries } = planned(runtime, [{ ms }, { ms }])
      await runtime.clock.settle(policy.execute(work))
      return tries.length
    }
    for (let index = 0; index < 40; index++) await call(5)
    await runtime.clock.advance('1h')
    await call(5)
    expect(await call(1_000)).toBe(1)
  })
})

describe('the budget', () => {
  test('bounds what hedges add when everything becomes slow', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 120 }),
        fc.constantFrom(0, 0.05, 0.5),
        fc.integer({ min: 0, max: 3 }),
        async (calls, ratio, minimumPerSecond) => {
          const { runtime, clock, policy } = setUp({ budget: { ratio, minimumPerSecond, window: '10s' } })
          let tries = 0
          const work = (context: CallContext): Promise<unknown> => {
            tries++
            return planned(runtime, [{ ms: 1_000 }]).work(context)
          }
          await clock.settle(Promise.all(Array.from({ length: calls }, () => policy.execute(work))))
          expect(tries - calls).toBeLessThanOrEqual(ratio * calls + minimumPerSecond * 10 + 1e-9)
        },
      ),
      { numRuns: 25 },
    )
  })

  test('that is used up leaves the first try alone', async () => {
    const { runtime, clock, policy } = setUp({ budget: { ratio: 0, minimumPerSecond: 0 } })
    const { work, tries } = planned(runtime, [{ ms: 500, value: 'first' }])
    expect(await clock.settle(policy.execute(work))).toBe('first')
    expect(tries).toHaveLength(1)
  })

  test('may be shared with others', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ ratio: 0, minimumPerSecond: 1, window: '1s', runtime })
    const policy = hedge({ delay: 100, budget, runtime })
    expect(budget.withdraw()).toBe(true)
    const { work, tries } = planned(runtime, [{ ms: 500 }])
    await runtime.clock.settle(policy.execute(work))
    expect(tries).toHaveLength(1)
  })
})

describe('options', () => {
  test.each<[object, RegExp]>([
    [{ attempts: 1 }, /attempts must be a whole number from 2 to 10/],
    [{ percentile: 95 }, /percentile must be a number from 0.5 to 0.999/],
    [{ delay: 5, percentile: 0.9 }, /takes either `delay` or `percentile`, not both/],
    [{ delai: 5 }, /did you mean `delay`/],
  ])('%j is refused', (options, message) => {
    expect(() => hedge(options)).toThrow(message)
  })
})
