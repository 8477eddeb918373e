import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { contest, type Contest } from './elections-scenario.js'

const KINDS: readonly [what: Contest, seeds: number][] = [
  ['queue', 20],
  ['record', 15],
  ['priorities', 15],
  ['an operator who asks for other leaders', 15],
  ['a line in which another program stands', 15],
]

describe('candidates with clocks of their own, over an engine that fails', () => {
  it.each(KINDS)(
    'never believe that two of them lead, and have a leader in the end: %s',
    { timeout: 300_000 },
    async (what, count) => {
      const { seeds } = await simulate({
        seeds: times(count),
        faults: { stallTime: '4s', crash: 0.005, stall: 0.01 },
        run: (world) => contest(world, what),
        stepLimit: 1_000_000,
      })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
    },
  )
})
