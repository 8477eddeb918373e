import type { ShardInspection, ShardSpec, ShardStore } from '../coordination/sharding/data/store.js'
import { systemRuntime, type Runtime } from '../core/runtime.js'
import { openApplication, type ApplicationPlace } from './open-application.js'
import { SHARD_SCHEMA as POSTGRES } from './postgres/sharding/schema.js'
import { SHARD_SCHEMA as SQLITE } from './sqlite/sharding/schema.js'

/**
 * Opens a database of an application as a shard; its module, and the package it needs, is loaded only then.
 *
 * @param where - `sqlite:./app.db`, `postgres://...`, a `Database` of better-sqlite3, a `Pool` of pg
 * @param options.migrate - whether to make the tables of a shard if they are not there
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_SHARD_UNAVAILABLE`
 */
export function openShardStore(
  where: ApplicationPlace,
  spec: ShardSpec,
  { runtime: { clock } = systemRuntime, migrate = true }: { runtime?: Runtime; migrate?: boolean } = {},
): Promise<ShardStore<unknown>> {
  return openApplication<ShardStore<unknown>>('a shard', where, {
    sqlite: async (place) =>
      (await import('./sqlite/sharding/store.js')).openSqliteShard(place, spec, { clock, migrate }),
    postgres: async (place) =>
      (await import('./postgres/sharding/store.js')).openPostgresShard(place, spec, { migrate }),
  })
}

/**
 * Looks at a database that is to become a shard, or is one, and changes nothing.
 *
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_SHARD_UNFIT`; `BANYAN_SHARD_UNAVAILABLE`, also if there is no such file
 */
export function inspectShard(
  where: ApplicationPlace,
  spec: ShardSpec,
  { clock }: Runtime = systemRuntime,
): Promise<ShardInspection> {
  return openApplication<ShardInspection>('a shard', where, {
    sqlite: async (place) =>
      (await import('./sqlite/sharding/inspect.js')).inspectSqliteShard(place, spec, clock),
    postgres: async (place) =>
      (await import('./postgres/sharding/inspect.js')).inspectPostgresShard(place, spec),
  })
}

/**
 * Takes from a database all that makes it a shard; its rows stay.
 *
 * @returns whether there was anything of it
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_SHARD_UNAVAILABLE`; errors of the engine if what others have made needs `banyan_bucket`
 */
export function unprepareShard(
  where: ApplicationPlace,
  { clock }: Runtime = systemRuntime,
): Promise<boolean> {
  return openApplication<boolean>('a shard', where, {
    sqlite: async (place) =>
      (await import('./sqlite/sharding/unprepare.js')).unprepareSqliteShard(place, clock),
    postgres: async (place) =>
      (await import('./postgres/sharding/unprepare.js')).unpreparePostgresShard(place),
  })
}

/**
 * The SQL that makes the tables of a shard, for those who migrate their database themselves. What the tables of the application need is
 * added when they are prepared: the column `banyan_bucket`, its index, triggers, and tables to stage rows in.
 */
export function shardSchema(engine: 'postgres' | 'sqlite'): string {
  return { postgres: POSTGRES, sqlite: SQLITE }[engine]
}

/**
 * The statements that would make what sharding needs in a database, for those who change its tables themselves; none if all is there. Rows
 * that are there get their bucket from `prepare`.
 *
 * @param where - `sqlite:./app.db`, `postgres://...`
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_UNAVAILABLE`
 */
export function shardPrepareSql(where: string, spec: ShardSpec): Promise<string[]> {
  return openApplication<string[]>('a shard', where, {
    sqlite: async (place) =>
      (await import('./sqlite/sharding/prepare-sql.js')).sqlitePrepareSql(place as string, spec),
    postgres: async (place) =>
      (await import('./postgres/sharding/prepare-sql.js')).postgresPrepareSql(place as string, spec),
  })
}
