import { BanyanError } from '../../../core/errors.js'
import { literal } from './catalog.js'

/** Texts, names, comments, and what is a parameter: `$1`. */
const TOKENS =
  /[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$|[\w\u0080-\uffff]+\$?|\$(\d+)/g

/**
 * A statement with its parameters in it: a cursor takes none. A text has no type of its own, as a parameter has none.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for a parameter that is not given, or cannot be one here
 */
export function withLiterals(sql: string, parameters: readonly unknown[]): string {
  return sql.replace(TOKENS, (token: string, _tag: unknown, number: string | undefined) => {
    if (number === undefined) return token
    const index = Number(number) - 1
    if (index >= parameters.length)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `the query has $${number}, and ${parameters.length} parameters`,
      )
    return ` ${literalOf(parameters[index])} `
  })
}

function literalOf(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (Array.isArray(value)) return literal(`{${value.map(elementOf).join(',')}}`)
  return literal(textOf(value))
}

function elementOf(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (Array.isArray(value)) return `{${value.map(elementOf).join(',')}}`
  return `"${textOf(value).replace(/["\\]/g, '\\$&')}"`
}

function textOf(value: unknown): string {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  return typeof value === 'string' || typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
}
