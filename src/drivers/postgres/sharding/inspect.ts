import type { ShardInspection, ShardSpec } from '../../../coordination/sharding/data/store.js'
import { ApplicationDatabase } from '../application-database.js'
import type { PostgresClient, PostgresPool } from '../read-models/client.js'
import { BUCKET, catalogOf, quoted, stagedName } from './catalog.js'
import { identityIn } from './identity.js'
import { KIND } from './kind.js'
import { checkKeys, checkReferences, hasStaged } from './prepare.js'
import { hasRows, isThere } from './tables.js'

/**
 * Looks at a database that is to become a shard, or is one, and changes nothing.
 *
 * @throws `BANYAN_SHARD_UNAVAILABLE`, `BANYAN_SHARD_UNFIT`
 */
export async function inspectPostgresShard(
  where: string | PostgresPool,
  spec: ShardSpec,
): Promise<ShardInspection> {
  const database = await ApplicationDatabase.look(where, KIND)
  try {
    return await database.transact(async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
      return inspected(client, spec)
    })
  } finally {
    await database.close()
  }
}

async function inspected(client: PostgresClient, spec: ShardSpec): Promise<ShardInspection> {
  const catalog = await catalogOf(client, spec)
  await checkReferences(client, spec)
  const isPrepared = await isThere(client, quoted(KIND.table))
  const identity = isPrepared ? await identityIn(client) : undefined
  if (!identity) for (const table of catalog.values()) await checkKeys(client, spec, table)
  const sharded = await shardedIn(client)
  const filled: string[] = []
  for (const table of new Set([...catalog.keys(), ...sharded]))
    if (await hasRows(client, quoted(table))) filled.push(table)
  return {
    engine: 'postgres',
    isPrepared,
    identity,
    filled,
    isMoving: isPrepared && (await isMoving(client, sharded)),
  }
}

/** Tables whose rows have buckets, in the schema that is first in the search path. */
export async function shardedIn(client: PostgresClient): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT relname AS name FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attname = $1 AND NOT attisdropped
     ORDER BY relname`,
    [BUCKET],
  )
  return rows.map((row) => String(row['name'])).filter((name) => !name.startsWith(stagedName('')))
}

async function isMoving(client: PostgresClient, tables: readonly string[]): Promise<boolean> {
  const { rows } = await client.query(
    "SELECT 1 FROM banyan_shard_buckets WHERE move IS NOT NULL OR state <> 'owned' LIMIT 1",
  )
  if (rows.length > 0) return true
  for (const table of tables)
    if (await hasStaged(client, { stagedSql: quoted(stagedName(table)) })) return true
  return false
}
