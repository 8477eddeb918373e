import type { Clock } from '../../core/clock.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import type { Random } from '../../core/random.js'
import type { LogDriver } from '../../events/driver.js'
import type { EventLog } from '../../events/log.js'
import type { Choices } from '../seed.js'
import type { FaultRates, LogFaults } from './faults.js'

/** A log in the world: it outlives the nodes that use it. */
export interface SimulatedLog {
  readonly driver: LogDriver
  /** The log as it is, without faults: for what the test wants to know. */
  readonly truth: EventLog
}

/** An engine of a coordinator in the world: it outlives the nodes that use it. */
export interface SimulatedCoordination {
  readonly driver: CoordinatorDriver
  /** The coordinator as it is, without faults: for what the test wants to know. */
  readonly truth: Coordinator
}

/** What nodes need of the world. */
export interface WorldContext {
  readonly clock: Clock
  readonly source: Random
  readonly random: Choices
  readonly rates: FaultRates
  readonly faults: LogFaults
  readonly isStormy: () => boolean
  /** Writes a line into the trace. */
  readonly record: (who: string, text: string) => void
  /** Ends the run with an error. */
  readonly fail: (error: unknown) => void
}
