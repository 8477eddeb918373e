import type { Column, ColumnKind } from '../../../coordination/sharding/data/store.js'

/** By the oids of pg_type.dat, which are the same on every server. */
const KINDS = new Map<number, ColumnKind>([
  [16, 'boolean'],
  [17, 'bytes'],
  [19, 'text'],
  [20, 'integer'],
  [21, 'integer'],
  [23, 'integer'],
  [25, 'text'],
  [26, 'integer'],
  [700, 'float'],
  [701, 'float'],
  [1042, 'text'],
  [1043, 'text'],
  [1082, 'time'],
  [1114, 'time'],
  [1184, 'time'],
  [1700, 'decimal'],
  [2950, 'uuid'],
])

/** What the columns of an answer of `pg` hold. */
export function columnsOf(result: object): Column[] {
  const { fields } = result as { fields: readonly { readonly name: string; readonly dataTypeID: number }[] }
  return fields.map(({ name, dataTypeID }) => ({ name, kind: KINDS.get(dataTypeID) ?? 'other' }))
}
