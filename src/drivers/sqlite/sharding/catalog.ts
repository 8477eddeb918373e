import type { Database } from 'better-sqlite3'
import {
  parentsFirst,
  unfit,
  type Reference,
  type ShardSpec,
  type TableShape,
} from '../../../coordination/sharding/data/store.js'

/** A sharded table. */
export interface ShardTable extends TableShape {
  readonly name: string
  /** The column that decides the bucket. */
  readonly shardKey: string
  /** Of all columns that rows are made of, in the order in which images have them. */
  readonly names: readonly string[]
  /** Where the columns of the primary key are among them. */
  readonly keyAt: readonly number[]
  /** To sharded tables. */
  readonly references: readonly Reference[]
}

/** The sharded tables as they are, those that others refer to first. */
export type Catalog = ReadonlyMap<string, ShardTable>

/** What every row of a sharded table has. */
export const BUCKET = 'banyan_bucket'

/** A name in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Where rows of a table are staged. */
export function stagedName(table: string): string {
  return `banyan_staged_${table}`
}

/**
 * Reads what the sharded tables are.
 *
 * @throws `BANYAN_SHARD_UNFIT` for what cannot be sharded
 */
export function catalogOf(database: Database, { id, tables }: ShardSpec): Catalog {
  const found = new Map<string, ShardTable>()
  const parents = new Map<string, readonly string[]>()
  const references = referencesOf(database, id, Object.keys(tables))
  for (const [name, { key }] of Object.entries(tables)) {
    const own = references.get(name) ?? []
    found.set(name, { ...tableOf(database, id, name, key), references: own })
    parents.set(
      name,
      own.map(({ parent }) => parent).filter((parent) => parent !== name),
    )
  }
  return new Map(parentsFirst(parents).map((name) => [name, found.get(name)!]))
}

/** The references of sharded tables to each other; names are the same in any case. */
function referencesOf(
  database: Database,
  shard: string,
  names: readonly string[],
): ReadonlyMap<string, Reference[]> {
  const found = database
    .prepare<
      [],
      { own: string; id: number; parent: string; column: string; key: string | null; seq: number }
    >(
      `SELECT m.name AS own, f.id, f."table" AS parent, f."from" AS column, f."to" AS key, f.seq
       FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq`,
    )
    .all()
  const nameOf = (name: string): string | undefined =>
    names.find((each) => each.toLowerCase() === name.toLowerCase())
  const references = new Map<string, (Reference & { columns: { own: string; parent: string }[] })[]>()
  for (const { own: table, parent: to, column, key, seq } of found) {
    const [own, parent] = [nameOf(table), nameOf(to)]
    if (parent === undefined) continue
    if (own === undefined)
      throw unfit(
        shard,
        `the table ${JSON.stringify(table)} refers to ${JSON.stringify(parent)} and is not sharded: its rows would be left behind, or deleted, when those go`,
      )
    const all = references.get(own) ?? []
    references.set(own, all)
    if (seq === 0) all.push({ parent, columns: [] })
    // Without a name it is the column of the primary key.
    const named = key ?? columnsOf(database, parent).find(({ pk }) => pk === seq + 1)?.name
    if (named !== undefined) all.at(-1)!.columns.push({ own: column, parent: named })
  }
  return references
}

function tableOf(
  database: Database,
  shard: string,
  name: string,
  shardKey: string,
): Omit<ShardTable, 'references'> {
  const what = `the table ${JSON.stringify(name)}`
  const kind = database
    .prepare("SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?")
    .pluck()
    .get(name) as string | undefined
  if (kind !== 'table')
    throw unfit(
      shard,
      kind === undefined ? `${what} is not there` : `${JSON.stringify(name)} is a ${kind}, no table`,
    )
  const all = columnsOf(database, name)
  const columns = all.filter(({ hidden }) => hidden === 0).sort((a, b) => (a.name < b.name ? -1 : 1))
  const primaryKey = all
    .filter(({ pk }) => pk > 0)
    .sort((a, b) => a.pk - b.pk)
    .map((column) => column.name)
  if (primaryKey.length === 0)
    throw unfit(shard, `${what} has no primary key, by which a row could be told from others`)
  if (!columns.some((column) => column.name === shardKey))
    throw unfit(shard, `${what} has no column ${JSON.stringify(shardKey)}, which is to decide the bucket`)
  const collation = database
    .prepare(
      `SELECT c.coll FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS c
       WHERE i.origin = 'pk' AND c.key = 1 AND c.coll <> 'BINARY'`,
    )
    .pluck()
    .get(name) as string | undefined
  if (collation !== undefined)
    throw unfit(
      shard,
      `${what} has a primary key under the collation ${collation}; only BINARY tells rows from each other by what is in them`,
    )
  if (!tellsTextsApart(database, name, shardKey))
    throw unfit(
      shard,
      `the column ${JSON.stringify(shardKey)} of ${what} takes different texts for equal; they are keys of their own, in buckets of their own: make it a column under the collation BINARY`,
    )
  const names = columns.map((column) => column.name)
  return {
    name,
    shardKey,
    primaryKey,
    names,
    keyAt: primaryKey.map((column) => names.indexOf(column)),
    columns: columns.map((column) => ({ name: column.name, type: column.type.toUpperCase() })),
  }
}

/** SQLite tells the collation of an index, not of a column. */
function tellsTextsApart(database: Database, table: string, column: string): boolean {
  const known = `SELECT ${quoted(column)} AS text FROM ${quoted(table)} WHERE FALSE`
  return (
    database
      .prepare(
        `SELECT count(DISTINCT text) FROM (${known} UNION ALL SELECT 'a' UNION ALL SELECT 'A' UNION ALL SELECT 'a ')`,
      )
      .pluck()
      .get() === 3
  )
}

/** Columns of a table, with those that are computed. */
export function columnsOf(
  database: Database,
  table: string,
): { readonly name: string; readonly type: string; readonly pk: number; readonly hidden: number }[] {
  return database
    .prepare<[string], { name: string; type: string; pk: number; hidden: number }>(
      'SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid',
    )
    .all(table)
}
