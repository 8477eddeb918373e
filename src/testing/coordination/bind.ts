import assert from 'node:assert/strict'
import { systemRuntime } from '../../core/runtime.js'
import { noTelemetry } from '../../core/telemetry.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { DriverCoordinator } from '../../coordination/driver-coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import type { ConformanceCase } from '../conformance/setup.js'
import type {
  AnotherOptions,
  CoordinatorCase,
  CoordinatorSetup,
  CoordinatorTrial,
  CoordinatorUnderTest,
} from './setup.js'

/** Leases are at least so long, in ms: a machine that runs other tests, too, must be able to renew them. */
const SHORTEST_MS = 1500

/** Cases with the driver they are to try. */
export function bindCoordinatorCases(
  setup: CoordinatorSetup,
  definitions: readonly CoordinatorCase[],
): ConformanceCase[] {
  return definitions.map(({ name, needs = [], run }) => {
    const skip = needs.map((need) => notNeeded(setup, need)).find((reason) => reason !== undefined)
    return { name, ...(skip !== undefined && { skip }), run: () => runCase(setup, run) }
  })
}

/** Why a driver need not pass; undefined if it must. */
function notNeeded(
  { capabilities, faults = [] }: CoordinatorSetup,
  need: NonNullable<CoordinatorCase['needs']>[number],
): string | undefined {
  switch (need) {
    case 'durable':
      return capabilities.durable === 'none' ? 'nothing stays (durable: none)' : undefined
    case 'shared':
      return capabilities.shared === 'process' ? 'of one process (shared: process)' : undefined
    default:
      return faults.includes(need) ? undefined : `this engine cannot be made to suffer it (${need})`
  }
}

async function runCase(setup: CoordinatorSetup, run: CoordinatorCase['run']): Promise<void> {
  const subject = await setup.open()
  const open: Coordinator[] = []
  const drivers: CoordinatorDriver[] = []
  const track = (driver: CoordinatorDriver, { runtime, wrap }: AnotherOptions = {}): Coordinator => {
    const quiet = { ...systemRuntime, telemetry: noTelemetry }
    const coordinator = new DriverCoordinator(wrap?.(driver) ?? driver, { runtime: runtime ?? quiet })
    open.push(coordinator)
    return coordinator
  }
  try {
    assert.deepEqual(subject.driver.capabilities, setup.capabilities, 'the driver promises something else')
    await run(trialOf(setup, subject, { track, open, drivers }))
  } finally {
    await Promise.all(open.map((coordinator) => coordinator.close()))
    for (const driver of drivers) await driver.close()
    await subject.dispose?.()
  }
}

function trialOf(
  setup: CoordinatorSetup,
  subject: CoordinatorUnderTest,
  handles: {
    track: (driver: CoordinatorDriver, options?: AnotherOptions) => Coordinator
    open: Coordinator[]
    drivers: CoordinatorDriver[]
  },
): CoordinatorTrial {
  const { track, open, drivers } = handles
  return {
    coordinator: track(subject.driver),
    driver: subject.driver,
    capabilities: setup.capabilities,
    ttl: Math.max(SHORTEST_MS, setup.capabilities.minTtl),
    another: async (options) => track(await subject.connect(), options),
    connect: async () => {
      const driver = await subject.connect()
      drivers.push(driver)
      return driver
    },
    restartHandles: async () => {
      await Promise.all(open.splice(0).map((coordinator) => coordinator.close()))
      return track(await subject.connect())
    },
    fault: (name) => {
      const found = subject.faults?.[name]
      assert.ok(found, `the setup must bring the fault ${name}: it says that the engine can suffer it`)
      return found
    },
  }
}
