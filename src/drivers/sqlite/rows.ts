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
  return { ...row, checksum: checksumOfRow(columns, row) }
}

/** Whether a row is as it was written. */
export function isSealed<Row extends object>(
  columns: readonly (keyof Row & string)[],
  row: Row & { checksum: number },
): boolean {
  return checksumOfRow(columns, row) === row.checksum
}

function checksumOfRow<Row extends object>(columns: readonly (keyof Row & string)[], row: Row): number {
  let text = ''
  for (const column of columns) text += `${String(row[column])}\0`
  return crc32(text)
}
