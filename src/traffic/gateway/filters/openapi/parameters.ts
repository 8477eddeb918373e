import type { OpenApiDocument } from './document.js'
import type { Parameter } from './operation.js'
import { KindFinder, type Kinds } from './kinds.js'
import type { Pointer } from './source.js'

/** A parameter that is not written as its style says. */
export class StyleError extends Error {}

/** The parts of a request in which parameters stand. */
export interface RawParameters {
  /** Parts of the path, percent-encoded. */
  readonly path: ReadonlyMap<string, string>
  /** Pairs in the order they stand, percent-encoded. */
  readonly query: readonly (readonly [string, string])[]
  header(lower: string): string | undefined
  readonly cookies: ReadonlyMap<string, string>
}

/**
 * Reads parameters as OpenAPI writes them (3.1, 4.8.12): every style, exploded or not. Text becomes what the schema
 * says: "5" is a number where a number is asked for.
 */
export class ParameterReader {
  readonly #kinds: KindFinder

  constructor(document: OpenApiDocument) {
    this.#kinds = new KindFinder(document)
  }

  /**
   * @returns its value; `undefined` if it is not there
   * @throws {@link StyleError}
   */
  read(parameter: Parameter, raw: RawParameters): unknown {
    const { name, schema, isJson } = parameter
    const kinds = this.#kinds.of(schema)
    if (parameter.in === 'query') return this.#readQuery(parameter, raw.query, kinds)
    const text =
      parameter.in === 'path'
        ? raw.path.get(name)
        : parameter.in === 'header'
          ? raw.header(name.toLowerCase())
          : raw.cookies.get(name)
    if (text === undefined) return undefined
    const decode = parameter.in === 'header' ? (part: string): string => part.trim() : decodePart
    if (isJson) return parseContent(decode(text))
    return this.#readSimple(parameter, text, kinds, decode)
  }

  /** A body of `application/x-www-form-urlencoded`: each property like a query parameter of style `form`. */
  readForm(text: string, schema: Pointer | undefined): Record<string, unknown> {
    const pairs = pairsOf(text)
    const { properties } = this.#kinds.of(schema)
    const form: Record<string, unknown> = {}
    for (const name of new Set(pairs.map(([each]) => each))) {
      const values = pairs.filter(([each]) => each === name).map(([, value]) => decodePlus(value))
      const kinds = this.#kinds.of(properties.get(name))
      const isList = kinds.types.has('array') || values.length > 1
      Object.defineProperty(form, name, {
        value: isList ? this.#list(values, kinds) : this.#value(values[0]!, kinds),
        enumerable: true,
      })
    }
    return form
  }

  /** Styles of paths, headers and cookies: `simple`, `label`, `matrix`, `form`. */
  #readSimple(
    { name, style, explode }: Parameter,
    text: string,
    kinds: Kinds,
    decode: (part: string) => string,
  ): unknown {
    const isList = kinds.types.has('array')
    const isRecord = kinds.types.has('object')
    let parts: string[]
    if (style === 'label') {
      if (!text.startsWith('.')) throw new StyleError('must begin with a dot')
      parts = text.slice(1).split(explode && (isList || isRecord) ? '.' : ',')
    } else if (style === 'matrix') {
      parts = this.#matrixParts(name, text, explode && isRecord)
    } else {
      parts = text.split(',')
    }
    if (isRecord) return this.#record(parts, explode, kinds, decode)
    if (isList) return this.#list(parts.map(decode), kinds)
    const joined = parts.join(',')
    return this.#value(decode(joined), kinds)
  }

  /** `;name=a,b`, `;name=a;name=b`, or for a record `;a=1;b=2`. */
  #matrixParts(name: string, text: string, asPairs: boolean): string[] {
    if (!text.startsWith(';')) throw new StyleError('must begin with a semicolon')
    const pieces = text.slice(1).split(';')
    if (asPairs) return pieces
    return pieces.flatMap((piece) => {
      if (piece === name) return ['']
      if (!piece.startsWith(`${name}=`)) throw new StyleError(`must be written as \`;${name}=\``)
      return piece.slice(name.length + 1).split(',')
    })
  }

  #readQuery(parameter: Parameter, query: RawParameters['query'], kinds: Kinds): unknown {
    const { name, style, explode, isJson } = parameter
    if (style === 'deepObject') return this.#readDeep(name, query, kinds)
    if (kinds.types.has('object') && explode && !isJson) return this.#readSpread(query, kinds)
    const values = query.filter(([each]) => each === name).map(([, value]) => value)
    const [first] = values
    if (first === undefined) return undefined
    if (isJson) {
      if (values.length > 1) throw new StyleError('stands more than once')
      return parseContent(decodePlus(first))
    }
    const separator = style === 'spaceDelimited' ? /%20|\+/ : style === 'pipeDelimited' ? /\||%7C/i : /,/
    if (kinds.types.has('array')) {
      const parts = explode ? values : values.flatMap((value) => value.split(separator))
      return this.#list(parts.map(decodePlus), kinds)
    }
    if (values.length > 1) throw new StyleError('stands more than once')
    if (kinds.types.has('object')) return this.#record(first.split(separator), false, kinds, decodePlus)
    return this.#value(decodePlus(first), kinds)
  }

  /** `name[key]=value` */
  #readDeep(name: string, query: RawParameters['query'], kinds: Kinds): unknown {
    const record: Record<string, unknown> = {}
    let found = false
    for (const [each, value] of query) {
      if (!each.startsWith(`${name}[`) || !each.endsWith(']')) continue
      const key = each.slice(name.length + 1, -1)
      if (key.includes('[')) throw new StyleError('is deeper than one level')
      const inner = this.#kinds.of(kinds.properties.get(key))
      const isList = inner.types.has('array')
      const before = Object.hasOwn(record, key) ? record[key] : undefined
      if (before !== undefined && !isList) throw new StyleError(`has \`${key}\` more than once`)
      const read = this.#value(decodePlus(value), isList ? this.#kinds.of(inner.items) : inner)
      const next = isList ? [...((before as unknown[] | undefined) ?? []), read] : read
      define(record, key, next)
      found = true
    }
    return found ? record : undefined
  }

  /** Every property is a parameter of its own. */
  #readSpread(query: RawParameters['query'], kinds: Kinds): unknown {
    const record: Record<string, unknown> = {}
    for (const [name, value] of query) {
      const property = kinds.properties.get(name)
      if (property) define(record, name, this.#value(decodePlus(value), this.#kinds.of(property)))
    }
    return Object.keys(record).length > 0 ? record : undefined
  }

  /** `a=1,b=2`, or without `explode` `a,1,b,2`. */
  #record(
    parts: readonly string[],
    explode: boolean,
    kinds: Kinds,
    decode: (part: string) => string,
  ): unknown {
    const record: Record<string, unknown> = {}
    const pairs = explode ? parts.map(splitPair) : pairwise(parts)
    for (const [name, value] of pairs) {
      const key = decode(name)
      define(record, key, this.#value(decode(value), this.#kinds.of(kinds.properties.get(key))))
    }
    return record
  }

  #list(parts: readonly string[], kinds: Kinds): unknown[] {
    const items = this.#kinds.of(kinds.items)
    return parts.map((part) => this.#value(part, items))
  }

  #value(text: string, { types }: Kinds): unknown {
    const isNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)
    if (isNumber && (types.has('number') || types.has('integer'))) return Number(text)
    if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true'
    if (types.has('null') && !types.has('string') && text === '') return null
    return text
  }
}

/** Names decoded, values as they stand: some styles separate before they decode. */
export function pairsOf(query: string): [string, string][] {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name, value] = splitPair(pair)
      return [decodePlus(name), value]
    })
}

/** The cookies of a request; of two with one name the first counts, as for most servers. */
export function cookiesOf(field: string | undefined): Map<string, string> {
  const cookies = new Map<string, string>()
  for (const part of (field ?? '').split(';')) {
    const [name, value] = splitPair(part.trim())
    if (name !== '' && !cookies.has(name)) cookies.set(name, value)
  }
  return cookies
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=')
  return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

function pairwise(parts: readonly string[]): [string, string][] {
  if (parts.length % 2 === 1) throw new StyleError('has a name without a value')
  return parts.flatMap((part, index): [string, string][] =>
    index % 2 === 0 ? [[part, parts[index + 1]!]] : [],
  )
}

function parseContent(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new StyleError('is not JSON')
  }
}

function decodePlus(text: string): string {
  return decodePart(text.replace(/\+/g, ' '))
}

function decodePart(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    throw new StyleError('is not percent-encoded UTF-8')
  }
}

/** A client names it; it must not be taken for an object's own. */
function define(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}
