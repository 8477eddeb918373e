import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { lanes, type LanesOptions } from './lanes-scenario.js'

const KINDS: readonly (readonly [what: string, seeds: number, options: LanesOptions])[] = [
  ['by stream', 40, {}],
  ['by a key function', 20, { key: ({ data }) => (data as { key?: string }).key }],
  ['parking single messages', 15, { park: 'message' }],
  ['with effects in the log', 20, { delivery: 'effectively-once' }],
  ['with an operator who redrives, seeks and pauses', 25, { operated: true }],
  ['as a shard map says', 8, { assignment: 'orders' }],
  ['acknowledged before', 15, { delivery: 'at-most-once' }],
]

describe('three consumers that crash, over a log that fails', () => {
  it.each(KINDS)(
    'handle or park every message, and let none overtake another of its key: %s',
    { timeout: 300_000 },
    async (_, count, options) => {
      const run = (world: Parameters<typeof lanes>[0]): Promise<void> => lanes(world, options)
      const { seeds } = await simulate({ seeds: times(count), run, stepLimit: 2_000_000 })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
    },
  )
})
