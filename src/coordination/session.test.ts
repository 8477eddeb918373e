import { describe, expect, it } from 'vitest'
import { processes, type Processes } from '../../test/support/coordinators.js'
import { sleep } from '../core/clock.js'
import { noTelemetry } from '../core/telemetry.js'
import { wrapDriver } from '../testing/coordination/kit.js'
import { coordinationError } from './errors.js'
import { elect, lock, type Coordinator } from './index.js'

const TTL = 3000

/** A process whose engine takes so many ms to grant a lease. */
function slowly(all: Processes): { coordinator: Coordinator; engine: { takes: number }; logged: string[] } {
  const engine = { takes: 1500 }
  const logged: string[] = []
  const coordinator = all.open({
    wrap: (driver) =>
      wrapDriver(driver, {
        grant: async (ttl) => {
          const grant = await driver.grant(ttl)
          await sleep(all.clock, engine.takes)
          return grant
        },
      }),
    telemetry: { ...noTelemetry, log: (level, message) => logged.push(`${level}: ${message}`) },
  })
  return { coordinator, engine, logged }
}

describe('the lease that a process shares', () => {
  it('is waited for while the engine is too slow for it, and which ttl would do is told', async () => {
    const all = processes()
    const { coordinator, engine, logged } = slowly(all)
    const held = lock(coordinator, 'x', { ttl: TTL }).acquire()
    await all.clock.advance(10 * TTL)
    expect(logged.length).toBeGreaterThan(5)
    expect(new Set(logged)).toEqual(
      new Set([
        'warn: no lease, tried again: the engine took 1.5s to grant a lease of 3s, which could not be renewed in time ' +
          'like that; if it often takes so long, it needs a ttl of 9s',
      ]),
    )
    engine.takes = 100
    await all.clock.advance(TTL)
    expect((await held).held).toBe(true)
    expect((await coordinator.list('')).entries).toHaveLength(1)
  })

  it('is not missed in the log by a process that is closed while it is waited for', async () => {
    const all = processes()
    const logged: string[] = []
    let fail: (error: Error) => void = () => undefined
    const coordinator = all.open({
      wrap: (driver) => wrapDriver(driver, { grant: () => new Promise((_, reject) => (fail = reject)) }),
      telemetry: { ...noTelemetry, log: (level, message) => logged.push(`${level}: ${message}`) },
    })
    const held = lock(coordinator, 'x', { ttl: TTL }).acquire()
    const refused = expect(held).rejects.toMatchObject({ code: 'BANYAN_COORDINATOR_CLOSED' })
    await all.clock.settle(coordinator.close())
    fail(
      coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'Cannot use a pool after calling end on the pool'),
    )
    await all.clock.settle(refused)
    expect(logged).toEqual([])
  })

  it('is not waited for by those who only try', async () => {
    const all = processes()
    const { coordinator } = slowly(all)
    const mutex = lock(coordinator, 'x', { ttl: TTL })
    await expect(all.clock.settle(mutex.tryAcquire())).rejects.toMatchObject({ code: 'BANYAN_LEASE_TTL' })
    const away = all.open({
      wrap: (driver) =>
        wrapDriver(driver, {
          grant: () => {
            throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'the engine is away')
          },
        }),
    })
    await expect(all.clock.settle(lock(away, 'x').tryAcquire())).rejects.toMatchObject({
      code: 'BANYAN_COORDINATOR_UNAVAILABLE',
    })
  })

  it('is not tried again, and nothing is told, once the coordinator is closed', async () => {
    const all = processes()
    const logged: string[] = []
    let asked: () => void = () => undefined
    let fail: (error: Error) => void = () => undefined
    const waiting = new Promise<void>((resolve) => (asked = resolve))
    const coordinator = all.open({
      wrap: (driver) =>
        wrapDriver(driver, {
          grant: () => {
            asked()
            return new Promise((_, reject) => (fail = reject))
          },
        }),
      telemetry: { ...noTelemetry, log: (level, message) => logged.push(`${level}: ${message}`) },
    })
    const acquiring = expect(lock(coordinator, 'x').acquire()).rejects.toThrow()
    await waiting
    const closed = coordinator.close()
    fail(coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'the engine is away'))
    await all.clock.settle(Promise.all([closed, acquiring]))
    expect(logged).toEqual([])
  })

  it('is missed by elections, which say so until they have it', async () => {
    const all = processes()
    const { coordinator, engine } = slowly(all)
    const election = elect(coordinator, 'x', { ttl: TTL })
    const other = elect(all.open(), 'x')
    await all.clock.advance(TTL)
    const failures = new Set<unknown>()
    election.on('change', (state) => failures.add('failure' in state && state.failure))
    await all.clock.settle(other.resign())
    await all.clock.advance(10 * TTL)
    expect(election.state).toMatchObject({ kind: 'follower', failure: { code: 'BANYAN_LEASE_TTL' } })
    engine.takes = 100
    await all.clock.advance(TTL)
    expect(election.state).toEqual({ kind: 'follower', leader: (await other.leader())!, place: 1 })
    expect([...failures]).toMatchObject([{ code: 'BANYAN_LEASE_TTL' }, false])
    await all.clock.settle(Promise.all([election.close(), other.close()]))
  })
})
