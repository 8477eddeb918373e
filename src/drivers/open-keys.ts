import { systemRuntime } from '../core/runtime.js'
import type { DriverContext } from '../events/driver.js'
import type { SubjectKeyStore } from '../events/personal-data/keys.js'
import { loadDriver, specOf } from './open-log.js'

/**
 * Opens a store of subjects' keys; its module, and the package it needs, is loaded only then.
 *
 * @param where - `memory:`, `sqlite:./keys`, `postgres://...`
 * @throws `BANYAN_DRIVER_MISSING`, and what the driver throws
 */
export async function openKeyStore(
  where: string,
  context: DriverContext = systemRuntime,
): Promise<SubjectKeyStore> {
  const spec = specOf(where)
  return loadDriver(spec.driver, async () => {
    switch (spec.driver) {
      case 'memory':
        return (await import('./memory/subject-keys.js')).memorySubjectKeys()
      case 'sqlite':
        return (await import('./sqlite/subject-keys.js')).openSqliteSubjectKeys(spec.path, context)
      case 'postgres':
        return (await import('./postgres/subject-keys.js')).openPostgresSubjectKeys(spec.url)
    }
  })
}
