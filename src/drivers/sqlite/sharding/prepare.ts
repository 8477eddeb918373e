import type { Database } from 'better-sqlite3'
import { bucketOf } from '../../../coordination/sharding/buckets.js'
import { unfit, unmarked, type Prepared, type ShardSpec } from '../../../coordination/sharding/data/store.js'
import { BUCKET, catalogOf, columnsOf, quoted, stagedName, type ShardTable } from './catalog.js'
import { countIn } from './identity.js'
import type { StoredValue } from './rows.js'
import { hasRows, isThere } from './tables.js'
import { triggersOf } from './triggers.js'

/** Rows that get their bucket in one transaction. */
const FILL = 5000

/**
 * Adds to the tables what is missing, in a transaction of the caller's.
 *
 * @returns whether anything was
 * @throws `BANYAN_SHARD_UNFIT`
 */
export function prepareTables(database: Database, spec: ShardSpec): boolean {
  let changed = false
  const make = (sql: string): void => {
    database.exec(sql)
    changed = true
  }
  for (const name of Object.keys(spec.tables))
    if (
      !columnsOf(database, name).some((column) => column.name === BUCKET) &&
      columnsOf(database, name).length > 0
    )
      make(`ALTER TABLE ${quoted(name)} ADD COLUMN ${BUCKET} INTEGER`)
  for (const table of catalogOf(database, spec).values()) {
    const { name, primaryKey } = table
    const index = `banyan_bucket_${name}`
    if (!isThere(database, 'index', index))
      make(
        `CREATE INDEX ${quoted(index)} ON ${quoted(name)} (${[BUCKET, ...primaryKey.map(quoted)].join(', ')})`,
      )
    for (const [trigger, sql] of triggersOf(table)) {
      const found = sqlOf(database, trigger)
      if (found === sql) continue
      if (found !== undefined) make(`DROP TRIGGER ${quoted(trigger)}`)
      make(sql)
    }
    if (stage(database, table)) changed = true
  }
  checkReferences(database, spec)
  return changed
}

/** Whether rows can be staged that have the columns of the table as it is now. */
export function isStagedAs(database: Database, table: ShardTable): boolean {
  return sqlOf(database, stagedName(table.name)) === stagedSql(table)
}

function stagedSql({ name, columns: all, primaryKey }: ShardTable): string {
  const columns = all.map((column) => `${quoted(column.name)} ${column.type}`)
  return `CREATE TABLE ${quoted(stagedName(name))} (${columns.join(', ')}, PRIMARY KEY (${[...primaryKey.map(quoted), BUCKET].join(', ')}))`
}

/** Whether rows are staged. */
export function hasStaged(database: Database, table: string): boolean {
  const staged = stagedName(table)
  return isThere(database, 'table', staged) && hasRows(database, staged)
}

/**
 * Makes the table where rows are staged, or makes it anew if the columns have changed. With rows in it, it stays as it is: who reads and
 * writes needs none of it, and nothing moves before somebody has decided what becomes of them.
 */
function stage(database: Database, table: ShardTable): boolean {
  const name = stagedName(table.name)
  const sql = stagedSql(table)
  const found = sqlOf(database, name)
  if (found === sql) return false
  if (found !== undefined) {
    if (hasStaged(database, table.name)) return false
    database.exec(`DROP TABLE ${quoted(name)}`)
  }
  database.exec(`${sql}; CREATE INDEX ${quoted(`${name}_bucket`)} ON ${quoted(name)} (${BUCKET})`)
  return true
}

/**
 * Gives some of the rows that have no bucket theirs, in a transaction of the caller's.
 *
 * @returns how many; 0 if all have one
 * @throws `BANYAN_SHARD_UNFIT` for rows whose key cannot be one
 */
export function fillBuckets(database: Database, spec: ShardSpec, table: ShardTable): Prepared['filled'] {
  // Somebody else may prepare it for another number meanwhile.
  if (countIn(database) !== spec.buckets) throw unmarked(spec)
  const key = quoted(table.shardKey)
  const where = table.primaryKey.map((column) => `${quoted(column)} = ?`).join(' AND ')
  const rows = database
    .prepare<[number], StoredValue[]>(
      `SELECT CAST(${key} AS TEXT), typeof(${key}) IN ('text', 'integer'), ${table.primaryKey.map(quoted).join(', ')}
       FROM ${quoted(table.name)} WHERE ${BUCKET} IS NULL LIMIT ?`,
    )
    .raw()
    .safeIntegers()
    .all(FILL)
  if (rows.length === 0) return 0
  const update = database.prepare(`UPDATE ${quoted(table.name)} SET ${BUCKET} = ? WHERE ${where}`)
  for (const [text, fits, ...primaryKey] of rows) {
    if (fits !== 1n || text === '' || primaryKey.includes(null)) throw keyless(spec, table, primaryKey)
    update.run(bucketOf(text as string, spec.buckets), ...primaryKey)
  }
  return rows.length
}

/**
 * Checks that all rows have what decides their bucket, before they get one.
 *
 * @throws `BANYAN_SHARD_UNFIT`
 */
export function checkKeys(database: Database, spec: ShardSpec, table: ShardTable): void {
  const key = quoted(table.shardKey)
  const primaryKey = table.primaryKey.map(quoted)
  const wrong = database
    .prepare<[], StoredValue[]>(
      `SELECT ${primaryKey.join(', ')} FROM ${quoted(table.name)}
       WHERE typeof(${key}) NOT IN ('text', 'integer') OR CAST(${key} AS TEXT) = ''
         OR ${primaryKey.map((column) => `${column} IS NULL`).join(' OR ')} LIMIT 1`,
    )
    .raw()
    .get()
  if (wrong) throw keyless(spec, table, wrong)
}

function keyless({ id }: ShardSpec, table: ShardTable, primaryKey: readonly StoredValue[]): Error {
  return unfit(
    id,
    `a row of ${JSON.stringify(table.name)} (${table.primaryKey.join(', ')}: ${primaryKey.map(String).join(', ')}) has ${
      primaryKey.includes(null)
        ? 'no primary key'
        : `no text or whole number as its ${table.shardKey}, which is to decide its bucket`
    }: mend it or delete it, and prepare again`,
  )
}

/** @throws `BANYAN_SHARD_UNFIT` */
export function checkReferences(database: Database, { id, reference = [] }: ShardSpec): void {
  for (const name of reference)
    if (!isThere(database, 'table', name))
      throw unfit(id, `the reference table ${JSON.stringify(name)} is not there`)
}

function sqlOf(database: Database, name: string): string | undefined {
  return database.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(name) as
    string | undefined
}
