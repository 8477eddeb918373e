import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { claiming, sharing, type Bustle } from './shards-scenario.js'

const KINDS: readonly [what: Bustle, seeds: number][] = [
  ['nothing else', 14],
  ['loads that change', 10],
  ['an operator', 12],
]

describe('workers of a shard map with clocks of their own, over an engine that fails', () => {
  it.each(KINDS)(
    'never believe that two of them have a key, and have all of them in the end: %s',
    { timeout: 300_000 },
    async (what, count) => {
      const { seeds } = await simulate({
        seeds: times(count),
        faults: { stallTime: '4s', crash: 0.005, stall: 0.01 },
        run: (world) => sharing(world, what),
        stepLimit: 1_000_000,
      })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
    },
  )

  it('never have a bucket and a part of it at once, whatever they try', { timeout: 300_000 }, async () => {
    const { seeds } = await simulate({
      seeds: times(5),
      faults: { stallTime: '4s', crash: 0.002, stall: 0.01 },
      run: claiming,
      stepLimit: 1_000_000,
    })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(5))
  })
})
