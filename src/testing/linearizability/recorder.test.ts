import { describe, expect, it } from 'vitest'
import { virtualClock } from '../virtual-clock.js'
import { checkLinearizability, recordHistory, type SequentialModel } from './index.js'

type Input = { set: number } | 'get'

const register: SequentialModel<number, Input, number> = {
  init: () => 0,
  step: (value, input, output) => {
    const state = input === 'get' ? value : input.set
    return output === state || typeof output === 'symbol' ? { ok: true, state } : { ok: false }
  },
  key: String,
}

describe('recordHistory', () => {
  it('keeps calls, times and answers, and gives the caller what it asked for', async () => {
    const clock = virtualClock({ start: 5 })
    const history = recordHistory<Input, number>(clock)
    const slow = history.run('a', { set: 1 }, async () => {
      await new Promise<void>((resolve) => void clock.schedule(15, resolve))
      return 1
    })
    await clock.advance('2ms')
    expect(await history.run('b', 'get', () => 0)).toBe(0)
    expect(await clock.settle(slow)).toBe(1)
    expect(history.operations).toEqual([
      { process: 'a', input: { set: 1 }, output: 1, called: 5, returned: 15 },
      { process: 'b', input: 'get', output: 0, called: 7, returned: expect.closeTo(7, 5) as number },
    ])
    expect(checkLinearizability(register, history.operations).ok).toBe(true)
  })

  it('knows what came first also where the clock stands still', async () => {
    for (const start of [0, 5, 1e9, Date.UTC(2100, 1)]) {
      const history = recordHistory<Input, number>(virtualClock({ start }))
      await history.run('a', { set: 1 }, () => 1)
      await history.run('b', 'get', () => 0)
      expect(checkLinearizability(register, history.operations).verdict).toBe('violated')
    }
  })

  it('does not know what became of a call that failed, or is under way', async () => {
    const history = recordHistory<Input, number>()
    const failed = history.run('a', { set: 1 }, () => Promise.reject(new Error('the connection was lost')))
    await expect(failed).rejects.toThrow('the connection was lost')
    void history.run('b', { set: 2 }, () => new Promise<number>(() => undefined))
    expect(history.operations).toEqual([
      { process: 'a', input: { set: 1 }, called: expect.any(Number) as number },
      { process: 'b', input: { set: 2 }, called: expect.any(Number) as number },
    ])
    await history.run('c', 'get', () => 2)
    await history.run('c', 'get', () => 1)
    expect(checkLinearizability(register, history.operations).ok).toBe(true)
  })

  it('leaves out calls of which an error says that nothing was done', async () => {
    const nothingDone = (error: unknown): boolean => error instanceof RangeError
    const history = recordHistory<Input, number>(virtualClock(), { nothingDone })
    const refuse = (): number => {
      throw new RangeError('refused')
    }
    await expect(history.run('a', { set: 1 }, refuse)).rejects.toThrow('refused')
    await history.run('a', 'get', () => 1)
    expect(history.operations).toHaveLength(1)
    expect(checkLinearizability(register, history.operations).verdict).toBe('violated')
  })

  it('can be written down as JSON', async () => {
    const history = recordHistory<Input, number>(virtualClock())
    await history.run('a', { set: 1 }, () => 1)
    void history.run('b', { set: 2 }, () => new Promise<number>(() => undefined))
    const again = JSON.parse(JSON.stringify(history.operations)) as typeof history.operations
    expect(again).toEqual(history.operations)
    expect(checkLinearizability(register, again).ok).toBe(true)
  })
})
