import { expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { sagaScenario } from './sagas-scenario.js'

const SEEDS = 40

it(
  `sagas end completed, undone in reverse order, or parked, and nothing is done twice, whatever crashes; dozens of seeds`,
  { timeout: 300_000 },
  async () => {
    const { seeds } = await simulate({
      seeds: times(SEEDS),
      run: sagaScenario,
      timeLimit: '2h',
      stepLimit: 2_000_000,
    })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(SEEDS))
  },
)
