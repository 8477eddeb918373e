import { describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { parseExpected, type HealthCheckOptions } from './check-options.js'
import { CheckPlan, HealthCheck } from './health-check.js'

function setUp(options: Partial<HealthCheckOptions> = {}, seed = 1) {
  const runtime = virtualRuntime({ seed })
  const { clock } = runtime
  const asked: number[] = []
  const changes: string[] = []
  const probe = { answer: 'good' as 'good' | 'bad' | 'never', cancelled: 0 }
  const check = new HealthCheck(
    new CheckPlan({ tcp: true, jitter: 0, ...options }),
    (onCancel) => {
      asked.push(clock.now())
      onCancel(() => probe.cancelled++)
      if (probe.answer === 'never') return new Promise(() => undefined)
      return probe.answer === 'good' ? Promise.resolve() : Promise.reject(new Error('answered 500'))
    },
    runtime,
    {
      onCheck: () => undefined,
      onHealth: (from, to, why) => changes.push(`${from} -> ${to}: ${why}`),
    },
  )
  return { check, probe, clock, asked, changes }
}

test('a healthy endpoint is unhealthy after three failed checks, and healthy again after two that pass', async () => {
  const { check, probe, clock, changes } = setUp()
  check.start()
  await clock.advance('20s')
  expect(check.state).toBe('healthy')
  probe.answer = 'bad'
  await clock.advance('10s')
  expect(check.state).toBe('healthy')
  await clock.advance('5s')
  expect(check.state).toBe('unhealthy')
  probe.answer = 'good'
  await clock.advance('5s')
  expect(check.state).toBe('unhealthy')
  await clock.advance('5s')
  expect(check.state).toBe('healthy')
  expect(changes).toEqual(['healthy -> unhealthy: answered 500', 'unhealthy -> healthy: its checks pass'])
  check.close()
})

test('failures count in a row only', async () => {
  const { check, probe, clock } = setUp()
  check.start()
  for (let each = 0; each < 12; each++) {
    probe.answer = each % 3 === 2 ? 'good' : 'bad'
    await clock.advance('5s')
  }
  expect(check.state).toBe('healthy')
  check.close()
})

describe('before the first check', () => {
  test('an endpoint takes requests, if it is so', () => {
    expect(setUp().check.state).toBe('healthy')
  })

  test.each([
    ['good', 'healthy'],
    ['bad', 'unhealthy'],
  ] as const)('it waits, if it is so; one that is %s decides at once', async (answer, state) => {
    const { check, probe, clock, asked } = setUp({ initially: 'unhealthy' })
    probe.answer = answer
    expect(check.state).toBe('pending')
    check.start()
    await clock.advance(0)
    expect(asked).toEqual([0])
    expect(check.state).toBe(state)
    check.close()
  })
})

test('a check that takes too long has failed, and is given up', async () => {
  const { check, probe, clock } = setUp({ interval: '2s', timeout: '500ms', unhealthyAfter: 1 })
  probe.answer = 'never'
  check.start()
  await clock.advance('2500ms')
  expect(check.snapshot()).toMatchObject({ state: 'unhealthy', took: 500, error: 'no answer within 500ms' })
  expect(probe.cancelled).toBeGreaterThan(0)
  check.close()
})

test('checks of many endpoints spread over the interval', async () => {
  const first = await Promise.all(
    Array.from({ length: 100 }, async (_, seed) => {
      const { check, clock, asked } = setUp({}, seed)
      check.start()
      await clock.advance('5s')
      check.close()
      return asked[0]!
    }),
  )
  for (let second = 0; second < 5; second++) {
    const within = first.filter((at) => at >= second * 1000 && at < (second + 1) * 1000)
    expect(within.length).toBeGreaterThan(8)
  }
})

test('intervals differ by chance, but not by more than they may', async () => {
  const { check, clock, asked } = setUp({ jitter: 0.2 })
  check.start()
  await clock.advance('5m')
  check.close()
  const intervals = asked.slice(1).map((at, index) => at - asked[index]!)
  expect(Math.min(...intervals)).toBeGreaterThanOrEqual(4_000)
  expect(Math.max(...intervals)).toBeLessThanOrEqual(6_000)
  expect(new Set(intervals).size).toBe(intervals.length)
})

test('after close nothing is asked, and nothing waits', async () => {
  const { check, probe, clock, asked } = setUp()
  check.start()
  probe.answer = 'never'
  await clock.advance('5s')
  check.close()
  const times = asked.length
  expect(probe.cancelled).toBe(1)
  await clock.advance('1m')
  expect(asked.length).toBe(times)
  expect(clock.pending).toBe(0)
})

test('a snapshot tells when, how long, and why', async () => {
  const { check, probe, clock } = setUp()
  check.start()
  expect(check.snapshot()).toEqual({ state: 'healthy', since: clock.wall() })
  probe.answer = 'bad'
  await clock.advance('5s')
  expect(check.snapshot()).toMatchObject({ state: 'healthy', took: 0, error: 'answered 500' })
  check.close()
})

describe('options', () => {
  test.each([
    [{}, 'needs one of'],
    [{ tcp: true, grpc: {} }, 'needs one of'],
    [{ tcp: true, interval: '1s', timeout: '2s' }, 'timeout must not be longer'],
    [{ tcp: true, healthyAfter: 0 }, 'healthyAfter must be'],
    [{ http: { path: '/', expected: 200 } }, 'http.expected is not an option, did you mean `expect`'],
  ])('%j is refused', (options, message) => {
    expect(() => new CheckPlan(options as HealthCheckOptions)).toThrow(message)
  })

  test.each([
    [undefined, [[200, 299]]],
    [204, [[204, 204]]],
    ['200-399', [[200, 399]]],
    [
      [200, '300-399'],
      [
        [200, 200],
        [300, 399],
      ],
    ],
  ])('the statuses %j are understood', (expect_, ranges) => {
    expect(parseExpected(expect_ as never)).toEqual(ranges)
  })

  test.each(['2xx', '200-', '300-200', 99, '600'])('%j is no status', (wrong) => {
    expect(() => parseExpected(wrong)).toThrow('must be a status such as 204')
  })
})
