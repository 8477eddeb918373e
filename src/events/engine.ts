import type { LogDriver } from './driver.js'
import type { EventLog } from './log.js'

const engines = new WeakMap<EventLog, LogDriver>()

/** To be called by a log over a driver. */
export function keepEngine(log: EventLog, driver: LogDriver): void {
  engines.set(log, driver)
}

/**
 * What is below a log: for what moves events as they are stored, without what transforms make of them. Undefined for a log
 * that something else stands in front of.
 */
export function engineOf(log: EventLog): LogDriver | undefined {
  return engines.get(log)
}
