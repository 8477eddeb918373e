import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { contention, type Contended } from './locks-scenario.js'

const KINDS: readonly [what: Contended, seeds: number][] = [
  ['lock', 20],
  ['read-write lock', 15],
  ['semaphore', 15],
  ['forced lock', 10],
  ['two locks at once', 10],
]

describe('nodes with clocks of their own, over an engine that fails', () => {
  it.each(KINDS)(
    'never hold more of it than there is, and have it in the end: %s',
    { timeout: 300_000 },
    async (what, count) => {
      const { seeds } = await simulate({
        seeds: times(count),
        faults: { stallTime: '4s', crash: 0.005, stall: 0.01 },
        run: (world) => contention(world, what),
        stepLimit: 1_000_000,
      })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
    },
  )
})
