import { systemRuntime } from '../core/runtime.js'
import type { DriverContext } from '../events/driver.js'
import { memorySnapshots, type Snapshots } from '../events/event-sourcing/snapshots.js'
import { loadDriver, specOf } from './open-log.js'

/**
 * Opens snapshots; the module of the driver, and the package it needs, is loaded only then.
 *
 * @param where - `memory:`, `sqlite:./snapshots.db`, `postgres://...`
 * @throws `BANYAN_DRIVER_MISSING`, and what the driver throws
 */
export async function openSnapshotStore(
  where: string,
  context: DriverContext = systemRuntime,
): Promise<Snapshots> {
  const spec = specOf(where)
  return loadDriver(spec.driver, async () => {
    switch (spec.driver) {
      case 'memory':
        return memorySnapshots()
      case 'sqlite':
        return (await import('./sqlite/snapshots.js')).openSqliteSnapshots(spec.path, context)
      case 'postgres':
        return (await import('./postgres/snapshots.js')).openPostgresSnapshots(spec.url)
    }
  })
}
