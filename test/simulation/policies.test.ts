import { expect, it } from 'vitest'
import { simulate } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { policiesScenario } from './policies-scenario.js'

const SEEDS = 30

it(
  `each event has one reaction of each policy, which ends completed or is parked until it is mended, and nothing is done twice under one key; dozens of seeds`,
  { timeout: 300_000 },
  async () => {
    const { seeds } = await simulate({
      seeds: times(SEEDS),
      run: policiesScenario,
      timeLimit: '2h',
      stepLimit: 2_000_000,
    })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(SEEDS))
  },
)
