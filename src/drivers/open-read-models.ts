import { systemRuntime } from '../core/runtime.js'
import type { DriverContext } from '../events/driver.js'
import { eventError } from '../events/errors.js'
import type { ReadModelStore } from '../events/projections/store.js'
import { loadDriver, specOf } from './open-log.js'
import type { PostgresPool } from './postgres/read-models/client.js'
import type { SqliteHandle } from './sqlite/read-models/store.js'

/** Where read models can be: a URL, or what an application has open itself. */
export type ReadModelPlace = string | SqliteHandle | PostgresPool

/**
 * Opens a store of read models; its module, and the package it needs, is loaded only then.
 *
 * @param where - `memory:`, `sqlite:./read`, `postgres://...`, a `Database` of better-sqlite3, a `Pool` of pg
 * @throws `BANYAN_DRIVER_MISSING`, and what the driver throws
 */
export async function openReadModelStore(
  where: ReadModelPlace,
  context: DriverContext = systemRuntime,
): Promise<ReadModelStore<unknown>> {
  const sqlite = (place: string | SqliteHandle) =>
    loadDriver('sqlite', async () =>
      (await import('./sqlite/read-models/store.js')).openSqliteReadModels(place, context),
    )
  const postgres = (place: string | PostgresPool) =>
    loadDriver('postgres', async () =>
      (await import('./postgres/read-models/store.js')).openPostgresReadModels(place),
    )
  if (typeof where === 'object') {
    if ('totalCount' in where) return postgres(where)
    if ('memory' in where) return sqlite(where)
    throw eventError(
      'BANYAN_DRIVER_MISSING',
      'read models are opened with a URL, a Database of better-sqlite3, or a Pool of pg; not with a client, which has one connection only',
    )
  }
  const spec = specOf(where)
  switch (spec.driver) {
    case 'memory':
      return (await import('./memory/read-models.js')).memoryReadModels()
    case 'sqlite':
      return sqlite(spec.path)
    case 'postgres':
      return postgres(spec.url)
  }
}
