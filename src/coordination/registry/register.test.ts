import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import { noTelemetry } from '../../core/telemetry.js'
import { MemoryCoordination } from '../../drivers/memory/coordinator.js'
import { virtualRuntime } from '../../testing/index.js'
import type { Coordinator } from '../coordinator.js'
import { DriverCoordinator } from '../driver-coordinator.js'
import type { Instance } from './instance.js'
import type { RegisterOptions } from './options.js'
import { readRegistry, readRegistryHistory } from './read.js'
import { register } from './register.js'
import { requestDrain } from './request-drain.js'
import { SelfCheck } from './self-check.js'

const ORDERS: RegisterOptions = {
  service: 'orders',
  address: 'http://10.0.0.1:4001',
  id: 'one',
  holder: 'box:1',
}

async function instancesOf(coordinator: Coordinator, service = 'orders'): Promise<readonly Instance[]> {
  return (await readRegistry(coordinator)).find((each) => each.service === service)?.instances ?? []
}

describe('register', () => {
  it('puts an instance into the registry with all that is said of it', async () => {
    const { coordinator } = world().connect()
    const registration = register(coordinator, {
      ...ORDERS,
      tags: ['v2'],
      zone: 'eu-1',
      version: '2.1.0',
      weight: 3,
      metadata: { rack: 7 },
    })
    await registration.ready
    expect(registration.registered).toBe(true)
    expect(await instancesOf(coordinator)).toEqual([
      {
        service: 'orders',
        id: 'one',
        address: 'http://10.0.0.1:4001',
        tags: ['v2'],
        zone: 'eu-1',
        version: '2.1.0',
        weight: 3,
        metadata: { rack: 7 },
        state: 'passing',
        note: undefined,
        draining: false,
        holder: 'box:1',
        since: Date.UTC(2026, 0, 1),
        doubted: false,
      },
    ])
  })

  it('keeps names apart that would be one key', async () => {
    const { coordinator } = world().connect()
    await register(coordinator, { ...ORDERS, service: 'a', id: 'b/c' }).ready
    await register(coordinator, { ...ORDERS, service: 'a/b', id: 'c%' }).ready
    const found = await readRegistry(coordinator)
    expect(found.map(({ service, instances }) => [service, instances[0]?.id])).toEqual([
      ['a/b', 'c%'],
      ['a', 'b/c'],
    ])
  })

  it('gives an instance an id that nobody else has', async () => {
    const { coordinator } = world().connect()
    const two = [1, 2].map(() =>
      register(coordinator, { service: 'orders', address: 'http://10.0.0.1:4001' }),
    )
    await Promise.all(two.map(({ ready }) => ready))
    expect(await instancesOf(coordinator)).toHaveLength(2)
  })

  it('refuses what cannot be', () => {
    const { coordinator } = world().connect()
    expect(() => register(coordinator, { ...ORDERS, service: '' })).toThrow('service must be given')
    expect(() => register(coordinator, { ...ORDERS, weight: -1 })).toThrow('weight must be')
    expect(() => register(coordinator, { ...ORDERS, adress: 'x' } as RegisterOptions)).toThrow(
      'did you mean `address`?',
    )
    expect(() => register(coordinator, { ...ORDERS, health: { check: 'ftp://x' } })).toThrow(
      'health.check must be a URL such as',
    )
    expect(() => register(coordinator, { ...ORDERS, metadata: { build: 12n } })).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }),
    )
    expect(() => register(coordinator, { ...ORDERS, metadata: { much: 'x'.repeat(20_000) } })).toThrow(
      'at most 16384 are kept',
    )
  })

  it('is gone its ttl after the process was', async () => {
    const { connect, runtime } = world()
    const [dying, other] = [connect(), connect()]
    await register(dying.coordinator, ORDERS).ready
    await runtime.clock.advance('1m')
    expect(await instancesOf(other.coordinator)).toHaveLength(1)
    dying.engine.reach = 'away'
    await runtime.clock.advance('8s')
    expect(await instancesOf(other.coordinator)).toHaveLength(1)
    await runtime.clock.advance('4s')
    expect(await instancesOf(other.coordinator)).toHaveLength(0)
  })

  it.each(['away', 'silent'] as const)('is there again after the engine was %s for long', async (reach) => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    const registration = register(coordinator, ORDERS)
    await registration.ready
    const told: string[] = []
    registration.on('lost', ({ reason }) => told.push(reason))
    registration.on('registered', () => told.push('registered'))
    engine.reach = reach
    await runtime.clock.advance('1m')
    expect(registration.registered).toBe(false)
    if (reach === 'silent') return
    engine.reach = 'there'
    await runtime.clock.advance('5s')
    expect(registration.registered).toBe(true)
    expect(await instancesOf(connect().coordinator)).toHaveLength(1)
    expect(told).toEqual([
      expect.stringMatching(/is lost, no renewal was answered for 5s: connection refused/),
      'registered',
    ])
  })

  it('is there again after somebody has removed it', async () => {
    const { connect, runtime } = world()
    const { coordinator } = connect()
    const registration = register(coordinator, ORDERS)
    await registration.ready
    await coordinator.delete('banyan/services/orders/one')
    await runtime.clock.advance('1s')
    expect(await instancesOf(coordinator)).toHaveLength(1)
  })

  it('is registered once where answers are lost', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    engine.losesAnswers = true
    const registration = register(coordinator, ORDERS)
    await runtime.clock.advance('3s')
    expect(await instancesOf(connect().coordinator)).toHaveLength(0)
    engine.losesAnswers = false
    await runtime.clock.settle(registration.ready)
    // Only the answers to this are lost.
    engine.losesAnswers = true
    const done = registration.update({ weight: 5 })
    await runtime.clock.advance('1s')
    engine.losesAnswers = false
    await runtime.clock.settle(done)
    expect((await instancesOf(coordinator)).map(({ weight }) => weight)).toEqual([5])
  })

  it('changes what is said of it', async () => {
    const { coordinator } = world().connect()
    const registration = register(coordinator, ORDERS)
    await registration.ready
    registration.setHealth('warning', 'busy')
    await registration.update({ tags: ['canary'], metadata: { build: 12 } })
    const [instance] = await instancesOf(coordinator)
    expect(instance).toMatchObject({
      tags: ['canary'],
      metadata: { build: 12 },
      state: 'warning',
      note: 'busy',
    })
    expect(() => registration.update({ address: 'x' } as object)).toThrow('address is not an option')
    expect(() => registration.setHealth('bad' as 'critical')).toThrow('one of passing, warning, critical')
  })

  it('waits while what is left of a former life has the id', async () => {
    const { connect, runtime } = world()
    const [before, after] = [connect(), connect()]
    await register(before.coordinator, ORDERS).ready
    before.engine.reach = 'away'
    const again = register(after.coordinator, { ...ORDERS, address: 'http://10.0.0.2:4001' })
    await runtime.clock.advance('5s')
    expect(again.registered).toBe(false)
    await runtime.clock.advance('6s')
    expect(again.registered).toBe(true)
    expect((await instancesOf(after.coordinator)).map(({ address }) => address)).toEqual([
      'http://10.0.0.2:4001',
    ])
  })

  it('waits while the instance that has the id drains, as in a rolling restart', async () => {
    const { connect, runtime } = world()
    const before = register(connect().coordinator, ORDERS)
    await before.ready
    const after = register(connect().coordinator, { ...ORDERS, address: 'http://10.0.0.2:4001' })
    await runtime.clock.advance('1s')
    const drained = before.drain({ for: '1m' })
    await runtime.clock.advance('59s')
    expect(after.registered).toBe(false)
    await runtime.clock.advance('2s')
    await Promise.all([drained, after.ready])
    expect(await instancesOf(connect().coordinator)).toMatchObject([
      { address: 'http://10.0.0.2:4001', draining: false },
    ])
  })

  it('waits also if it comes when the other one drains already, and that one dies meanwhile', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    const before = register(coordinator, ORDERS)
    await before.ready
    void before.drain({ for: '1h' })
    await runtime.clock.advance('1s')
    const after = register(connect().coordinator, { ...ORDERS, address: 'http://10.0.0.2:4001' })
    await runtime.clock.advance('1m')
    before.setHealth('critical')
    await runtime.clock.advance('1m')
    engine.reach = 'away'
    await runtime.clock.advance('12s')
    expect(after.registered).toBe(true)
  })

  it('takes its own place at once after a restart, at the same address', async () => {
    const { connect, runtime } = world()
    const [before, after] = [connect(), connect()]
    await register(before.coordinator, ORDERS).ready
    before.engine.reach = 'away'
    await register(after.coordinator, { ...ORDERS, version: '2' }).ready
    await runtime.clock.advance('1m')
    expect((await instancesOf(after.coordinator)).map(({ version }) => version)).toEqual(['2'])
  })

  it('refuses an id under which another instance lives', async () => {
    const { connect, runtime } = world()
    await register(connect().coordinator, ORDERS).ready
    const second = register(connect().coordinator, { ...ORDERS, address: 'http://10.0.0.2:4001' })
    const taken: string[] = []
    second.on('taken', ({ code }) => taken.push(code))
    await expect(runtime.clock.settle(second.ready)).rejects.toMatchObject({
      code: 'BANYAN_NAME_CLASH',
      message: expect.stringContaining('"one" of orders is taken by box:1 at http://10.0.0.1:4001') as string,
    })
    await runtime.clock.advance('1m')
    expect(taken).toEqual(['BANYAN_NAME_CLASH'])
    await second.close()
    expect(await instancesOf(connect().coordinator)).toHaveLength(1)
  })

  it('that was refused is there when the other one has gone', async () => {
    const { connect, runtime } = world()
    const first = register(connect().coordinator, ORDERS)
    await first.ready
    const second = register(connect().coordinator, { ...ORDERS, address: 'http://10.0.0.2:4001' })
    await runtime.clock.advance('1m')
    expect(second.registered).toBe(false)
    second.setHealth('warning')
    await runtime.clock.settle(first.close())
    await runtime.clock.advance('1s')
    expect(second.registered).toBe(true)
    const { coordinator } = connect()
    expect(await instancesOf(coordinator)).toMatchObject([{ address: 'http://10.0.0.2:4001' }])
    const history = await readRegistryHistory(coordinator, 'orders')
    expect(history.map(({ what }) => what)).toEqual(['registered', 'draining', 'removed', 'registered'])
  })

  it('that another one has replaced does not fight, and is there again when that has gone', async () => {
    const { connect, runtime } = world()
    const { coordinator } = connect()
    const first = register(coordinator, ORDERS)
    const taken: string[] = []
    first.on('taken', ({ message }) => taken.push(message))
    await first.ready
    const { coordinator: other, engine } = connect()
    const second = register(other, { ...ORDERS, holder: 'box:2' })
    await second.ready
    await runtime.clock.advance('1s')
    await second.update({ weight: 2 })
    await runtime.clock.advance('1m')
    expect([first.registered, second.registered]).toEqual([false, true])
    expect(taken).toEqual([
      expect.stringContaining('box:2 at http://10.0.0.1:4001, which has taken its place'),
    ])
    engine.reach = 'away'
    await runtime.clock.advance('12s')
    expect(await instancesOf(coordinator)).toMatchObject([{ holder: 'box:1' }])
    engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect([first.registered, second.registered]).toEqual([true, false])
    await runtime.clock.settle(first.close())
    await runtime.clock.advance('1s')
    expect(await instancesOf(other)).toMatchObject([{ holder: 'box:2' }])
  })

  it('that was replaced leaves at once, and what is in its place stays', async () => {
    const { connect, runtime } = world()
    const first = register(connect().coordinator, { ...ORDERS, drain: '1h' })
    await first.ready
    const second = register(connect().coordinator, { ...ORDERS, holder: 'box:2' })
    await second.ready
    await runtime.clock.advance('1s')
    await first.close()
    expect(await instancesOf(connect().coordinator)).toMatchObject([{ holder: 'box:2', draining: false }])
  })

  it('says nothing where the coordinator is closed', async () => {
    const said: string[] = []
    const log = (level: string, message: string): void => void said.push(`${level}: ${message}`)
    const runtime = virtualRuntime({ telemetry: { ...noTelemetry, log } })
    const driver = new MemoryCoordination(runtime.clock).connect()
    const coordinator = new DriverCoordinator(driver, { runtime })
    const registration = register(coordinator, ORDERS)
    await registration.ready
    await coordinator.close()
    await runtime.clock.advance('1s')
    expect(registration.registered).toBe(false)
    expect(said.filter((each) => !each.startsWith('debug'))).toEqual([])
  })
})

describe('drain', () => {
  it('is what operators can ask for, of this registration and no later one', async () => {
    const { connect, runtime } = world()
    const { coordinator } = connect()
    const registration = register(coordinator, ORDERS)
    await registration.ready
    await requestDrain(coordinator, 'orders', 'one', { for: '10s', by: 'ada' })
    await runtime.clock.advance('9s')
    expect(await instancesOf(coordinator)).toMatchObject([{ draining: true }])
    await runtime.clock.advance('2s')
    expect(registration.registered).toBe(false)
    expect((await coordinator.list('banyan/services/')).entries).toEqual([])

    const next = register(coordinator, ORDERS)
    await next.ready
    const key = 'banyan/services/orders/one/drain'
    await coordinator.put(key, JSON.stringify({ registration: 'of a former life', by: 'ada' }))
    await next.update({ weight: 2 })
    expect(next.draining).toBe(false)
    await expect(requestDrain(coordinator, 'orders', 'two')).rejects.toMatchObject({
      code: 'BANYAN_SERVICE_UNKNOWN',
    })
  })

  it('that nobody has heard of ends with the instance', async () => {
    const { connect, runtime, store } = world()
    const [dying, operator] = [connect(), connect()]
    const registration = register(dying.coordinator, ORDERS)
    await registration.ready
    dying.engine.reach = 'away'
    await requestDrain(operator.coordinator, 'orders', 'one')
    await runtime.clock.advance('15s')
    expect(store.list('banyan/services/').entries).toEqual([])
  })

  it('cannot be asked of an instance that has gone meanwhile', async () => {
    const { connect, runtime, store } = world()
    const [dying, operator] = [connect(), connect()]
    await register(dying.coordinator, ORDERS).ready
    const { coordinator } = operator
    const late = Object.assign(Object.create(coordinator) as Coordinator, {
      get: async (key: string) => {
        const entry = await coordinator.get(key)
        dying.engine.reach = 'away'
        await runtime.clock.advance('15s')
        return entry
      },
      put: coordinator.put.bind(coordinator),
    })
    await expect(requestDrain(late, 'orders', 'one')).rejects.toMatchObject({
      code: 'BANYAN_SERVICE_UNKNOWN',
    })
    expect(store.list('banyan/services/').entries).toEqual([])
  })

  it('marks the instance first, and removes it later', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, ORDERS)
    await registration.ready
    const drained = registration.drain({ for: '10s' })
    await clock.advance('9s')
    expect(await instancesOf(coordinator)).toMatchObject([{ draining: true }])
    await clock.advance('2s')
    expect(await instancesOf(coordinator)).toEqual([])
    await drained
    expect(registration.registered).toBe(false)
    const history = await readRegistryHistory(coordinator, 'orders')
    expect(history.map(({ what }) => what)).toEqual(['registered', 'draining', 'removed'])
  })

  it('is what close does, and is not waited for where somebody is in a hurry', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, { ...ORDERS, drain: '1h' })
    await registration.ready
    const hurry = new AbortController()
    const drained = registration.drain({ signal: hurry.signal })
    const closed = registration.close()
    await clock.advance('1m')
    expect(registration.draining).toBe(true)
    hurry.abort()
    await Promise.all([drained, closed])
    expect(await instancesOf(coordinator)).toEqual([])
  })

  it('that was asked for again ends at the sooner of the two', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, { ...ORDERS, drain: '5s' })
    await registration.ready
    const drained = registration.drain({ for: '1h' })
    await clock.advance('1m')
    const longer = registration.drain({ for: '2h' })
    const closed = registration.close()
    await clock.advance('4s')
    expect(await instancesOf(coordinator)).toMatchObject([{ draining: true }])
    await clock.advance('2s')
    await Promise.all([drained, longer, closed])
    expect(await instancesOf(coordinator)).toEqual([])
  })

  it('can be asked for again by operators, to end sooner', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, ORDERS)
    const asked: string[] = []
    registration.on('asked', ({ by }) => asked.push(by))
    await registration.ready
    await requestDrain(coordinator, 'orders', 'one', { for: '1h', by: 'ada' })
    await clock.advance('1m')
    await requestDrain(coordinator, 'orders', 'one', { for: '1s', by: 'bob' })
    await clock.advance('2s')
    expect(await instancesOf(coordinator)).toEqual([])
    expect(asked).toEqual(['ada', 'bob'])
  })

  it('is hurried by any who waits for it', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, ORDERS)
    await registration.ready
    const drained = registration.drain({ for: '1h', signal: new AbortController().signal })
    await clock.advance('1m')
    await registration.drain({ for: '1h', signal: AbortSignal.abort() })
    await drained
    expect(await instancesOf(coordinator)).toEqual([])
  })

  it('ends also where the engine is away, and then the instance with its lease', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    const registration = register(coordinator, ORDERS)
    await registration.ready
    engine.reach = 'away'
    await runtime.clock.settle(registration.close())
    await runtime.clock.advance('10s')
    expect(await instancesOf(connect().coordinator)).toEqual([])
  })

  it('removes it when the engine comes back in time: the lease goes on with others of this process', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    const [going, staying] = [register(coordinator, ORDERS), register(coordinator, { ...ORDERS, id: 'two' })]
    await Promise.all([going.ready, staying.ready])
    engine.reach = 'away'
    const closed = going.close()
    await runtime.clock.advance('3s')
    engine.reach = 'there'
    await runtime.clock.settle(closed)
    await runtime.clock.advance('1m')
    expect((await instancesOf(coordinator)).map(({ id }) => id)).toEqual(['two'])
  })

  it('of one that was never registered leaves nothing behind', async () => {
    const { connect, runtime } = world()
    const { coordinator, engine } = connect()
    engine.reach = 'away'
    const registration = register(coordinator, ORDERS)
    await runtime.clock.advance('1s')
    await runtime.clock.settle(registration.close())
    engine.reach = 'there'
    await runtime.clock.advance('1m')
    expect(await instancesOf(connect().coordinator)).toEqual([])
    await expect(registration.ready).rejects.toThrow('was closed')
  })
})

describe('the health of an instance', () => {
  it('is critical until its first check has passed, and follows its check after enough of them', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    let fails = false
    const registration = register(coordinator, {
      ...ORDERS,
      health: {
        check: () => {
          if (fails) throw new Error('no database')
        },
      },
    })
    expect(registration.state).toBe('critical')
    await registration.ready
    await clock.advance('1s')
    expect(registration.state).toBe('passing')
    fails = true
    await clock.advance('11s')
    expect(registration.state).toBe('passing')
    await clock.advance('6s')
    expect(await instancesOf(coordinator)).toMatchObject([{ state: 'critical', note: 'no database' }])
    fails = false
    await clock.advance('12s')
    expect(await instancesOf(coordinator)).toMatchObject([{ state: 'passing', note: undefined }])
    const history = await readRegistryHistory(coordinator, 'orders')
    expect(history.map(({ what }) => what)).toContain('critical')
  })

  it('is the worse of what the check finds and what it was told', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const registration = register(coordinator, { ...ORDERS, health: { check: () => 'warning' } })
    await clock.advance('1s')
    expect(registration.state).toBe('warning')
    registration.setHealth('critical', 'maintenance')
    expect(registration.state).toBe('critical')
    registration.setHealth('passing')
    expect(registration.state).toBe('warning')
  })

  it('fails a check that does not end', async () => {
    const { coordinator } = world().connect()
    const { clock } = coordinator.runtime as ReturnType<typeof virtualRuntime>
    const aborted: boolean[] = []
    const registration = register(coordinator, {
      ...ORDERS,
      health: {
        check: (signal) =>
          new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.aborted))),
        timeout: '100ms',
      },
    })
    await clock.advance('1s')
    expect(registration.state).toBe('critical')
    expect(aborted).toEqual([true])
    expect(await instancesOf(coordinator)).toMatchObject([{ note: 'the check has not ended within 100ms' }])
  })

  it('takes twice as many checks to be well again each time that it soon was', async () => {
    const runtime = virtualRuntime()
    let isWell = true
    const found: string[] = []
    const check = new SelfCheck(
      {
        check: () => (isWell ? 'passing' : 'critical'),
        interval: '1s',
        healthyAfter: 1,
        unhealthyAfter: 1,
        damping: '5m',
      },
      runtime,
      ({ state }) => found.push(state),
    )
    const secondsUntil = async (state: string): Promise<number> => {
      isWell = state === 'passing'
      for (let seconds = 1; ; seconds++) {
        await runtime.clock.advance('1100ms')
        if (found.at(-1) === state) return seconds
      }
    }
    await secondsUntil('passing')
    const waits: number[] = []
    for (let round = 0; round < 6; round++) {
      await secondsUntil('critical')
      waits.push(await secondsUntil('passing'))
    }
    const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = waits
    expect(first).toBe(1)
    expect([second, third, fourth, fifth].map((wait) => Math.round(Math.log2(wait)))).toEqual([1, 2, 3, 4])
    expect(Math.abs(sixth - fifth)).toBeLessThan(4)
    await runtime.clock.advance('10m')
    await secondsUntil('critical')
    expect(await secondsUntil('passing')).toBe(1)
    check.close()
    expect(runtime.clock.pending).toBe(0)
  })

  it('can be asked by HTTP', async () => {
    let status = 204
    const server = createServer((_, response) => response.writeHead(status).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/healthz`
    const found: unknown[] = []
    for (const each of [204, 429, 500]) {
      status = each
      found.push(
        await new Promise((resolve) => {
          const check = new SelfCheck({ check: url }, virtualRuntime(), (finding) => {
            check.close()
            resolve(finding)
          })
        }),
      )
    }
    await new Promise((resolve) => server.close(resolve))
    expect(found).toEqual([
      { state: 'passing' },
      { state: 'warning', note: `${url} answered 429` },
      { state: 'critical', note: `${url} answered 500` },
    ])
  })

  it('that cannot be reached by HTTP says why', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    await new Promise((resolve) => server.close(resolve))
    const found = await new Promise((resolve) => {
      const check = new SelfCheck({ check: `http://${host}/` }, virtualRuntime(), (finding) => {
        check.close()
        resolve(finding)
      })
    })
    expect(found).toEqual({ state: 'critical', note: `fetch failed: connect ECONNREFUSED ${host}` })
  })
})
