import type { ColumnKind } from '../store.js'
import { notMergeable } from './not-mergeable.js'
import { compareDecimals, decimalOf, type Decimal } from './decimal.js'

/** The value of a column as it is compared; never null. */
export type Comparable = number | bigint | string | Decimal | Uint8Array

/** How the values of a column are put in order, as the engine does it. */
export interface ValueOrder {
  /** Made once for each row, as it is compared more often. */
  readonly of: (value: unknown) => Comparable
  readonly compare: (a: Comparable, b: Comparable) => number
}

const numbers: ValueOrder = { of: numberOf, compare: compareNumbers }

/** Orders that agree with the engine; `other` has none. Of `text` it is that of the collation "C", or BINARY. */
export const VALUE_ORDERS: Readonly<Record<Exclude<ColumnKind, 'other'>, ValueOrder>> = {
  any: { of: asItIs, compare: compareAny },
  integer: {
    of: (value) => (typeof value === 'string' ? BigInt(value) : (value as number | bigint)),
    compare: compareNumbers,
  },
  decimal: { of: decimalOf, compare: (a, b) => compareDecimals(a as Decimal, b as Decimal) },
  float: numbers,
  boolean: numbers,
  text: { of: asItIs, compare: (a, b) => compareTexts(a as string, b as string) },
  uuid: { of: asItIs, compare: (a, b) => compareTexts(a as string, b as string) },
  bytes: { of: asItIs, compare: (a, b) => Buffer.compare(a as Uint8Array, b as Uint8Array) },
  time: { of: timeOf, compare: compareNumbers },
}

/** The collation NOCASE of SQLite: letters from A to Z are those from a to z. */
export const NOCASE: ValueOrder = {
  of: (value) =>
    typeof value === 'string'
      ? value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
      : (value as Comparable),
  compare: compareAny,
}

/** By their bytes in UTF-8, which is by code points. */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return rankOfUnit(left) - rankOfUnit(right)
  }
  return a.length - b.length
}

/** Surrogates stand for what is above all that has one unit. */
function rankOfUnit(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

function asItIs(value: unknown): Comparable {
  return value as Comparable
}

function numberOf(value: unknown): number {
  // PostgreSQL has texts for floating numbers only if somebody has asked for them.
  return Number(value)
}

/** A date is one; `infinity` comes as a number. */
function timeOf(value: unknown): number {
  if (typeof value === 'number' || value instanceof Date) return Number(value)
  throw notMergeable(
    `a time is read as ${typeof value} here, as somebody has set a parser of types: give a compare that puts two of them in the order of the databases`,
  )
}

/** NaN is equal to itself, and above all others, as PostgreSQL has it. */
function compareNumbers(a: Comparable, b: Comparable): number {
  if (a < b) return -1
  if (a > b) return 1
  const isNan = Number.isNaN(a)
  return isNan === Number.isNaN(b) ? 0 : isNan ? 1 : -1
}

/** SQLite: numbers, then text, then bytes. */
function compareAny(a: Comparable, b: Comparable): number {
  const rank = rankOf(a)
  const other = rankOf(b)
  if (rank !== other) return rank - other
  if (rank === NUMBER) return compareNumbers(a, b)
  if (rank === TEXT) return compareTexts(a as string, b as string)
  return Buffer.compare(a as Uint8Array, b as Uint8Array)
}

const NUMBER = 0
const TEXT = 1
const BYTES = 2

function rankOf(value: Comparable): number {
  if (typeof value === 'string') return TEXT
  return typeof value === 'object' ? BYTES : NUMBER
}
