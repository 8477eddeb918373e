import type { Database } from 'better-sqlite3'
import type { Clock } from '../../../core/clock.js'
import { ApplicationDatabase } from '../application-database.js'
import type { SqliteHandle } from '../read-models/store.js'
import { BUCKET, quoted } from './catalog.js'
import { shardedIn } from './inspect.js'
import { KIND } from './kind.js'

/**
 * Takes from a file all that makes it a shard; its rows stay. In one transaction; does nothing if nothing of it is there.
 *
 * @returns whether there was anything
 * @throws `BANYAN_SHARD_UNAVAILABLE`; errors of the engine if what others have made needs `banyan_bucket`, such as a view
 */
export async function unprepareSqliteShard(where: string | SqliteHandle, clock: Clock): Promise<boolean> {
  const file = await ApplicationDatabase.look(where, KIND, clock)
  try {
    return await file.write(() => unprepare(file.database))
  } finally {
    file.close()
  }
}

function unprepare(database: Database): boolean {
  const named = (where: string, ...values: string[]): { type: string; name: string }[] =>
    database
      .prepare<string[], { type: string; name: string }>(
        `SELECT type, name FROM sqlite_schema WHERE ${where} ORDER BY type = 'index'`,
      )
      .all(...values)
  for (const table of shardedIn(database)) {
    const ours = named(
      "type IN ('trigger', 'index') AND tbl_name = ? AND name LIKE 'banyan\\_%' ESCAPE '\\'",
      table,
    )
    for (const { type, name } of ours) database.exec(`DROP ${type} ${quoted(name)}`)
    database.exec(`ALTER TABLE ${quoted(table)} DROP COLUMN ${BUCKET}`)
  }
  const tables = named(
    `type = 'table' AND (name = ? OR name LIKE 'banyan\\_shard\\_%' ESCAPE '\\' OR name LIKE 'banyan\\_staged\\_%' ESCAPE '\\')`,
    KIND.table,
  )
  for (const { name } of tables) database.exec(`DROP TABLE ${quoted(name)}`)
  return tables.length > 0
}
