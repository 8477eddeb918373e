import { freshSeed, seedOfEnvironment } from '../../src/testing/seed.js'

/** `BANYAN_SEED=n` repeats a plan. What real processes make of a plan differs a little each time. */
export const SEED = seedOfEnvironment() ?? freshSeed()

const FACTOR = Number(process.env['BANYAN_TEST_FACTOR'] ?? 1)

/**
 * How often something is tried that is drawn by chance: seeds, kills, broken requests, seconds of load.
 * `BANYAN_TEST_FACTOR=10` makes it ten times as often.
 *
 * @param usual - enough for every run of all tests
 */
export function times(usual: number): number {
  return Math.max(1, Math.round(usual * FACTOR))
}
