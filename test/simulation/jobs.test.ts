import { describe, expect, it } from 'vitest'
import { simulate, type SimulateOptions } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { jobs, type JobsVariant } from './jobs-scenario.js'

const VARIANTS: readonly (readonly [what: string, seeds: number, variant: JobsVariant])[] = [
  [
    'runs each time once if nothing goes wrong but clocks',
    3,
    { isFair: true, missed: 'all', limit: 1000, retry: {} },
  ],
  ['starts each time at most once', 8, {}],
  ['starts each time at most once, and leaves none out', 6, { missed: 'all', limit: 1000 }],
  [
    'runs each time until it has succeeded',
    6,
    { missed: 'all', limit: 1000, retry: { attempts: 1000, base: 50, max: 200 } },
  ],
  ['starts what waits for a run to be over', 4, { overlap: 'all', limit: 1000 }],
  [
    'starts each time at most once, whose plan changes, and which is paused',
    5,
    { isReplanned: true, jitter: '1s', overlap: 'all', limit: 1000 },
  ],
  [
    'gives up after some tries, and goes on',
    5,
    { retry: { attempts: 3, base: 50 }, overlap: 'last', timeout: '1s', isAskedFor: true },
  ],
]

const FAIR: SimulateOptions['faults'] = { crash: 0, stall: 0, refuse: 0, loseAnswer: 0, failRead: 0 }

describe('a job on nodes that crash, stall, and whose clocks differ, over an engine that fails', () => {
  it.each(VARIANTS)('%s', { timeout: 300_000 }, async (_, count, variant) => {
    const { seeds } = await simulate({
      seeds: times(count),
      stepLimit: 2_000_000,
      faults: variant.isFair ? FAIR : { crash: 0.005, stall: 0.01 },
      run: (world) => jobs(world, variant),
    })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(count))
  })
})
