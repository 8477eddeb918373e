import { coordinationError } from '../../../coordination/errors.js'
import type { ShardSpec } from '../../../coordination/sharding/data/store.js'
import { loadSqlite } from '../connect.js'
import { prepareTables } from './prepare.js'
import { SHARD_SCHEMA } from './schema.js'

/**
 * The statements that preparing a file would execute, but for the buckets of rows that are there. They are found out on an empty
 * database with the same tables: the file is only read.
 *
 * @throws `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_UNAVAILABLE`
 */
export async function sqlitePrepareSql(file: string, spec: ShardSpec): Promise<string[]> {
  const Sqlite = await loadSqlite()
  const twin = new Sqlite(':memory:')
  try {
    for (const sql of statementsOf(Sqlite, file, spec.id)) twin.exec(sql)
    const made: string[] = []
    const isOurs = twin.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'banyan_shard'").get() !== undefined
    if (!isOurs) {
      twin.exec(SHARD_SCHEMA)
      made.push(SHARD_SCHEMA.trim())
    }
    const exec = twin.exec.bind(twin)
    twin.exec = (sql) => {
      made.push(sql)
      return exec(sql)
    }
    prepareTables(twin, spec)
    return made
  } finally {
    twin.close()
  }
}

/** What has made the tables of a file, in an order in which it can be done again. */
function statementsOf(Sqlite: Awaited<ReturnType<typeof loadSqlite>>, file: string, shard: string): string[] {
  let database
  try {
    database = new Sqlite(file, { readonly: true, fileMustExist: true })
  } catch (error) {
    throw coordinationError(
      'BANYAN_SHARD_UNAVAILABLE',
      `the shard ${JSON.stringify(shard)}: ${file} cannot be read`,
      error,
    )
  }
  try {
    return database
      .prepare(
        `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY type <> 'table', type = 'trigger', rowid`,
      )
      .pluck()
      .all() as string[]
  } finally {
    database.close()
  }
}
