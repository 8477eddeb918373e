import type { Column } from '../store.js'
import type { QueryPlan } from './options.js'
import { nullsFirst, type OrderBy } from './order.js'

/**
 * The statement as it is sent to each database: with the order, the limit and `DISTINCT` around it, so that no database sends more rows
 * than may be in the answer. Rows below the offset may be those of any database, so each sends them.
 *
 * @param columns - of the answer, for the collations of PostgreSQL
 * @param most - rows at most
 */
export function pushedDown(
  sql: string,
  { orderBy, distinct }: Pick<QueryPlan, 'orderBy' | 'distinct'>,
  most: number | undefined,
  engine: 'sqlite' | 'postgres',
  columns: readonly Column[],
): string {
  if (orderBy.length === 0 && !distinct && most === undefined) return sql
  // What is sent may end with a comment.
  const rows = distinct ? `SELECT DISTINCT * FROM (${sql}\n) AS banyan_all` : sql
  const order = orderBy.map((part) => orderTerm(part, engine, columns)).join(', ')
  return `SELECT * FROM (${rows}\n) AS banyan_rows${order === '' ? '' : ` ORDER BY ${order}`}${most === undefined ? '' : ` LIMIT ${most}`}`
}

function orderTerm(part: OrderBy, engine: 'sqlite' | 'postgres', columns: readonly Column[]): string {
  const { column, direction = 'asc' } = part
  // SQLite takes a name in quotes that it does not know for a text, unless a table stands before it.
  const name = `banyan_rows.${quoted(column)}`
  const nulls = nullsFirst(part, engine) ? 'FIRST' : 'LAST'
  const collation = collationOf(part, engine, columns)
  return `${name}${collation === undefined ? '' : ` COLLATE ${quoted(collation)}`} ${direction.toUpperCase()} NULLS ${nulls}`
}

function collationOf(
  { column, collate, compare }: OrderBy,
  engine: 'sqlite' | 'postgres',
  columns: readonly Column[],
): string | undefined {
  if (collate !== undefined) return collate
  // Who compares by themselves do it as the column is.
  if (compare) return undefined
  if (engine === 'sqlite') return 'binary'
  return columns.find(({ name }) => name === column)?.kind === 'text' ? 'C' : undefined
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
