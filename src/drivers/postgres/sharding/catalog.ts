import {
  parentsFirst,
  unfit,
  type Reference,
  type ShardSpec,
  type TableShape,
} from '../../../coordination/sharding/data/store.js'
import type { PostgresClient } from '../read-models/client.js'

/** A sharded table. */
export interface ShardTable extends TableShape {
  readonly name: string
  /** The table in statements, with its schema. */
  readonly sql: string
  /** Where its rows are staged, in statements. */
  readonly stagedSql: string
  /** Whether that is there, with the columns that the table has now. */
  readonly isStaged: boolean
  /** The column that decides the bucket. */
  readonly shardKey: string
  /** Of all columns that rows are made of, in the order in which images have them. */
  readonly names: readonly string[]
  /** Types of the primary key, in its order. */
  readonly keyTypes: readonly string[]
  /** To sharded tables. */
  readonly references: readonly Reference[]
}

/** The sharded tables as they are, those that others refer to first. */
export type Catalog = ReadonlyMap<string, ShardTable>

/** What every row of a sharded table has. */
export const BUCKET = 'banyan_bucket'
/** The longest name that PostgreSQL keeps whole, in bytes. */
const LONGEST = 63
/** Types of columns whose text is the same for equal values, and for equal values only. */
const KEY_TYPES = /^(text|character varying(\(\d+\))?|smallint|integer|bigint|uuid)$/

/** A name in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text in a statement. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Where rows of a table are staged. */
export function stagedName(table: string): string {
  return `banyan_staged_${table}`
}

interface Found {
  readonly schema: string
  readonly name: string
  readonly kind: string
  readonly columns: readonly { name: string; type: string; generated: boolean }[]
  readonly key: readonly string[] | null
  readonly parents: readonly Reference[] | null
  readonly outside: string | null
  readonly child: string | null
}

/**
 * Reads what the sharded tables are: those in the schema that is first in the search path.
 *
 * @throws `BANYAN_SHARD_UNFIT` for what cannot be sharded
 */
export async function catalogOf(client: PostgresClient, { id, tables }: ShardSpec): Promise<Catalog> {
  const names = Object.keys(tables)
  const { rows } = await client.query(CATALOG, [[...names, ...names.map(stagedName)]])
  const found = new Map((rows as unknown as Found[]).map((table) => [table.name, table]))
  const made = new Map(
    names.map((name) => [
      name,
      tableOf(id, name, tables[name]!.key, found.get(name), found.get(stagedName(name))),
    ]),
  )
  const order = parentsFirst(
    new Map(
      names.map((name) => [
        name,
        (found.get(name)!.parents ?? []).map(({ parent }) => parent).filter((parent) => parent !== name),
      ]),
    ),
  )
  return new Map(order.map((name) => [name, made.get(name)!]))
}

function tableOf(
  shard: string,
  name: string,
  shardKey: string,
  found: Found | undefined,
  staged: Found | undefined,
): ShardTable {
  const what = `the table ${JSON.stringify(name)}`
  if (!found) throw unfit(shard, `${what} is not there, in the schema that is first in the search path`)
  if (found.kind !== 'r') throw unfit(shard, `${JSON.stringify(name)} is no table, or one of partitions`)
  if (found.child !== null)
    throw unfit(
      shard,
      `the table ${JSON.stringify(found.child)} inherits from ${JSON.stringify(name)}: its rows are seen in that, and no trigger of that sees them change`,
    )
  if (Buffer.byteLength(stagedName(name)) > LONGEST)
    throw unfit(
      shard,
      `${what} has too long a name: with the prefix banyan_staged_ it must have at most ${LONGEST} bytes`,
    )
  if (!found.key) throw unfit(shard, `${what} has no primary key, by which a row could be told from others`)
  if (found.outside !== null)
    throw unfit(
      shard,
      `the table ${JSON.stringify(found.outside)} refers to ${JSON.stringify(name)} and is not sharded: its rows would be left behind, or deleted, when those go`,
    )
  const all = new Map(found.columns.map((column) => [column.name, column]))
  const key = all.get(shardKey)
  if (!key)
    throw unfit(shard, `${what} has no column ${JSON.stringify(shardKey)}, which is to decide the bucket`)
  if (!KEY_TYPES.test(key.type))
    throw unfit(
      shard,
      `the column ${JSON.stringify(shardKey)} of ${what} is of type ${key.type}; a shard key is of text, varchar, uuid, or whole numbers`,
    )
  const computed = found.key.find((column) => all.get(column)!.generated)
  if (computed !== undefined)
    throw unfit(
      shard,
      `the primary key of ${what} has the column ${JSON.stringify(computed)}, which is computed from others: give it one of columns that are stored as they are written`,
    )
  const columns = found.columns
    .filter(({ generated }) => !generated)
    .map((column) => ({ name: column.name, type: column.type }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const stagedColumns = staged?.columns.map((column) => ({ name: column.name, type: column.type }))
  const schema = quoted(found.schema)
  return {
    name,
    sql: `${schema}.${quoted(name)}`,
    stagedSql: `${schema}.${quoted(stagedName(name))}`,
    isStaged: JSON.stringify(stagedColumns) === JSON.stringify(columns),
    shardKey,
    columns,
    primaryKey: found.key,
    names: columns.map((column) => column.name),
    keyTypes: found.key.map((column) => all.get(column)!.type),
    references: found.parents ?? [],
  }
}

const CATALOG = `
  SELECT nspname AS schema, c.relname AS name, c.relkind::text AS kind,
    (SELECT json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
              'generated', attgenerated <> '') ORDER BY attnum)
       FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
    (SELECT json_agg(a.attname ORDER BY k.n)
       FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
    (SELECT json_agg(json_build_object('parent', p.relname, 'columns',
              (SELECT json_agg(json_build_object('own', a.attname, 'parent', b.attname))
                 FROM unnest(f.conkey, f.confkey) AS k (own, parent)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.own
                 JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent)))
       FROM pg_constraint f JOIN pg_class p ON p.oid = f.confrelid
      WHERE f.conrelid = c.oid AND f.contype = 'f' AND p.relname = ANY ($1) AND p.relnamespace = c.relnamespace) AS parents,
    (SELECT min(o.relname) FROM pg_constraint f JOIN pg_class o ON o.oid = f.conrelid
      WHERE f.confrelid = c.oid AND f.contype = 'f'
        AND NOT (o.relname = ANY ($1) AND o.relnamespace = c.relnamespace)) AS outside,
    (SELECT min(o.relname) FROM pg_inherits h JOIN pg_class o ON o.oid = h.inhrelid WHERE h.inhparent = c.oid) AS child
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE nspname = current_schema() AND c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`
