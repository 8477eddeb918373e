import { afterEach, describe, expect, test } from 'vitest'
import { noTelemetry, type Telemetry } from '../../src/core/telemetry.js'
import { virtualRuntime } from '../../src/testing/virtual-clock.js'
import {
  Gateway,
  type GatewayOptions,
  type GatewaySpec,
  type ServiceSpec,
} from '../../src/traffic/gateway/index.js'
import { FleetMember, until } from '../support/fleet.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

async function setUp(
  size: number,
  service: (urls: string[]) => Partial<ServiceSpec>,
  more: Partial<GatewaySpec> = {},
  options: GatewayOptions = {},
) {
  const fleet = await Promise.all(Array.from({ length: size }, () => FleetMember.open()))
  const urls = fleet.map(({ url }) => url)
  const spec: GatewaySpec = {
    services: { s: { endpoints: urls, ...service(urls) } },
    routes: { all: { match: {}, to: 's' } },
    ...more,
  }
  const gateway = await Gateway.open(spec, options)
  open.push(gateway)
  const { port } = await gateway.listen(0)
  const ask = async (headers: Record<string, string> = {}): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
    await response.arrayBuffer()
    return response.status
  }
  const askTimes = async (times: number): Promise<number[]> => {
    const statuses: number[] = []
    for (let each = 0; each < times; each++) statuses.push(await ask())
    return statuses
  }
  /** What each endpoint gets of so many requests. */
  const shares = async (times: number): Promise<number[]> => {
    for (const member of fleet) member.requests = 0
    await askTimes(times)
    return fleet.map(({ requests }) => requests / times)
  }
  const state = () => gateway.state().services['s']!
  return { fleet, urls, spec, gateway, ask, askTimes, shares, state }
}

describe('one of five endpoints that turns bad', () => {
  test('is ejected after five failures, stays out for its time, and comes back slowly', async () => {
    const runtime = virtualRuntime()
    const { fleet, askTimes, shares, state } = await setUp(
      5,
      () => ({ outliers: { jitter: 0 }, slowStart: { over: '20s' }, balance: 'round-robin' }),
      {},
      { runtime },
    )
    expect(await shares(100)).toEqual([0.2, 0.2, 0.2, 0.2, 0.2])
    fleet[0]!.fail()
    expect((await askTimes(200)).filter((status) => status === 500)).toHaveLength(5)
    expect(state().endpoints[0]).toMatchObject({
      ready: false,
      available: false,
      ejection: { reason: { code: 'consecutive-errors' }, until: runtime.clock.wall() + 30_000 },
    })
    expect(state().health).toEqual({ pending: 0, unhealthy: 0, ejected: 1, available: 4 })
    fleet[0]!.recover()
    expect((await shares(40))[0]).toBe(0)

    await runtime.clock.advance('30s')
    expect(state().endpoints[0]).toMatchObject({ ready: true, share: 0.1 })
    expect((await shares(205))[0]).toBeCloseTo(0.1 / 4.1, 2)
    await runtime.clock.advance('10s')
    expect((await shares(180))[0]).toBeCloseTo(0.5 / 4.5, 2)
    await runtime.clock.advance('10s')
    expect((await shares(200))[0]).toBeCloseTo(0.2)
  })

  test('is hardly noticed by clients whose requests are tried again', async () => {
    const { fleet, ask, state } = await setUp(
      5,
      () => ({
        policy: 'p',
        outliers: { consecutiveErrors: false, consecutiveGatewayErrors: 3, baseEjection: '10m' },
      }),
      { policies: { p: { timeout: '5s', retry: { attempts: 2, backoff: { base: 1, max: 1 } } } } },
    )
    fleet[2]!.answer = (response) => response.writeHead(503).end()
    const statuses = await Promise.all(Array.from({ length: 100 }, () => ask()))
    expect(statuses.filter((status) => status !== 200).length).toBeLessThanOrEqual(2)
    expect(state().endpoints[2]!.ejection?.reason.code).toBe('consecutive-gateway-errors')
    const before = fleet[2]!.requests
    await Promise.all(Array.from({ length: 20 }, () => ask()))
    expect(fleet[2]!.requests).toBe(before)
  })

  test('or slow, is ejected when latencies are compared', async () => {
    const { fleet, ask, state } = await setUp(5, () => ({
      balance: 'round-robin',
      outliers: { interval: '200ms', baseEjection: '10m', latency: { minimumRequests: 5, margin: '20ms' } },
    }))
    fleet[4]!.answer = (response) => setTimeout(() => response.end('late'), 60)
    while (!state().endpoints[4]!.ejection) await Promise.all(Array.from({ length: 50 }, () => ask()))
    expect(state().endpoints[4]!.ejection?.reason.code).toBe('latency')
    expect(state().health.ejected).toBe(1)
  })

  test('is left to its breaker, if it has one that acts', async () => {
    const { fleet, askTimes, state } = await setUp(
      5,
      () => ({ policy: 'p', outliers: true, balance: 'round-robin' }),
      { policies: { p: { breaker: { consecutiveFailures: 3, openFor: '10m' } } } },
    )
    fleet[0]!.fail()
    await askTimes(50)
    expect(state().endpoints[0]).toMatchObject({ ready: false, available: true, ejection: undefined })
    expect(state().endpoints[0]!.breaker?.state).toBe('open')
    fleet[1]!.answer = (response) => response.destroy()
    await askTimes(50)
    expect(state().endpoints.filter(({ ejection }) => ejection)).toEqual([])
  })

  test('comes back after its breaker by the slower of both ramps', async () => {
    const runtime = virtualRuntime()
    const { fleet, askTimes, shares, state } = await setUp(
      5,
      () => ({ policy: 'p', slowStart: { over: '20s' }, balance: 'round-robin' }),
      { policies: { p: { breaker: { consecutiveFailures: 3, openFor: '5s', rampUp: '5s' } } } },
      { runtime },
    )
    fleet[0]!.fail()
    await askTimes(20)
    fleet[0]!.recover()
    await runtime.clock.advance('5s')
    await askTimes(15)
    expect(state().endpoints[0]!.breaker).toMatchObject({ state: 'half-open', phase: 'ramping' })
    await runtime.clock.advance('2500ms')
    // The breaker would let half of its part through, the slow start an eighth.
    const [early] = await shares(800)
    expect(early).toBeGreaterThan(0.02)
    expect(early).toBeLessThan(0.04)
    await runtime.clock.advance('7500ms')
    expect((await shares(225))[0]).toBeCloseTo(0.5 / 4.5, 2)
  })

  test('is only reported in a dry run', async () => {
    const lines: string[] = []
    const telemetry = { ...noTelemetry, log: (_: string, message: string) => lines.push(message) }
    const { fleet, shares, state } = await setUp(
      5,
      () => ({ outliers: { dryRun: true, jitter: 0 }, balance: 'round-robin' }),
      {},
      { runtime: virtualRuntime({ telemetry }) },
    )
    fleet[0]!.fail()
    await shares(30)
    expect((await shares(50))[0]).toBe(0.2)
    expect(state().endpoints[0]).toMatchObject({ available: true, ejection: { dryRun: true } })
    expect(lines).toEqual(['endpoint ejected for 30s (dry run)'])
  })
})

describe('active checks', () => {
  // No check is over time before the time is moved again, however slow the machine.
  const health = { http: { path: '/healthz' }, timeout: '5s', jitter: 0 } as const

  async function checked(size: number, service: Partial<ServiceSpec> = {}) {
    const runtime = virtualRuntime()
    const set = await setUp(size, () => ({ health, balance: 'round-robin', ...service }), {}, { runtime })
    /** Lets endpoints be checked so many times. */
    const check = async (times: number, which = set.fleet.map((_, index) => index)): Promise<void> => {
      const checkedAt = (): (number | undefined)[] =>
        which.map((index) => set.state().endpoints[index]!.health!.checkedAt)
      for (let each = 0; each < times; each++) {
        const before = checkedAt()
        await runtime.clock.advance('5s')
        await until(() => checkedAt().every((at, index) => at !== before[index]))
      }
    }
    return { ...set, check, clock: runtime.clock }
  }

  test('take an endpoint out that fails them, and bring it back; requests do not count them', async () => {
    const { fleet, shares, state, check } = await checked(4)
    fleet[1]!.health = 500
    await check(3)
    expect(state().endpoints[1]).toMatchObject({
      ready: false,
      requests: 0,
      health: { state: 'unhealthy', error: 'answered 500, not 200-299' },
    })
    expect(fleet[1]!.checks).toBe(3)
    expect((await shares(30))[1]).toBe(0)
    fleet[1]!.health = 200
    await check(2)
    expect(state().endpoints[1]!.health).toMatchObject({ state: 'healthy' })
    expect((await shares(40))[1]).toBe(0.25)
  })

  test('notice one that hangs, and one that is gone', async () => {
    const { fleet, state, check } = await checked(3)
    fleet[0]!.health = 0
    await fleet[1]!.close()
    // The first check of the one that hangs is over when its second begins.
    await check(4, [1, 2])
    expect(state().endpoints.map(({ health }) => health!.state)).toEqual([
      'unhealthy',
      'unhealthy',
      'healthy',
    ])
    expect(state().endpoints.map(({ health }) => health!.error)).toEqual([
      'no answer within 5s',
      expect.stringContaining('ECONNREFUSED'),
      undefined,
    ])
  })

  test('that pass end an ejection', async () => {
    const { fleet, askTimes, state, check } = await checked(4, { outliers: { baseEjection: '1h' } })
    fleet[0]!.fail()
    await askTimes(40)
    expect(state().endpoints[0]!.ejection).toBeDefined()
    fleet[0]!.recover()
    await check(2)
    expect(state().endpoints[0]!.ejection).toBeUndefined()
  })

  test('come before the first request, if they must', async () => {
    const { fleet, askTimes, state, clock } = await checked(2, {
      health: { ...health, initially: 'unhealthy' },
    })
    fleet[0]!.health = 503
    expect(state().health.pending).toBe(2)
    expect(await askTimes(1)).toEqual([503])
    await clock.advance(0)
    await until(() => state().health.pending === 0)
    expect(state().health).toMatchObject({ unhealthy: 1, available: 1 })
    expect(await askTimes(4)).toEqual([200, 200, 200, 200])
    expect(fleet.map(({ requests }) => requests)).toEqual([0, 4])
  })

  test('stop with the gateway', async () => {
    const { fleet, gateway, clock, check } = await checked(2)
    await check(1)
    await gateway.close()
    await until(() => clock.pending === 0)
    const before = fleet.map(({ checks }) => checks)
    await clock.advance('1m')
    expect(fleet.map(({ checks }) => checks)).toEqual(before)
  })
})

describe('panic', () => {
  const health = { tcp: true, timeout: '5s', unhealthyAfter: 1, jitter: 0 } as const

  async function withDead(panicBelow: number) {
    const runtime = virtualRuntime()
    const lines: string[] = []
    const telemetry = { ...noTelemetry, log: (_: string, message: string) => lines.push(message) }
    const set = await setUp(
      4,
      () => ({ health, panicBelow, balance: 'round-robin' }),
      {},
      { runtime: { ...runtime, telemetry } },
    )
    const dead = set.fleet.slice(1)
    for (const member of dead) await member.close()
    await runtime.clock.advance('5s')
    await until(() => set.state().health.unhealthy === 3)
    return { ...set, lines }
  }

  test('uses all endpoints when too few are well, and says so', async () => {
    const { askTimes, state, lines } = await withDead(0.5)
    expect(state().panic).toBe(true)
    expect(lines.filter((line) => line.startsWith('panic'))).toHaveLength(1)
    expect((await askTimes(8)).filter((status) => status === 502)).toHaveLength(6)
  })

  test('is not known where it is turned off', async () => {
    const { askTimes, state } = await withDead(0)
    expect(state().panic).toBe(false)
    expect(await askTimes(8)).toEqual(Array.from({ length: 8 }, () => 200))
  })
})

test('requests of one key go to one endpoint, and to another one while that is ejected', async () => {
  const { fleet, ask } = await setUp(5, () => ({ balance: { hash: 'header:X-User' }, outliers: true }))
  for (let each = 0; each < 10; each++) await ask({ 'X-User': 'ada' })
  const [first, ...more] = fleet.filter(({ requests }) => requests > 0)
  expect(first!.requests).toBe(10)
  expect(more).toEqual([])
  first!.fail()
  const statuses = []
  for (let each = 0; each < 15; each++) statuses.push(await ask({ 'X-User': 'ada' }))
  expect(statuses.filter((status) => status === 200)).toHaveLength(10)
  expect(fleet.filter(({ requests }) => requests === 10)).toHaveLength(1)
})

test('requests stay in the zone of the node while it is well, and spill when it is not', async () => {
  const runtime = virtualRuntime()
  const { fleet, shares, state } = await setUp(
    6,
    (urls) => ({
      endpoints: urls.map((url, index) => ({ url, zone: index < 3 ? 'a' : 'b' })),
      health: { tcp: true, timeout: '5s', unhealthyAfter: 1, jitter: 0 },
    }),
    { zone: 'a' },
    { runtime },
  )
  expect((await shares(60)).slice(3)).toEqual([0, 0, 0])
  await fleet[0]!.close()
  await fleet[1]!.close()
  await runtime.clock.advance('5s')
  await until(() => state().health.unhealthy === 2)
  expect(state().ownZoneShare).toBeCloseTo(1.4 / 3)
  const [, , own] = await shares(300)
  expect(own).toBeGreaterThan(0.36)
  expect(own).toBeLessThan(0.58)
})

describe('a name that stands for several addresses', () => {
  async function named(more: Partial<GatewaySpec> = {}) {
    const first = await FleetMember.open('127.0.0.1')
    const second = await FleetMember.open('127.0.0.2', first.port)
    const third = await FleetMember.open('127.0.0.3', first.port)
    const lines: unknown[] = []
    const telemetry: Telemetry = {
      ...noTelemetry,
      log: (_, message, attributes) => lines.push([message, attributes?.['breaker']]),
    }
    const runtime = virtualRuntime({ telemetry })
    const dns = { addresses: ['127.0.0.1', '127.0.0.2'], failing: false }
    const resolver = {
      resolve: () =>
        dns.failing
          ? Promise.reject(new Error('queryA ESERVFAIL orders.internal'))
          : Promise.resolve({ addresses: dns.addresses, ttl: undefined }),
    }
    const endpoint = { url: `http://orders.internal:${first.port}`, resolve: true }
    const set = await setUp(
      0,
      () => ({ endpoints: [endpoint], balance: 'round-robin', ...(more.policies && { policy: 'p' }) }),
      more,
      { runtime, resolver },
    )
    await until(() => set.state().endpoints.length === 2)
    return { ...set, members: [first, second, third], dns, lines, clock: runtime.clock }
  }

  test('is an endpoint for each, as DNS says', async () => {
    const { askTimes, members, dns, clock, state } = await named()
    expect(state().endpoints.map(({ share }) => share)).toEqual([1, 1])
    await askTimes(10)
    expect(members.map(({ requests }) => requests)).toEqual([5, 5, 0])
    dns.addresses = ['127.0.0.2', '127.0.0.3']
    await clock.advance('30s')
    await askTimes(10)
    expect(members.map(({ requests }) => requests)).toEqual([5, 10, 5])
    expect(state().endpoints.map(({ address, requests }) => [address, requests])).toEqual([
      ['127.0.0.2', 10],
      ['127.0.0.3', 5],
    ])
  })

  test('finishes what it has begun at an address that vanishes', async () => {
    const { ask, members, dns, clock, state } = await named()
    const [first, second] = members
    let finish = (): void => undefined
    for (const member of [first!, second!])
      member.answer = (response) => {
        finish = () => response.end('late')
      }
    const answer = ask()
    await until(() => first!.requests + second!.requests === 1)
    dns.addresses = ['127.0.0.3']
    await clock.advance('30s')
    await until(() => state().endpoints.length === 1)
    finish()
    expect(await answer).toBe(200)
  })

  test('has breakers with names that come again, whatever the addresses', async () => {
    const { askTimes, members, dns, clock, gateway, lines } = await named({
      policies: { p: { breaker: { consecutiveFailures: 1, openFor: '1h' } } },
    })
    const names = (): string[] => [...gateway.breakers.keys()]
    const before = names()
    expect(before).toEqual([expect.stringMatching(/ #1$/), expect.stringMatching(/ #2$/)])
    dns.addresses = ['127.0.0.2', '127.0.0.3']
    await clock.advance('30s')
    expect(names().sort()).toEqual(before)
    members[2]!.fail()
    await askTimes(4)
    expect(lines).toContainEqual(['circuit breaker closed -> open', before[0]])
  })

  test('keeps its addresses while DNS fails, and tells why', async () => {
    const { askTimes, dns, clock, state, spec } = await named()
    dns.failing = true
    await clock.advance('5m')
    expect(await askTimes(4)).toEqual([200, 200, 200, 200])
    const [endpoint] = spec.services['s']!.endpoints as { url: string }[]
    expect(state().names[endpoint!.url]).toMatchObject({
      addresses: ['127.0.0.1', '127.0.0.2'],
      error: 'queryA ESERVFAIL orders.internal',
    })
  })
})

describe('a changed list of endpoints', () => {
  test('keeps those that stay as they are, and lets new ones come slowly', async () => {
    const runtime = virtualRuntime()
    const set = await setUp(
      3,
      (urls) => ({ endpoints: urls.slice(0, 2), balance: 'round-robin', slowStart: { over: '10s' } }),
      {},
      { runtime },
    )
    const { gateway, spec, urls, shares, state } = set
    await shares(20)
    const [before] = gateway.services.get('s')!.endpoints
    await gateway.apply({
      ...spec,
      services: { s: { ...spec.services['s']!, endpoints: [urls[0]!, urls[2]!] } },
    })
    expect(gateway.services.get('s')!.endpoints[0]).toBe(before)
    expect(state().endpoints.map(({ url, requests, share }) => [url, requests, share])).toEqual([
      [urls[0], 10, 1],
      [urls[2], 0, 0.1],
    ])
    const [first, second, third] = await shares(110)
    expect(second).toBe(0)
    expect(third! / first!).toBeCloseTo(0.1, 1)
  })
})
