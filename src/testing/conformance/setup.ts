import type { LogDriver } from '../../events/driver.js'
import type { Capabilities, EventLog } from '../../events/log.js'

/** What {@link logConformance} needs to try a driver. */
export interface LogSetup {
  /** What the driver promises. Each promise adds the cases that check it; the driver must say the same. */
  readonly capabilities: Capabilities
  /** Makes a fresh, empty log. Called for each case, and again before the last one is disposed of. */
  open(): Promise<LogUnderTest>
}

/** One log, and the ways to reach it. */
export interface LogUnderTest {
  /** The first handle on it; the suite closes it. */
  readonly driver: LogDriver
  /**
   * Opens one more handle on the same log, as another process would, or this one after a restart: while others are open
   * if `capabilities.shared` is not `'process'`, in any case after they are closed. Missing if nothing stays.
   */
  connect?(): Promise<LogDriver>
  /** Begins a transaction in the database of the log; needed for `capabilities.transactions`. */
  transaction?(): Promise<OpenTransaction>
  /** Begins a transaction in another database of the same server, and writes something in it. Missing if there is none. */
  transactionElsewhere?(): Promise<OpenTransaction>
  /** Opens what `backup` has written; needed for `capabilities.backup`. */
  openBackup?(path: string): Promise<LogDriver>
  /** Removes the log. */
  dispose?(): Promise<void>
}

/** A transaction of the caller's own. */
export interface OpenTransaction {
  /** What `log.within` takes. */
  readonly client: unknown
  /** Ends it, with its connection. */
  commit(): Promise<void>
  rollback(): Promise<void>
}

/** One promise, tried. */
export interface ConformanceCase {
  /** What is promised. */
  readonly name: string
  /** Why this driver need not keep it; missing if it must. */
  readonly skip?: string
  /** Rejects with an error that says what was broken. */
  readonly run: () => Promise<void>
}

/** What a case is given. */
export interface Trial {
  /** The log under test, empty. */
  readonly log: EventLog
  readonly driver: LogDriver
  readonly capabilities: Capabilities
  /** Another handle on the same log; the same one if only one process may have it. */
  readonly another: () => Promise<EventLog>
  /** Closes every handle and opens the log again. */
  readonly restart: () => Promise<EventLog>
  /** Another log, fresh and empty. */
  readonly otherLog: () => Promise<EventLog>
  readonly transaction: () => Promise<OpenTransaction>
  readonly transactionElsewhere: () => Promise<OpenTransaction>
  readonly openBackup: (path: string) => Promise<EventLog>
}

/** What a case needs of a driver, beyond what all can do. */
export type Need =
  'restart' | 'transactions' | 'elsewhere' | 'backup' | 'no transactions' | 'no backup' | 'log' | 'for ever'

/** A case before it is bound to a setup. */
export interface CaseDefinition {
  readonly name: string
  readonly needs?: readonly Need[]
  readonly run: (trial: Trial) => Promise<void>
}
