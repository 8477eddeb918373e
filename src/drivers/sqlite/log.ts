import type { DriverContext, LogDriver } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import type { SqliteLogSpec } from './spec.js'

/** Opens an event log in a SQLite file. */
export function openSqliteLog(spec: SqliteLogSpec, context: DriverContext): Promise<LogDriver> {
  return Promise.reject(
    eventError('BANYAN_DRIVER_MISSING', `not built yet: ${spec.driver} at ${context.clock.wall()}`),
  )
}
