import { crc32 } from 'node:zlib'

/** The row of `log`. */
export interface LogRow {
  head: number
  recorded: number
  indexed: number
  events: number
  commits: number
  truncated: number
  missed: number
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
export const logRow = ['head', 'recorded', 'indexed', 'events', 'commits', 'truncated', 'missed'] as const
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

/** A prime, so that no change of one bit, in any factor, goes unseen. */
const MODULUS = 4_294_967_291
/** Of each column of a row, in order. */
const FACTORS = [611_953, 746_773, 524_287, 479_001, 350_377, 281_249, 199_933]

/**
 * Of the values of a row, in the order of its columns: a sum, to which SQL can add when it changes a value.
 * A text counts by its CRC-32.
 */
export function checksumOfRow(values: readonly unknown[]): number {
  let sum = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index]
    const number = typeof value === 'string' ? crc32(value) : Number(value)
    sum = (sum + (number % MODULUS) * FACTORS[index]!) % MODULUS
  }
  return (sum + MODULUS) % MODULUS
}

/** SQL for the checksum of a row of which one column has another value. */
export function checksumWith<Row>(
  columns: readonly (keyof Row & string)[],
  column: keyof Row & string,
  now: string,
): string {
  const factor = FACTORS[columns.indexOf(column)]!
  return `((checksum + (${now} - ${column}) % ${MODULUS} * ${factor}) % ${MODULUS} + ${MODULUS}) % ${MODULUS}`
}
