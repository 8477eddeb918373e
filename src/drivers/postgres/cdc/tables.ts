import type { Client } from 'pg'
import type { TableShape, WantedTable } from '../../../events/cdc/source.js'
import { partsOf, quoted, quotedTable } from './clients.js'
import { unprepared } from './faults.js'

interface TableRow {
  readonly id: number
  readonly schema: string
  readonly name: string
  readonly kind: string
  readonly persistence: string
  readonly identity: 'd' | 'n' | 'f' | 'i'
  readonly readable: boolean
  readonly columns: string[]
  readonly types: string[]
  readonly nullable: string[]
  readonly primary: string[] | null
  readonly replica: string[] | null
}

/** A table that can be captured. */
export interface FoundTable extends TableShape {
  readonly isPartitioned: boolean
}

/**
 * Looks tables up: by name, or, if that is gone, by what they were known by before they were renamed.
 *
 * @throws `BANYAN_SOURCE_UNPREPARED` with what to do
 */
export async function findTables(
  client: Client,
  wanted: readonly WantedTable[],
): Promise<Map<string, FoundTable>> {
  const found = new Map<string, FoundTable>()
  for (const each of wanted) {
    const [schema, table] = partsOf(each.name)
    const { rows } = await client.query<TableRow>(TABLE, [schema, table, each.id ?? 0])
    // The one of that name comes first.
    const [row] = rows
    if (!row)
      throw unprepared(
        `there is no table ${each.name} in the database; names are as they stand in pg_class, with their schema`,
      )
    checkKind(row)
    found.set(each.name, {
      id: row.id,
      name: `${row.schema}.${row.name}`,
      columns: row.columns.map((column, index) => ({ name: column, type: row.types[index]! })),
      key: keyOf(row, each.key),
      isPartitioned: row.kind === 'p',
    })
  }
  return found
}

function checkKind({ schema, name, kind, persistence, readable }: TableRow): void {
  const table = `${schema}.${name}`
  if (kind !== 'r' && kind !== 'p')
    throw unprepared(`${table} is no table: views and foreign tables have no changes; capture what is behind`)
  if (persistence !== 'p')
    throw unprepared(
      `${table} is unlogged or temporary, so its changes are not in the write-ahead log: ALTER TABLE ${quotedTable(table)} SET LOGGED;`,
    )
  if (!readable)
    throw unprepared(
      `the role may not read ${table}, which a snapshot does: GRANT SELECT ON ${quotedTable(table)} TO <role>;`,
    )
}

/** By which columns streams are named, in the order of the table. */
function keyOf(row: TableRow, chosen: readonly string[] | undefined): string[] {
  const table = `${row.schema}.${row.name}`
  const inOrder = (names: readonly string[]): string[] => row.columns.filter((name) => names.includes(name))
  const identity = { d: row.primary, i: row.replica, f: row.columns, n: null }[row.identity]
  if (!identity)
    throw unprepared(
      `${table} has ${row.identity === 'n' ? 'REPLICA IDENTITY NOTHING' : 'no primary key'}, so the server does not say which row an update or a delete is about. ` +
        `Give it a primary key, or: ALTER TABLE ${quotedTable(table)} REPLICA IDENTITY USING INDEX <a unique index>; or REPLICA IDENTITY FULL, and choose the key`,
    )
  if (!chosen) {
    if (row.identity !== 'f') return inOrder(identity)
    if (row.primary) return inOrder(row.primary)
    throw unprepared(
      `${table} has no primary key: choose the columns that tell one row from another as its key`,
    )
  }
  const unknown = chosen.find((name) => !row.columns.includes(name))
  if (unknown !== undefined)
    throw unprepared(
      `${table} has no column ${unknown} to be the key; it has ${row.columns.join(', ')} (generated columns are not captured)`,
    )
  const missing = chosen.find((name) => !identity.includes(name))
  if (missing !== undefined)
    throw unprepared(
      `column ${missing} of ${table} is not told of rows that are deleted, so it cannot be the key: ` +
        `ALTER TABLE ${quotedTable(table)} REPLICA IDENTITY FULL; or a key of ${identity.join(', ')}`,
    )
  const nullable = chosen.find((name) => row.nullable.includes(name))
  if (nullable !== undefined)
    throw unprepared(
      `column ${nullable} of ${table} may be null, and no stream is called so: ALTER TABLE ${quotedTable(table)} ALTER COLUMN ${quoted(nullable)} SET NOT NULL; or another key`,
    )
  return inOrder(chosen)
}

const INDEXED = (flag: string): string => `
  (SELECT array_agg(a.attname::text ORDER BY a.attnum)
     FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = c.oid AND i.${flag})`

const COLUMNS = (what: string): string => `
  ARRAY(SELECT ${what} FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         ORDER BY a.attnum)`

const TABLE = `
  SELECT c.oid::int8::float8 AS id, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
         c.relpersistence AS persistence, c.relreplident AS identity,
         has_table_privilege(c.oid, 'SELECT') AS readable,
         ${COLUMNS('a.attname::text')} AS columns,
         ${COLUMNS('CASE WHEN NOT a.attnotnull THEN a.attname::text END')} AS nullable,
         ${COLUMNS('format_type(a.atttypid, NULL)')} AS types,
         ${INDEXED('indisprimary')} AS primary, ${INDEXED('indisreplident')} AS replica
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE (n.nspname = $1 AND c.relname = $2) OR c.oid = $3::int8::oid
   ORDER BY (n.nspname = $1 AND c.relname = $2) DESC LIMIT 1`
