import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { controllers, type By } from './controllers-scenario.js'

const KINDS: readonly [by: By, seeds: number][] = [
  ['one process', 8],
  ['an election', 10],
  ['shards', 6],
]

describe('controllers and collectors on nodes that crash and stall, over an engine that fails', () => {
  it.each(KINDS)(
    'make exactly what is wanted in the end, never work on a key twice at once, and collect nothing that is owned: by %s',
    { timeout: 300_000 },
    async (by, count) => {
      const { seeds } = await simulate({
        seeds: times(count),
        faults: { stallTime: '4s', crash: 0.002, stall: 0.005 },
        run: (world) => controllers(world, by),
        stepLimit: 2_000_000,
      })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
    },
  )
})
