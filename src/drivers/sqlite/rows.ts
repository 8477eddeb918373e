import { crc32 } from 'node:zlib'

/** The row of `log`. */
export interface LogRow {
  head: number
  recorded: number
  indexed: number
  events: number
  commits: number
  truncated: number
}

/** A row of `categories`. */
export interface CategoryRow {
  readonly id: number
  readonly name: string
  readonly last: number
  readonly truncated: number
}

/** A row of `tags`. */
export interface TagRow {
  readonly id: number
  readonly name: string
  readonly last: number
}

/** A row of `streams`. */
export interface StreamRow {
  readonly id: number
  readonly name: string
  readonly category: number
  readonly last: number
  readonly first: number
  readonly truncated: number
}

/** What a row's checksum is of, in this order. */
export const logRow = ['head', 'recorded', 'indexed', 'events', 'commits', 'truncated'] as const
export const categoryRow = ['id', 'name', 'last', 'truncated'] as const
export const tagRow = ['id', 'name', 'last'] as const
export const streamRow = ['id', 'name', 'category', 'last', 'first', 'truncated'] as const

/** A row with its checksum, as it is bound to a statement. */
export function sealRow<Row extends object>(
  columns: readonly (keyof Row & string)[],
  row: Row,
): Row & { checksum: number } {
  return { ...row, checksum: checksumOfRow(columns.map((column) => row[column])) }
}

/** Of the values of a row, in the order of its columns. Bytes, which one bit makes of a text, do not count as that text. */
export function checksumOfRow(values: readonly unknown[]): number {
  return crc32(values.some((value) => typeof value === 'object') ? 'bytes' : values.join('\0'))
}
