import { describe, expect, it } from 'vitest'
import { SEED } from '../../../test/support/effort.js'
import { openCoordinator, type Entry } from '../../coordination/index.js'
import { BanyanError } from '../../core/errors.js'
import { seededRandom } from '../../core/random.js'
import { choices } from '../seed.js'
import { virtualRuntime } from '../virtual-clock.js'
import { checkLinearizability, checkRevisions, coordinatorModel, recordCoordinator } from './index.js'

describe('recordCoordinator', () => {
  it('records clients of a coordinator, who see it linearizable', async () => {
    const runtime = virtualRuntime()
    await using coordinator = await openCoordinator('memory:', { runtime })
    const history = recordCoordinator(runtime.clock)
    const { below, chance, pick } = choices(seededRandom(SEED))
    const lease = await coordinator.lease('10s')
    const working = Array.from({ length: 5 }, async (_, number) => {
      const client = history.client(`p${number}`, coordinator)
      let seen: Entry | undefined
      for (let call = 0; call < 60; call++) {
        const key = `key-${below(2)}`
        const expected = pick(['any', 'absent', seen?.revision ?? 'absent'] as const)
        if (chance(0.4)) seen = await client.get(key)
        else if (chance(0.3)) await client.delete(key, { expected })
        else await client.put(key, `${number}-${call}`, { expected, ...(chance(0.3) && { lease }) })
      }
    })
    await Promise.all(working)
    await lease.release()
    const last = history.client('last', coordinator)
    for (const key of ['key-0', 'key-1']) await last.get(key)
    const { operations } = history
    expect(operations).toHaveLength(302)
    expect(operations.every(({ returned }) => returned !== undefined)).toBe(true)
    expect(new Set(operations.flatMap(({ output }) => output?.is ?? []))).toEqual(
      new Set(['present', 'absent', 'done', 'conflict']),
    )
    expect(checkLinearizability(coordinatorModel, operations).summary, `seed ${SEED}`).toMatch(
      /^linearizable/,
    )
    expect(checkRevisions(operations)).toEqual([])
  })

  it('takes errors by their word', async () => {
    const history = recordCoordinator()
    const failing = (error: Error) => {
      const fail = () => Promise.reject(error)
      return history.client('p', { get: fail, put: fail, delete: fail })
    }
    const unknown = failing(new BanyanError('BANYAN_OUTCOME_UNKNOWN', 'no answer'))
    await expect(unknown.put('a', 'x')).rejects.toThrow('no answer')
    const refused = failing(new BanyanError('BANYAN_COORDINATOR_UNAVAILABLE', 'away'))
    await expect(refused.delete('a')).rejects.toThrow('away')
    await expect(failing(new TypeError('broken')).get('a')).rejects.toThrow('broken')
    expect(history.operations.map(({ input, returned }) => [input.op, returned])).toEqual([
      ['put', undefined],
      ['get', undefined],
    ])
  })
})
