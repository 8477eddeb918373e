/**
 * The conformance suite of the coordinator: half of the definition of its port. Every law of `Coordinator` and every sentence
 * of `CoordinatorDriver` is a case, that runs on a fresh engine and says what was broken.
 */
import type { ConformanceCase } from '../conformance/setup.js'
import { beliefCases } from './belief.js'
import { bindCoordinatorCases } from './bind.js'
import { closeCases } from './closing.js'
import { concurrencyCases } from './concurrency.js'
import { faultCases } from './faults.js'
import { keyCases } from './keys.js'
import { leaseCases } from './leases.js'
import type { CoordinatorSetup } from './setup.js'
import { watchCases } from './watches.js'

export type { CoordinatorSetup, CoordinatorUnderTest, EngineFaults } from './setup.js'

/**
 * The cases that a driver of a coordinator must pass, for any test framework to loop over:
 *
 * ```ts
 * for (const { name, skip, run } of coordinatorConformance({ capabilities, open })) test(name, { skip }, run)
 * ```
 *
 * Several cases wait for leases to end, in real time; they may run side by side. Random calls are drawn from `BANYAN_SEED` if it
 * is set, otherwise from a seed of their own that the error names.
 */
export function coordinatorConformance(setup: CoordinatorSetup): ConformanceCase[] {
  return bindCoordinatorCases(setup, [
    ...keyCases,
    ...leaseCases,
    ...watchCases,
    ...concurrencyCases,
    ...beliefCases,
    ...faultCases,
    ...closeCases,
  ])
}
