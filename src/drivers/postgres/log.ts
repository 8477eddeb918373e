import type { DriverContext, LogDriver } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import type { PostgresLogSpec } from './spec.js'

/** Opens an event log in a PostgreSQL database. */
export function openPostgresLog(spec: PostgresLogSpec, context: DriverContext): Promise<LogDriver> {
  return Promise.reject(
    eventError('BANYAN_DRIVER_MISSING', `not built yet: ${spec.driver} at ${context.clock.wall()}`),
  )
}
