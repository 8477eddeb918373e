import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualClock, virtualRuntime } from '../testing/index.js'
import { budgetOf, retryBudget } from './budget.js'

const WINDOW = 1_000

/** What may happen to a budget. Times lie near the edges of the window and of its parts, where counting goes wrong. */
const count = fc.integer({ min: 1, max: 20 })
const step = fc.oneof(
  fc.record({ kind: fc.constant('request' as const), times: count }),
  fc.record({ kind: fc.constant('extra' as const), times: count }),
  fc.record({
    kind: fc.constant('time' as const),
    times: fc.oneof(
      fc.constantFrom(1, 49, 51, 99, 100, 899, 901, 949, 999, 1_000),
      fc.integer({ min: 1, max: 1_500 }),
    ),
  }),
)

describe('a retry budget', () => {
  test('never allows more extra tries than its formula, over any window that ends with one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.constantFrom(0, 0.1, 0.2, 0.5, 1),
        fc.constantFrom(0, 1, 3, 10),
        async (steps, ratio, minimumPerSecond) => {
          const runtime = virtualRuntime()
          const budget = retryBudget({ ratio, minimumPerSecond, window: WINDOW, runtime })
          const requests: number[] = []
          const extras: number[] = []
          for (const { kind, times } of steps) {
            if (kind === 'time') await runtime.clock.advance(times)
            const now = runtime.clock.now()
            const recent = (list: number[]): number => list.filter((at) => at > now - WINDOW).length
            for (let time = 0; time < times; time++) {
              if (kind === 'request') {
                budget.deposit()
                requests.push(now)
              } else if (kind === 'extra' && budget.withdraw()) {
                extras.push(now)
                expect(recent(extras)).toBeLessThanOrEqual(ratio * recent(requests) + minimumPerSecond + 1e-9)
              }
            }
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('allows the whole share when requests and extra tries come steadily', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ ratio: 0.2, minimumPerSecond: 0, window: WINDOW, runtime })
    let allowed = 0
    for (let request = 0; request < 5_000; request++) {
      budget.deposit()
      if (budget.withdraw()) allowed++
      if (request % 10 === 9) await runtime.clock.advance(10)
    }
    // The safe side of the edge of the window costs at most a fifth of the share.
    expect(allowed).toBeGreaterThanOrEqual(0.8 * 0.2 * 5_000)
    expect(allowed).toBeLessThanOrEqual(0.2 * 5_000)
  })

  test('allows a windowful of the minimum to a client that hardly calls', () => {
    const budget = retryBudget({ ratio: 0.2, minimumPerSecond: 3, window: '10s', runtime: virtualRuntime() })
    expect(budget.balance).toBe(30)
  })

  test('with no minimum and no requests allows nothing', () => {
    const budget = retryBudget({ minimumPerSecond: 0, runtime: virtualRuntime() })
    expect(budget.withdraw()).toBe(false)
    expect(budget.balance).toBe(0)
  })

  test('gets back what was spent once the window has passed', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ minimumPerSecond: 1, window: WINDOW, runtime })
    expect(budget.withdraw()).toBe(true)
    expect(budget.withdraw()).toBe(false)
    await runtime.clock.advance(WINDOW * 1.1)
    expect(budget.withdraw()).toBe(true)
  })

  test('forgets everything after a long silence', async () => {
    const runtime = virtualRuntime()
    const budget = retryBudget({ ratio: 1, minimumPerSecond: 0, window: WINDOW, runtime })
    for (let request = 0; request < 100; request++) budget.deposit()
    expect(budget.balance).toBe(100)
    await runtime.clock.advance('30d')
    expect(budget.balance).toBe(0)
  })

  test('counts right from any start of the clock', () => {
    const clock = virtualClock({ start: 123_456_789.25 })
    const budget = retryBudget({ ratio: 1, minimumPerSecond: 0, runtime: { ...virtualRuntime(), clock } })
    budget.deposit()
    expect(budget.withdraw()).toBe(true)
    expect(budget.withdraw()).toBe(false)
  })

  test('names an option it does not know', () => {
    expect(() => retryBudget({ ration: 0.1 } as never)).toThrow(
      /ration is not an option, did you mean `ratio`/,
    )
  })
})

describe('the budget option of a policy', () => {
  test('takes a shared budget as it is', () => {
    const shared = retryBudget()
    expect(budgetOf(shared, {}, virtualRuntime())).toBe(shared)
  })

  test('false means none', () => {
    expect(budgetOf(false, {}, virtualRuntime())).toBeUndefined()
  })

  test('what is not said comes from the defaults of the policy', () => {
    const runtime = virtualRuntime()
    const budget = budgetOf({ window: '1s' }, { ratio: 0, minimumPerSecond: 7 }, runtime)
    expect(budget?.balance).toBe(7)
  })
})
