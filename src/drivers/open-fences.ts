import type { FenceStore } from '../coordination/fencing/store.js'
import { systemRuntime, type Runtime } from '../core/runtime.js'
import { openApplication, type ApplicationPlace } from './open-application.js'
import { FENCES_SCHEMA as POSTGRES } from './postgres/fences/schema.js'
import { FENCES_SCHEMA as SQLITE } from './sqlite/fences/schema.js'

/**
 * Opens the fences in a database of an application; their module, and the package it needs, is loaded only then.
 *
 * @param where - `sqlite:./app.db`, `postgres://...`, a `Database` of better-sqlite3, a `Pool` of pg
 * @param options.migrate - whether to make the table if it is not there
 * @param options.wait - how long transactions of earlier holders are waited for, in ms
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_FENCES_UNAVAILABLE`
 */
export function openFenceStore(
  where: ApplicationPlace,
  {
    runtime: { clock } = systemRuntime,
    migrate = true,
    wait,
  }: { runtime?: Runtime; migrate?: boolean; wait: number },
): Promise<FenceStore<unknown>> {
  return openApplication<FenceStore<unknown>>('a table of fences', where, {
    sqlite: async (place) =>
      (await import('./sqlite/fences/store.js')).openSqliteFences(place, { clock, migrate, wait }),
    postgres: async (place) =>
      (await import('./postgres/fences/store.js')).openPostgresFences(place, { migrate, wait }),
  })
}

/** The SQL that makes the table of fences, for those who migrate their database themselves. */
export function fencesSchema(engine: 'postgres' | 'sqlite'): string {
  return { postgres: POSTGRES, sqlite: SQLITE }[engine]
}
