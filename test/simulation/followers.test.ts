import { expect, it } from 'vitest'
import { simulate, SimulationError } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { leaderAndFollowers } from './followers-scenario.js'

it(
  'followers are never stale, lose only what was told, and end as their leader is',
  { timeout: 300_000 + times(40) * 500 },
  async () => {
    const { seeds } = await simulate({ seeds: times(40), run: leaderAndFollowers })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(times(40))
  },
)

it('the simulation finds a copy that leaves out a commit', { timeout: 300_000 }, async () => {
  const failure: unknown = await simulate({
    seeds: 50,
    run: (world) =>
      leaderAndFollowers(world, {
        driver: (driver) => {
          const apply = driver.replica.apply.bind(driver.replica)
          driver.replica.apply = (shipment) => apply({ ...shipment, commits: shipment.commits.slice(0, 1) })
          return driver
        },
      }),
  }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SimulationError)
  expect((failure as Error).message).toMatch(/stale read|not the same|lost/)
})
