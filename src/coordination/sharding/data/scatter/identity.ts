import type { ColumnKind, Row } from '../store.js'
import { decimalOf } from './decimal.js'

/** One text for each group of values that are the same to the engine. */
export function identityOf(row: Row, columns: readonly { name: string; kind: ColumnKind }[]): string {
  return JSON.stringify(columns.map(({ name, kind }) => valueIdentity(row[name], kind)))
}

function valueIdentity(value: unknown, kind: ColumnKind): unknown {
  if (value === null || value === undefined) return null
  switch (typeof value) {
    case 'string':
      if (kind === 'decimal' || kind === 'integer') return numberIdentity(value)
      return `s${value}`
    case 'bigint':
    case 'number':
      return numberIdentity(value)
    case 'object':
      if (value instanceof Date) return `d${value.getTime()}`
      if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('base64')}`
      return `j${JSON.stringify(value)}`
    default:
      return value
  }
}

/** 1, 1n, '1' and '1.00' are one number; so are 0 and -0. */
function numberIdentity(value: string | number | bigint): string {
  if (typeof value === 'number' && !Number.isInteger(value)) return `n${value}`
  const { units, scale, special } = decimalOf(typeof value === 'number' ? BigInt(value) : value)
  if (special !== undefined) return `n${special}`
  let left = scale
  let digits = units
  while (left > 0 && digits % 10n === 0n) {
    digits /= 10n
    left--
  }
  return left === 0 ? `n${digits}` : `n${digits}e-${left}`
}
