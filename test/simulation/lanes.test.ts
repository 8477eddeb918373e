import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { lanes } from './lanes-scenario.js'

const SEEDS = Number(process.env['LANES_SEEDS'] ?? 300)

describe('key lanes over a log that fails', () => {
  it(
    'handle or park every message, and let none overtake another of its key',
    { timeout: 300_000 },
    async () => {
      const { seeds } = await simulate({ seeds: SEEDS, run: lanes, stepLimit: 2_000_000 })
      if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(SEEDS)
    },
  )
})
