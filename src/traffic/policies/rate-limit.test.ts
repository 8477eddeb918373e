import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualClock, virtualRuntime } from '../../testing/virtual-clock.js'
import {
  rateLimit,
  rateLimitHeaders,
  type RateLimit,
  type RateStore,
  type RateLimitOptions,
} from './rate-limit.js'

function setUp(options: RateLimitOptions) {
  const runtime = virtualRuntime()
  return { limit: rateLimit({ ...options, runtime }), clock: runtime.clock }
}

const waits = fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(400)), {
  minLength: 1,
  maxLength: 120,
  size: 'max',
})
const rate = fc.record({
  limit: fc.integer({ min: 1, max: 20 }),
  window: fc.integer({ min: 10, max: 1_000 }),
})

/** Times at which calls were allowed, one asked for after each wait. */
async function allowedTimes(options: RateLimitOptions, pauses: readonly number[]): Promise<number[]> {
  const { limit, clock } = setUp(options)
  const times: number[] = []
  for (const wait of pauses) {
    if (wait > 0) await clock.advance(wait)
    if (limit.take().allowed) times.push(clock.now())
  }
  return times
}

describe('token bucket', () => {
  test('in any time t at most burst + t x limit / window calls are allowed', async () => {
    await fc.assert(
      fc.asyncProperty(
        rate,
        fc.integer({ min: 1, max: 10 }),
        waits,
        async ({ limit, window }, burst, pauses) => {
          const times = await allowedTimes({ limit, window, burst }, pauses)
          let excess = -Infinity
          for (let from = 0; from < times.length; from++) {
            for (let to = from; to < times.length; to++) {
              const most = burst + ((times[to]! - times[from]!) * limit) / window
              excess = Math.max(excess, to - from + 1 - most)
            }
          }
          expect(excess).toBeLessThanOrEqual(1e-3)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('in any window at most burst + limit calls are allowed', async () => {
    await fc.assert(
      fc.asyncProperty(
        rate,
        fc.integer({ min: 1, max: 40 }),
        waits,
        async ({ limit, window }, burst, pauses) => {
          const times = await allowedTimes({ limit, window, burst }, pauses)
          for (const from of times) {
            const within = times.filter((time) => time >= from && time < from + window)
            expect(within.length).toBeLessThanOrEqual(limit + burst)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('allows the whole of a burst also after months, whatever the rate', () => {
    const months = 1e10 + 1 / 3
    for (const limit of [3, 7, 300, 3_000, 70_000]) {
      const runtime = { ...virtualRuntime(), clock: virtualClock({ start: months }) }
      const bucket = rateLimit({ limit, window: '1s', runtime })
      let allowed = 0
      while (bucket.take().allowed) allowed++
      expect(allowed).toBe(limit)
    }
  })

  test('lets a burst through after a pause, then the steady rate', async () => {
    const { limit, clock } = setUp({ limit: 10, window: '1s', burst: 3 })
    const take = (): boolean => limit.take().allowed
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false])
    await clock.advance(100)
    expect([take(), take()]).toEqual([true, false])
    await clock.advance('1h')
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false])
  })
})

describe('sliding window', () => {
  test('decides as a log of all calls does: this window, and what is left of the last', async () => {
    await fc.assert(
      fc.asyncProperty(rate, waits, async ({ limit, window }, pauses) => {
        const { limit: limiter, clock } = setUp({ limit, window, algorithm: 'sliding-window' })
        const log: number[] = []
        for (const wait of pauses) {
          await clock.advance(wait)
          const now = clock.now()
          const number = Math.floor(now / window)
          const current = log.filter((time) => Math.floor(time / window) === number).length
          const previous = log.filter((time) => Math.floor(time / window) === number - 1).length
          // In whole numbers, so that nothing is rounded.
          const free = (limit - current - 1) * window - previous * ((number + 1) * window - now)
          const { allowed } = limiter.take()
          expect(allowed).toBe(free >= 0)
          if (allowed) log.push(now)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('no window of the clock has more than the limit, any time of that length fewer than twice as many', async () => {
    await fc.assert(
      fc.asyncProperty(rate, waits, async ({ limit, window }, pauses) => {
        const times = await allowedTimes({ limit, window, algorithm: 'sliding-window' }, pauses)
        for (const from of times) {
          const fixed = times.filter((time) => Math.floor(time / window) === Math.floor(from / window))
          const moving = times.filter((time) => time >= from && time < from + window)
          expect(fixed.length).toBeLessThanOrEqual(limit)
          expect(moving.length).toBeLessThan(limit * 2)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('even traffic at the limit is allowed, a little above is cut to it', async () => {
    const even = await allowedTimes(
      { limit: 10, window: 1_000, algorithm: 'sliding-window' },
      Array.from({ length: 100 }, () => 100),
    )
    // The first call of a window meets the whole of the last one.
    expect(even.length).toBeGreaterThanOrEqual(90)
    const more = await allowedTimes(
      { limit: 10, window: 1_000, algorithm: 'sliding-window' },
      Array.from({ length: 200 }, () => 50),
    )
    expect(more.length).toBeGreaterThan(90)
    expect(more.length).toBeLessThanOrEqual(110)
  })
})

describe.each(['token-bucket', 'sliding-window'] as const)('%s', (algorithm) => {
  test('retryAfter is exact: allowed then, refused before', async () => {
    await fc.assert(
      fc.asyncProperty(rate, waits, async (options, pauses) => {
        const { limit, clock } = setUp({ ...options, algorithm })
        for (const wait of pauses) {
          if (wait > 0) await clock.advance(wait)
          const decision = limit.take()
          if (decision.allowed) continue
          expect(decision.retryAfter).toBeGreaterThan(0)
          await clock.advance(Math.max(0, decision.retryAfter - 0.01))
          expect(limit.peek().remaining).toBe(0)
          await clock.advance(0.02)
          expect(limit.take().allowed).toBe(true)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('keys do not touch each other', async () => {
    const { limit } = setUp({ limit: 1, window: '1m', algorithm })
    const call = (key: string): Promise<string> => limit.execute(() => key, { key })
    expect([await call('a'), await call('b')]).toEqual(['a', 'b'])
    await expect(call('a')).rejects.toMatchObject({ code: 'BANYAN_RATE_LIMITED' })
  })

  test('forgets the key that was not used for longest beyond the maximum', () => {
    const { limit } = setUp({ limit: 1, window: '1m', algorithm, maxKeys: 2 })
    for (const key of ['a', 'b', 'c']) limit.take(key)
    expect(limit.keys).toBe(2)
    expect([limit.take('c').allowed, limit.take('a').allowed]).toEqual([false, true])
  })

  test('does not forget a key that keeps being refused', () => {
    const { limit } = setUp({ limit: 1, window: '1m', algorithm, maxKeys: 2 })
    limit.take('eager')
    for (let other = 0; other < 10; other++) {
      limit.take(`other ${other}`)
      expect(limit.take('eager').allowed).toBe(false)
    }
  })

  test('a call of cost n takes as much as n calls', () => {
    const { limit } = setUp({ limit: 10, window: '1m', algorithm })
    expect(limit.take('key', 7)).toMatchObject({ allowed: true, remaining: 3 })
    expect(limit.take('key', 4)).toMatchObject({ allowed: false, remaining: 3 })
    expect(limit.take('key', 3)).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('a call that costs more than there ever is can never come', () => {
    const { limit } = setUp({ limit: 10, window: '1m', algorithm })
    expect(limit.take('key', 11)).toMatchObject({ allowed: false, remaining: 10, retryAfter: Infinity })
  })

  test.each([0, -1, NaN])('a cost of %d is refused', (cost) => {
    const { limit } = setUp({ limit: 10, window: '1m', algorithm })
    expect(() => limit.take('key', cost)).toThrow(`rateLimit: a cost must be above 0, got ${cost}`)
  })

  test('after resetAfter everything is available again, and not before', async () => {
    await fc.assert(
      fc.asyncProperty(rate, waits, async (options, pauses) => {
        const { limit, clock } = setUp({ ...options, algorithm })
        for (const wait of pauses) {
          await clock.advance(wait)
          limit.take()
        }
        const { resetAfter } = limit.peek()
        if (resetAfter > 0.01) {
          await clock.advance(resetAfter - 0.01)
          expect(limit.peek().resetAfter).toBeGreaterThan(0)
          await clock.advance(0.02)
        }
        expect(limit.peek()).toMatchObject({ remaining: options.limit, resetAfter: 0 })
      }),
      { numRuns: 100 },
    )
  })

  test('looking takes nothing', () => {
    const { limit } = setUp({ limit: 2, window: '1m', algorithm })
    for (let round = 0; round < 10; round++) expect(limit.peek().remaining).toBe(2)
    limit.take()
    expect(limit.peek()).toMatchObject({ remaining: 1, limit: 2, window: 60_000 })
  })
})

test('a refused call is not made, and the refusal says when the next may come', async () => {
  const { limit } = setUp({ limit: 2, window: '1s' })
  let made = 0
  const call = (): Promise<number> => limit.execute(() => ++made)
  await call()
  await call()
  await expect(call()).rejects.toMatchObject({
    code: 'BANYAN_RATE_LIMITED',
    retryAfter: 500,
    message: 'rateLimit: more than 2 calls in 1s; the next in 500ms',
  })
  expect(made).toBe(2)
})

describe('headers', () => {
  test('say the policy, what is left and when more comes', () => {
    const { limit } = setUp({ limit: 100, window: '1m', name: 'per client' })
    expect(rateLimitHeaders(limit.take())).toEqual({
      'RateLimit-Policy': '"per client";q=100;w=60',
      RateLimit: '"per client";r=99;t=1',
    })
  })

  test('of a refusal carry Retry-After, in whole seconds, never too early', () => {
    const { limit } = setUp({ limit: 1, window: 90_001 })
    limit.take()
    expect(rateLimitHeaders(limit.take())).toEqual({
      'RateLimit-Policy': '"rateLimit";q=1;w=91',
      RateLimit: '"rateLimit";r=0;t=91',
      'Retry-After': '91',
    })
  })

  test('of a state carry none, also when nothing is left', () => {
    const { limit } = setUp({ limit: 1, window: '90s' })
    limit.take()
    expect(rateLimitHeaders(limit.peek())).toEqual({
      'RateLimit-Policy': '"rateLimit";q=1;w=90',
      RateLimit: '"rateLimit";r=0;t=90',
    })
  })

  test('of a call that can never come carry no Retry-After', () => {
    const { limit } = setUp({ limit: 5, window: '90s' })
    expect(rateLimitHeaders(limit.take('', 6))).not.toHaveProperty('Retry-After')
  })

  test('tell a window of less than a second as the quota of a second', () => {
    const { limit } = setUp({ limit: 10, window: 100 })
    expect(rateLimitHeaders(limit.peek())['RateLimit-Policy']).toBe('"rateLimit";q=100;w=1')
  })

  test('are structured fields whatever the name', () => {
    const { limit } = setUp({ limit: 1, window: 1, name: 'a "b" \\ é' })
    expect(rateLimitHeaders(limit.peek())['RateLimit-Policy']).toBe('"a \\"b\\" \\\\ ?";q=1000;w=1')
  })
})

test.each([
  [{ limit: 0, window: 1 }, /limit must be a whole number of at least 1, got 0/],
  [{ limit: 1 }, /limit and window are needed/],
  [{ limit: 1, window: 1, algorithm: 'sliding-window', burst: 2 }, /burst belongs to the token bucket/],
])('%j is refused', (options, message) => {
  expect(() => rateLimit(options as RateLimitOptions)).toThrow(message)
})

describe('a store', () => {
  /** Two processes that count in one place, which can be out of reach. */
  function processes() {
    const runtime = virtualRuntime()
    const common = rateLimit({ limit: 3, window: '1m', algorithm: 'sliding-window', name: 'all', runtime })
    const place = { reachable: true }
    const store: RateStore = {
      take: (key) =>
        place.reachable ? Promise.resolve(common.take(key)) : Promise.reject(new Error('gone')),
    }
    const one = (): RateLimit =>
      rateLimit({ limit: 3, window: '1m', algorithm: 'sliding-window', name: 'own', store, runtime })
    return { runtime, place, both: [one(), one()] as const }
  }
  const call = (policy: RateLimit, key = 'k'): Promise<string> =>
    policy.execute(() => 'done', { key }).catch((error: unknown) => (error as { code: string }).code)

  test('lets several processes keep one limit together', async () => {
    const { both } = processes()
    const outcomes = await Promise.all([0, 1, 0, 1, 0, 1].map((index) => call(both[index]!)))
    expect(outcomes.filter((each) => each === 'done')).toHaveLength(3)
    expect(outcomes.filter((each) => each === 'BANYAN_RATE_LIMITED')).toHaveLength(3)
    expect(await call(both[0], 'another')).toBe('done')
  })

  test('that cannot tell leaves each process to count alone', async () => {
    const { both, place } = processes()
    place.reachable = false
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => call(both[0])))
    expect(outcomes.filter((each) => each === 'done')).toHaveLength(3)
  })

  test('is what the headers tell of', async () => {
    const { both, runtime } = processes()
    expect(both[1].peek('k').remaining).toBe(3)
    await call(both[0])
    await call(both[1])
    expect(both[1].peek('k')).toMatchObject({ name: 'all', remaining: 1 })
    await runtime.clock.advance(10_000)
    expect(both[1].peek('k').resetAfter).toBeLessThanOrEqual(110_000)
  })
})
