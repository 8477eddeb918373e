import type { Runtime } from '../core/runtime.js'
import { eventError } from '../events/errors.js'
import type { ChangeSource } from '../events/cdc/source.js'
import { loadDriver } from './open-log.js'

/**
 * Opens the changes of a database; its module, and the package it needs, is loaded only then. Connects to nothing yet.
 *
 * @param where - `postgres://user:password@host/database`
 * @throws `BANYAN_DRIVER_MISSING`
 */
export async function openChanges(where: string, runtime: Runtime): Promise<ChangeSource> {
  if (!/^postgres(ql)?:\/\//.test(where) || !URL.canParse(where))
    throw eventError(
      'BANYAN_DRIVER_MISSING',
      'changes are captured from a PostgreSQL database: postgres://user:password@host:5432/database',
    )
  return loadDriver('postgres', async () =>
    (await import('./postgres/cdc/source.js')).openPostgresChanges(where, runtime),
  )
}
