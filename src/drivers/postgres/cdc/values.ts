import { quoteLargeNumbers } from './json-numbers.js'

/** Makes JSON of a value that the server has written as text. */
export type ValueParser = (text: string) => unknown

/** What the catalog says of a type. */
export interface TypeInfo {
  readonly oid: number
  /** Of an array, the type of its elements; else 0. */
  readonly element: number
  /** Of a domain, what it is of; else 0. */
  readonly base: number
  /** Between elements of an array of it. */
  readonly delimiter: string
}

const asText: ValueParser = (text) => text
const asBoolean: ValueParser = (text) => text === 't'
/** `NaN` and infinities, which JSON does not have, stay text. */
const asNumber: ValueParser = (text) => {
  const number = Number(text)
  return Number.isFinite(number) ? number : text
}
const asBase64: ValueParser = (text) => Buffer.from(text.slice(2), 'hex').toString('base64')
const asJson: ValueParser = (text) => JSON.parse(quoteLargeNumbers(text)) as unknown

const TIMESTAMP = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/
/** ISO 8601 with all of its microseconds; `infinity` and years before Christ stay as PostgreSQL writes them. */
const asTimestamp: ValueParser = (text) => {
  const match = TIMESTAMP.exec(text)
  return match ? `${match[1]}T${match[2]}${match[3] === undefined ? '' : 'Z'}` : text
}

/** By the oids of pg_type.dat, which are the same on every server. What is not here stays text. */
const PARSERS = new Map<number, ValueParser>([
  [16, asBoolean],
  [17, asBase64],
  [21, asNumber],
  [23, asNumber],
  [26, asNumber],
  [114, asJson],
  [700, asNumber],
  [701, asNumber],
  [1114, asTimestamp],
  [1184, asTimestamp],
  [3802, asJson],
])

/** Nobody has to be asked about these. Text, bigint, numeric, dates, times and uuid are what the server writes. */
const KNOWN_TEXT = new Set([18, 19, 20, 25, 1042, 1043, 1082, 1083, 1186, 1266, 1700, 2950])
/** Arrays to the catalog, but written otherwise: int2vector, oidvector. */
const VECTORS = new Set([22, 30])

export function isKnownType(oid: number): boolean {
  return PARSERS.has(oid) || KNOWN_TEXT.has(oid)
}

/**
 * The parser of a type.
 *
 * @param types - what the catalog says of types that are not known by themselves
 */
export function parserOf(oid: number, types: ReadonlyMap<number, TypeInfo>): ValueParser {
  const known = PARSERS.get(oid)
  if (known) return known
  const info = types.get(oid)
  if (!info || VECTORS.has(oid)) return asText
  if (info.base !== 0) return parserOf(info.base, types)
  if (info.element === 0) return asText
  const element = parserOf(info.element, types)
  const delimiter = types.get(info.element)?.delimiter ?? ','
  return (text) => parseArray(text, element, delimiter)
}

const BRACES = /^(?:\[[^=]*=)?\{.*\}$/s

/** An array as PostgreSQL writes it: `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`. */
function parseArray(text: string, element: ValueParser, delimiter: string): unknown {
  // A type that the catalog calls an array, and that writes itself otherwise.
  if (!BRACES.test(text)) return text
  let at = text.indexOf('{')
  const list = (): unknown[] => {
    const values: unknown[] = []
    at++
    while (at < text.length && text[at] !== '}') {
      if (text[at] === '{') values.push(list())
      else if (text[at] === '"') values.push(element(quoted()))
      else {
        const begin = at
        while (at < text.length && text[at] !== delimiter && text[at] !== '}') at++
        const plain = text.slice(begin, at)
        values.push(plain === 'NULL' ? null : element(plain))
      }
      if (text[at] === delimiter) at++
    }
    at++
    return values
  }
  const quoted = (): string => {
    let value = ''
    for (at++; at < text.length && text[at] !== '"'; at++) {
      if (text[at] === '\\') at++
      value += text.charAt(at)
    }
    at++
    return value
  }
  return list()
}
