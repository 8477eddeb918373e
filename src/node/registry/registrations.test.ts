import { describe, expect, it } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import { DriverCoordinator } from '../../coordination/driver-coordinator.js'
import { register, requestDrain } from '../../coordination/index.js'
import { noTelemetry } from '../../core/telemetry.js'
import { MemoryCoordination } from '../../drivers/memory/coordinator.js'
import { virtualRuntime } from '../../testing/index.js'
import { Registrations } from './registrations.js'

describe('the registrations of a node', () => {
  it('say nothing of an entry that is only changed, and bring back by that what an operator has drained', async () => {
    const said: string[] = []
    const log = (level: string, message: string): void => void said.push(`${level}: ${message}`)
    const runtime = virtualRuntime({ telemetry: { ...noTelemetry, log } })
    const driver = new MemoryCoordination(runtime.clock).connect()
    const coordinator = new DriverCoordinator(driver, { runtime })
    const registrations = new Registrations(runtime)
    registrations.use(coordinator)
    const spec = { id: 'one', address: 'http://10.0.0.1:4001' }
    registrations.follow({ orders: spec })
    await runtime.clock.advance('1s')
    registrations.follow({ orders: { ...spec, version: '2' } })
    await runtime.clock.advance('1m')
    expect(said.filter((each) => !each.startsWith('debug'))).toEqual(['info: registered', 'info: registered'])

    await requestDrain(coordinator, 'orders', 'one', { by: 'ada' })
    await runtime.clock.advance('1m')
    expect(registrations.state()).toMatchObject({
      orders: { registered: false, problem: 'drained, asked for by ada' },
    })
    registrations.follow({ orders: { ...spec, version: '3' } })
    await runtime.clock.advance('1m')
    expect(registrations.state()!['orders']).toMatchObject({ registered: true })
    expect(registrations.state()!['orders']).not.toHaveProperty('problem')
  })

  it('tell why one is not there, until it is', async () => {
    const { connect, runtime } = world()
    const other = register(connect().coordinator, {
      service: 'orders',
      id: 'one',
      address: 'http://10.0.0.2:4001',
    })
    await other.ready
    const registrations = new Registrations(runtime)
    registrations.use(connect().coordinator)
    registrations.follow({ orders: { id: 'one', address: 'http://10.0.0.1:4001' } })
    await runtime.clock.advance('1m')
    expect(registrations.state()!['orders']!.problem).toContain('is taken by')
    await runtime.clock.settle(other.close())
    await runtime.clock.advance('1s')
    expect(registrations.state()!['orders']).toMatchObject({ registered: true })
    expect(registrations.state()!['orders']).not.toHaveProperty('problem')
  })

  it('that were on their way out are hurried with the others', async () => {
    const { connect, runtime, store } = world()
    const registrations = new Registrations(runtime)
    registrations.use(connect().coordinator)
    const spec = { address: 'http://10.0.0.1:4001', drain: '1h' } as const
    registrations.follow({ going: spec, staying: spec })
    await runtime.clock.advance('1s')
    registrations.follow({ staying: spec })
    await runtime.clock.advance('1m')
    expect(store.list('banyan/services/').entries).toHaveLength(2)
    const now = new AbortController()
    const drained = registrations.drain(now.signal)
    await runtime.clock.advance('1m')
    now.abort()
    await drained
    expect(store.list('banyan/services/').entries).toEqual([])
  })
})
