import { createHash } from 'node:crypto'
import type { MovedRow } from '../../../coordination/sharding/data/store.js'
import { BUCKET, quoted, type ShardTable } from './catalog.js'

/** A value as it is stored: whole numbers are bigints here, so that they stay apart from others, and exact. */
export type StoredValue = bigint | number | string | Uint8Array | null

/** The primary key of a row as text, in SQL: what kind of value each is, and the value. */
export function keySql({ primaryKey }: ShardTable, row = ''): string {
  const parts = primaryKey.map((name) => {
    const column = row === '' ? quoted(name) : `${row}.${quoted(name)}`
    return `CASE typeof(${column}) WHEN 'integer' THEN 'i' || ${column} WHEN 'text' THEN 't' || ${column}
      WHEN 'blob' THEN 'b' || hex(${column}) ELSE 'r' || printf('%!.17g', ${column}) END`
  })
  return `json_array(${parts.join(', ')})`
}

/** The values of a primary key that was written by {@link keySql}. */
export function keyValues(key: string): StoredValue[] {
  return (JSON.parse(key) as string[]).map((text) => {
    const rest = text.slice(1)
    switch (text[0]) {
      case 'i':
        return BigInt(rest)
      case 't':
        return rest
      case 'b':
        return Buffer.from(rest, 'hex')
      default:
        return Number(rest)
    }
  })
}

/** What is selected to make rows of: {@link rowOf} takes it. */
export function selectedSql(table: ShardTable): string {
  return [
    ...table.names.map(quoted),
    keySql(table),
    `CASE WHEN typeof(${quoted(table.shardKey)}) IN ('text', 'integer') THEN CAST(${quoted(table.shardKey)} AS TEXT) END`,
  ].join(', ')
}

/** A row that was selected by {@link selectedSql}. */
export function rowOf(table: ShardTable, values: readonly StoredValue[]): MovedRow {
  const count = table.names.length
  const image = values.slice(0, count)
  const text = image.map(textOf).join('')
  return {
    key: values[count] as string,
    shardKey: values[count + 1] as string | null,
    bucket: Number(image[table.names.indexOf(BUCKET)]),
    digest: createHash('sha256').update(text).digest('base64').slice(0, 24),
    size: text.length,
    image,
  }
}

/** Differs for values that differ, also in kind. */
function textOf(value: StoredValue): string {
  if (value === null) return 'n;'
  if (typeof value === 'bigint') return `i${value};`
  if (typeof value === 'number') return `r${Object.is(value, -0) ? '-0' : value};`
  const text = typeof value === 'string' ? `t${value}` : `b${Buffer.from(value).toString('hex')}`
  return `${text.length}:${text};`
}
