import { availableParallelism } from 'node:os'
import { freshSeed, seedOfEnvironment } from '../../src/testing/seed.js'

/** `BANYAN_SEED=n` repeats a plan. What real processes make of a plan differs a little each time. */
export const SEED = seedOfEnvironment() ?? freshSeed()

/** All tests are to take less than 20 minutes on two cores, too. */
const USUAL = availableParallelism() > 2 ? 1 : 0.7
const FACTOR = Number(process.env['BANYAN_TEST_FACTOR'] ?? USUAL)

/**
 * How often something is tried that is drawn by chance: seeds, kills, broken requests, seconds of load.
 * `BANYAN_TEST_FACTOR=10` makes it ten times as often.
 *
 * @param usual - enough for every run of all tests; with two cores it is a part of that
 */
export function times(usual: number): number {
  return Math.max(1, Math.round(usual * FACTOR))
}
