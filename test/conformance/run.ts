import { it } from 'vitest'
import { logConformance, type LogSetup } from '../../src/testing/index.js'

/** Runs the conformance suite; what does not apply to the driver is shown as skipped. */
export function runConformance(setup: LogSetup): void {
  for (const { name, skip, run } of logConformance(setup))
    if (skip === undefined) it(name, { timeout: 300_000 }, run)
    else it.skip(`${name} (${skip})`)
}
