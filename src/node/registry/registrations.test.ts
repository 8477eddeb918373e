import { describe, expect, it } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import { Registrations } from './registrations.js'

describe('the registrations of a node', () => {
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
