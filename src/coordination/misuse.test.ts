import { describe, expect, it } from 'vitest'
import { processes } from '../../test/support/coordinators.js'
import { noTelemetry } from '../core/telemetry.js'
import { elect, lock, lockAll, openCoordinator } from './index.js'

describe('what is used wrongly', () => {
  it.each(['sqlite', 'memory'])('is a driver without a place: %s', async (where) => {
    await expect(openCoordinator(where)).rejects.toMatchObject({
      code: 'BANYAN_DRIVER_MISSING',
      message: expect.stringMatching(`^${where} is a driver without a place; .*sqlite:./data`) as string,
    })
  })

  it.each([null, undefined, 3, {}])('is no place of a coordinator: %o', async (where) => {
    await expect(openCoordinator(where as never)).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
  })

  it('is a lock without work, or by its name only', async () => {
    const { open, store } = processes()
    const coordinator = open()
    const code = 'BANYAN_INVALID_OPTIONS'
    await expect(lock(coordinator, 'x').run(undefined as never)).rejects.toMatchObject({ code })
    await expect(lockAll(['x', 'y'] as never)).rejects.toThrow('must be a list of locks')
    await expect(lockAll('x' as never)).rejects.toMatchObject({ code })
    await expect(coordinator.lease(Infinity)).rejects.toThrow('got Infinity')
    expect(store.list('banyan/locks/').entries).toEqual([])
  })

  it('is a listener of an election that throws, which is logged', async () => {
    const { clock, open } = processes()
    const logged: string[] = []
    const telemetry = { ...noTelemetry, log: (_: string, message: string) => void logged.push(message) }
    const election = elect(open({ telemetry }), 'x')
    const seen: string[] = []
    election.on('change', () => {
      throw new Error('broken')
    })
    election.on('change', ({ kind }) => seen.push(kind))
    await clock.advance(1)
    expect(seen).toEqual(['candidate', 'leading'])
    expect(logged).toEqual(seen.map(() => 'election "x", a listener has failed: Error: broken'))
    await election.close()
  })
})
