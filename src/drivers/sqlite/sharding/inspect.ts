import type { Database } from 'better-sqlite3'
import type { ShardInspection, ShardSpec } from '../../../coordination/sharding/data/store.js'
import type { Clock } from '../../../core/clock.js'
import { ApplicationDatabase } from '../application-database.js'
import type { SqliteHandle } from '../read-models/store.js'
import { BUCKET, catalogOf, stagedName } from './catalog.js'
import { identityIn } from './identity.js'
import { KIND } from './kind.js'
import { checkKeys, checkReferences, hasStaged } from './prepare.js'
import { hasRows, isThere } from './tables.js'

/**
 * Looks at a file that is to become a shard, or is one, and changes nothing.
 *
 * @throws `BANYAN_SHARD_UNAVAILABLE`, also if there is no such file; `BANYAN_SHARD_UNFIT`
 */
export async function inspectSqliteShard(
  where: string | SqliteHandle,
  spec: ShardSpec,
  clock: Clock,
): Promise<ShardInspection> {
  const file = await ApplicationDatabase.look(where, KIND, clock)
  try {
    return await file.patiently(() => file.database.transaction(() => inspected(file.database, spec))())
  } finally {
    file.close()
  }
}

function inspected(database: Database, spec: ShardSpec): ShardInspection {
  const catalog = catalogOf(database, spec)
  checkReferences(database, spec)
  const isPrepared = isThere(database, 'table', KIND.table)
  const identity = isPrepared ? identityIn(database) : undefined
  if (!identity) for (const table of catalog.values()) checkKeys(database, spec, table)
  const sharded = shardedIn(database)
  return {
    engine: 'sqlite',
    isPrepared,
    identity,
    filled: [...new Set([...catalog.keys(), ...sharded])].filter((table) => hasRows(database, table)),
    isMoving: isPrepared && isMoving(database, sharded),
  }
}

/** Tables whose rows have buckets. */
export function shardedIn(database: Database): string[] {
  const tables = database
    .prepare(
      `SELECT t.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.name = ? ORDER BY t.name`,
    )
    .pluck()
    .all(BUCKET) as string[]
  return tables.filter((name) => !name.startsWith(stagedName('')))
}

function isMoving(database: Database, tables: readonly string[]): boolean {
  const isMarked = database
    .prepare("SELECT 1 FROM banyan_shard_buckets WHERE move IS NOT NULL OR state <> 'owned' LIMIT 1")
    .get()
  return isMarked !== undefined || tables.some((name) => hasStaged(database, name))
}
