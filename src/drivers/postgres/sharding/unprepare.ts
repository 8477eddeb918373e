import { ApplicationDatabase } from '../application-database.js'
import type { PostgresClient, PostgresPool } from '../read-models/client.js'
import { BUCKET, quoted } from './catalog.js'
import { shardedIn } from './inspect.js'
import { KIND } from './kind.js'
import { PREPARE_LOCK } from './prepare.js'

/**
 * Takes from a database all that makes it a shard; its rows stay. In one transaction; does nothing if nothing of it is there.
 *
 * @returns whether there was anything
 * @throws `BANYAN_SHARD_UNAVAILABLE`; errors of the engine if what others have made needs `banyan_bucket`, such as a view
 */
export async function unpreparePostgresShard(where: string | PostgresPool): Promise<boolean> {
  const database = await ApplicationDatabase.look(where, KIND)
  try {
    return await database.transact(unprepare)
  } finally {
    await database.close()
  }
}

async function unprepare(client: PostgresClient): Promise<boolean> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [PREPARE_LOCK])
  for (const table of await shardedIn(client)) {
    const { rows } = await client.query(
      `SELECT tgname AS trigger, tgfoid::regprocedure::text AS run FROM pg_trigger
       WHERE tgrelid = $1::regclass AND tgname IN ('banyan_row', 'banyan_truncate')`,
      [quoted(table)],
    )
    for (const { trigger } of rows) await client.query(`DROP TRIGGER ${String(trigger)} ON ${quoted(table)}`)
    for (const run of new Set(rows.map((row) => String(row['run']))))
      await client.query(`DROP FUNCTION ${run}`)
    // Its index and its default go with it.
    await client.query(`ALTER TABLE ${quoted(table)} DROP COLUMN ${BUCKET}`)
  }
  const { rows } = await client.query(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
       AND (relname = $1 OR relname LIKE 'banyan\\_shard\\_%' OR relname LIKE 'banyan\\_staged\\_%')`,
    [KIND.table],
  )
  for (const { name } of rows) await client.query(`DROP TABLE ${quoted(String(name))}`)
  return rows.length > 0
}
