import { it } from 'vitest'
import { coordinatorConformance, type CoordinatorSetup } from '../../src/testing/index.js'

/** Runs the conformance suite; what does not apply to the driver is shown as skipped. */
export function runCoordinatorConformance(setup: CoordinatorSetup): void {
  for (const { name, skip, run } of coordinatorConformance(setup))
    if (skip === undefined) it(name, run)
    else it.skip(`${name} (${skip})`)
}
