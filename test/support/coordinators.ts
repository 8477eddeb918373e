import { DriverCoordinator } from '../../src/coordination/driver-coordinator.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import type { Clock } from '../../src/core/clock.js'
import type { Telemetry } from '../../src/core/telemetry.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import { virtualRuntime, type VirtualClock } from '../../src/testing/index.js'

/** One store in memory and any number of processes that use it, in virtual time. */
export interface Processes {
  readonly clock: VirtualClock
  readonly store: MemoryCoordination
  /** Another process. */
  readonly open: (options?: ProcessOptions) => DriverCoordinator
}

/** How a process differs. */
export interface ProcessOptions {
  wrap?: (driver: CoordinatorDriver) => CoordinatorDriver
  clock?: Clock
  telemetry?: Telemetry
}

/** Makes a store in memory. */
export function processes(): Processes {
  const runtime = virtualRuntime()
  const { clock } = runtime
  const store = new MemoryCoordination(clock)
  const open = ({ wrap = (driver) => driver, ...others }: ProcessOptions = {}): DriverCoordinator =>
    new DriverCoordinator(wrap(store.connect()), { runtime: { ...runtime, ...others } })
  return { clock, store, open }
}
