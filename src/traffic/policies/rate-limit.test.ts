import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { rateLimit, rateLimitHeaders, type RateLimitOptions } from './rate-limit.js'

function setUp(options: RateLimitOptions) {
  const runtime = virtualRuntime()
  return { limit: rateLimit({ ...options, runtime }), clock: runtime.clock }
}

const waits = fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(400)), { minLength: 1, maxLength: 120 })
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
          for (let from = 0; from < times.length; from++) {
            for (let to = from; to < times.length; to++) {
              const most = burst + ((times[to]! - times[from]!) * limit) / window
              expect(to - from + 1).toBeLessThanOrEqual(most + 1e-3)
            }
          }
        },
      ),
      { numRuns: 200 },
    )
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
  test('in any window of the clock at most the limit is allowed, and in any time of that length twice as many', async () => {
    await fc.assert(
      fc.asyncProperty(rate, waits, async ({ limit, window }, pauses) => {
        const times = await allowedTimes({ limit, window, algorithm: 'sliding-window' }, pauses)
        for (const from of times) {
          const fixed = times.filter((time) => Math.floor(time / window) === Math.floor(from / window))
          const moving = times.filter((time) => time >= from && time < from + window)
          expect(fixed.length).toBeLessThanOrEqual(limit)
          expect(moving.length).toBeLessThanOrEqual(limit * 2)
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
    const { limit } = setUp({ limit: 1, window: '90s' })
    limit.take()
    expect(rateLimitHeaders(limit.take())).toMatchObject({
      RateLimit: '"rateLimit";r=0;t=90',
      'Retry-After': '90',
    })
  })

  test('are structured fields whatever the name', () => {
    const { limit } = setUp({ limit: 1, window: 1, name: 'a "b" \\ é' })
    expect(rateLimitHeaders(limit.peek())['RateLimit-Policy']).toBe('"a \\"b\\" \\\\ ?";q=1;w=1')
  })
})

test.each([
  [{ limit: 0, window: 1 }, /limit must be a whole number of at least 1, got 0/],
  [{ limit: 1 }, /limit and window are needed/],
  [{ limit: 1, window: 1, algorithm: 'sliding-window', burst: 2 }, /burst belongs to the token bucket/],
])('%j is refused', (options, message) => {
  expect(() => rateLimit(options as RateLimitOptions)).toThrow(message)
})
