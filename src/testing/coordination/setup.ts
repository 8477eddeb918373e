import type { Runtime } from '../../core/runtime.js'
import type { Coordinator, CoordinatorCapabilities } from '../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'

/** What {@link coordinatorConformance} needs to try a driver. */
export interface CoordinatorSetup {
  /** What the driver promises; each driver that is opened must say the same. */
  readonly capabilities: CoordinatorCapabilities
  /** What the engine can be made to suffer; each adds the cases for it, and each engine under test must bring it. */
  readonly faults?: readonly (keyof EngineFaults)[]
  /** Makes a fresh engine, or a fresh part of one. Called for each case. */
  open(): Promise<CoordinatorUnderTest>
}

/** One engine, and the ways to reach it. */
export interface CoordinatorUnderTest {
  /** The first handle on it; the suite closes it. */
  readonly driver: CoordinatorDriver
  /** One more handle on the same keys, as another process would open it, or this one after a restart. */
  connect(): Promise<CoordinatorDriver>
  readonly faults?: EngineFaults
  /** Removes it. */
  dispose?(): Promise<void>
}

/** What can be done to an engine, at any moment. */
export interface EngineFaults {
  /** Forgets all changes that were made until now, as after a long time. */
  compact?(): Promise<void>
  /** Ends it at once, as `kill -9` does, and starts it again. Resolves when it answers. */
  restart?(): Promise<void>
  /** Cuts all connections; new ones can be made at once. */
  cut?(): Promise<void>
  /** From now on nobody reaches it, until the function that is returned is called. */
  away?(): Promise<() => Promise<void>>
}

/** What a case is given. */
export interface CoordinatorTrial {
  /** The coordinator under test, without any keys. */
  readonly coordinator: Coordinator
  readonly driver: CoordinatorDriver
  readonly capabilities: CoordinatorCapabilities
  /** A short lease that the driver can keep, in ms. */
  readonly ttl: number
  /** Another handle on the same keys, with a runtime of its own or through a wrapped driver. */
  readonly another: (options?: AnotherOptions) => Promise<Coordinator>
  /** A handle of the driver alone. */
  readonly connect: () => Promise<CoordinatorDriver>
  /** Closes every handle and opens the keys again. */
  readonly restartHandles: () => Promise<Coordinator>
  readonly fault: <Name extends keyof EngineFaults>(name: Name) => NonNullable<EngineFaults[Name]>
}

/** How another handle differs. */
export interface AnotherOptions {
  runtime?: Runtime
  wrap?: (driver: CoordinatorDriver) => CoordinatorDriver
}

/** A case before it is bound to a setup. */
export interface CoordinatorCase {
  readonly name: string
  readonly needs?: readonly (keyof EngineFaults | 'durable' | 'shared')[]
  readonly run: (trial: CoordinatorTrial) => Promise<void>
}
