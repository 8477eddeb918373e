import type { MovedRow } from '../../../coordination/sharding/data/store.js'
import { BUCKET, quoted, type ShardTable } from './catalog.js'

/** The primary key of a row as text, in SQL: what its values are as text, as JSON. */
export function keySql({ primaryKey }: ShardTable, row: string): string {
  return `json_build_array(${primaryKey.map((column) => `${row}.${quoted(column)}::text`).join(', ')})::text`
}

/** The values of a primary key that was written by {@link keySql}, in SQL. */
export function keyValuesSql({ keyTypes }: ShardTable, key: string): string[] {
  return keyTypes.map((type, index) => `(${key}::json ->> ${index})::${type}`)
}

/** That a row has a primary key, in SQL. */
export function hasKeySql(table: ShardTable, row: string, key: string): string {
  const values = keyValuesSql(table, key)
  return table.primaryKey.map((column, index) => `${row}.${quoted(column)} = ${values[index]}`).join(' AND ')
}

/** A whole row as text, in SQL: what `unnest` of an array of rows of the staging table takes. */
export function imageSql({ names }: ShardTable, row: string): string {
  return `ROW(${names.map((name) => `${row}.${quoted(name)}`).join(', ')})::text`
}

/** What tells whether two rows are the same, in SQL: whatever the encodings of their databases. */
export function digestSql(table: ShardTable, row: string): string {
  return `md5(convert_to(${imageSql(table, row)}, 'UTF8'))`
}

/** What is selected to make rows of: {@link rowOf} takes it. */
export function selectedSql(table: ShardTable, row: string): string {
  return `${keySql(table, row)} AS key, ${row}.${quoted(table.shardKey)}::text AS shard_key, ${row}.${BUCKET} AS bucket,
    ${imageSql(table, row)} AS image, ${digestSql(table, row)} AS digest`
}

/** A row that was selected by {@link selectedSql}. */
export interface SelectedRow {
  readonly key: string
  readonly shard_key: string | null
  readonly bucket: number
  readonly image: string
  readonly digest: string
}

export function rowOf({ key, shard_key, bucket, image, digest }: SelectedRow): MovedRow {
  return { key, shardKey: shard_key, bucket, digest, size: image.length, image }
}

/** Settings with which texts of values are the same in every database and every session. */
const SETTINGS = {
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
}
/** Types whose texts are so whatever the settings. */
const PLAIN =
  /^(text|character varying(\(\d+\))?|character(\(\d+\))?|smallint|integer|bigint|uuid|numeric(\(.*\))?|boolean)$/

/** How long a step waits for a lock of somebody else, in ms: nobody can use the buckets of a switch meanwhile. */
export const LOCK_WAIT = 1000

/** That texts of values are the same everywhere, that no policy hides rows: then it fails; and that no lock is waited for long. */
export const SAME_TEXTS = `SELECT ${Object.entries({
  ...SETTINGS,
  row_security: 'off',
  lock_timeout: LOCK_WAIT,
})
  .map(([name, value]) => `set_config('${name}', '${value}', true)`)
  .join(', ')}`

/** The same for a function that writes primary keys, in SQL, if they need it. */
export function sameTextsIn({ keyTypes }: ShardTable): string {
  if (keyTypes.every((type) => PLAIN.test(type))) return ''
  return Object.entries(SETTINGS)
    .map(([name, value]) => `SET ${name} = '${value}' `)
    .join('')
}
