/**
 * The conformance suite of the event log: half of the definition of its port. Every law of `EventLog` and every sentence
 * of `LogDriver` is a case, that runs on a fresh log and says what was broken. What a driver does not promise in its
 * capabilities is skipped, and shown as skipped.
 */
import { appendCases } from './append.js'
import { bindCases } from './bind.js'
import { closeCases } from './close.js'
import { contentCases } from './content.js'
import { driverCases } from './driver.js'
import { expectationCases } from './expectations.js'
import { followCases } from './follow.js'
import { idCases } from './ids.js'
import { modelCases } from './model-cases.js'
import { positionCases } from './positions.js'
import { readCases } from './read.js'
import { replicaCases } from './replica.js'
import type { ConformanceCase, LogSetup } from './setup.js'
import { transactionCases } from './transactions.js'
import { truncationCases } from './truncation.js'

export type { ConformanceCase, LogSetup, LogUnderTest, OpenTransaction } from './setup.js'

/**
 * The cases that a driver of an event log must pass, for any test framework to loop over:
 *
 * ```ts
 * for (const { name, skip, run } of logConformance({ capabilities, open })) test(name, { skip }, run)
 * ```
 *
 * Random operations are drawn from `BANYAN_SEED` if it is set, otherwise from a seed of their own that the error names.
 */
export function logConformance(setup: LogSetup): ConformanceCase[] {
  return bindCases(setup, [
    ...appendCases,
    ...expectationCases,
    ...idCases,
    ...contentCases,
    ...readCases,
    ...positionCases,
    ...followCases,
    ...truncationCases,
    ...closeCases,
    ...transactionCases,
    ...driverCases,
    ...replicaCases,
    ...modelCases,
  ])
}
