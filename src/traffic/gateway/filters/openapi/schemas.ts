import { isObject, type JsonObject, type OpenApiDocument } from './document.js'
import { linearPattern } from './patterns.js'
import { formatPointer, type Pointer } from './source.js'
import { BUNDLE, schemaMistakes, Validators, type Validator } from './validator.js'

/** Who wrote what is checked: what is `readOnly` need not be in a request, what is `writeOnly` not in an answer. */
export type Direction = 'request' | 'response'

/** Keywords by what stands under them. */
const WITH_SCHEMA = new Set([
  'items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else', 'unevaluatedItems',
  'unevaluatedProperties',
]) // prettier-ignore
const WITH_LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const WITH_MAP = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])
/** Say nothing about which values are right, and may hold anything. */
const IGNORED = new Set([
  'discriminator', 'xml', 'externalDocs', 'example', 'examples', 'default', 'deprecated', 'contentSchema', '$comment',
  '$schema',
]) // prettier-ignore
/** Change what a reference means; a schema with one cannot be taken out of its document. */
const REFUSED = new Set([
  '$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$recursiveAnchor', '$vocabulary',
]) // prettier-ignore

/**
 * The schemas of a document as one JSON Schema of its own: every schema that is asked for or referred to gets a name,
 * and references become references to names. Circles are no trouble.
 */
export class Schemas {
  readonly #document: OpenApiDocument
  readonly #direction: Direction
  readonly #validators: Validators
  readonly #names = new Map<string, string>()
  readonly #places: Pointer[] = []
  readonly #definitions: Record<string, unknown> = {}

  constructor(document: OpenApiDocument, direction: Direction, mostErrors: number) {
    this.#document = document
    this.#direction = direction
    this.#validators = new Validators(this.#definitions, mostErrors)
  }

  /** The validator of the schema at a place. Ask for all of them before the first is used. */
  validator(pointer: Pointer): Validator {
    const name = this.#refer(pointer)
    return (value, size) => this.#validators.violations(name, value, size)
  }

  /** Reports schemas that are none. */
  check(): void {
    const seen = new Set<string>()
    for (const { path, message } of schemaMistakes(this.#definitions)) {
      const [name = '', ...rest] = path
      const pointer = [...(this.#places[Number(name.slice(1))] ?? []), ...rest]
      const key = formatPointer(pointer)
      // One mistake breaks several rules of the meta-schema.
      if (!seen.has(key)) this.#document.report(pointer, `is not a JSON Schema: ${message}`)
      seen.add(key)
    }
  }

  /** The name of the schema at a place; copies it on first sight. */
  #refer(pointer: Pointer): string {
    const key = formatPointer(pointer)
    const known = this.#names.get(key)
    if (known !== undefined) return known
    const name = `s${this.#places.length}`
    this.#names.set(key, name)
    this.#places.push(pointer)
    this.#definitions[name] = this.#copy(this.#document.at(pointer), pointer)
    return name
  }

  #copy(schema: unknown, pointer: Pointer): unknown {
    if (!isObject(schema)) return schema
    const copy: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(schema)) {
      const at = [...pointer, key]
      if (key === '$ref') this.#copyReference(value, at, copy)
      else if (REFUSED.has(key))
        this.#document.report(at, `\`${key}\` is not supported; refer to schemas by JSON Pointers`)
      else if (WITH_SCHEMA.has(key)) copy[key] = this.#copy(value, at)
      else if (WITH_LIST.has(key) && Array.isArray(value))
        copy[key] = value.map((each, index) => this.#copy(each, [...at, index]))
      else if (WITH_MAP.has(key) && isObject(value)) copy[key] = this.#copyMap(key, value, at)
      else if (!IGNORED.has(key) && !key.startsWith('x-')) copy[key] = value
    }
    if (typeof copy['pattern'] === 'string') this.#checkPattern(copy['pattern'], [...pointer, 'pattern'])
    if (Array.isArray(copy['required'])) copy['required'] = this.#required(copy['required'], schema)
    return this.#document.isOld ? modernised(copy) : copy
  }

  #copyReference(value: unknown, at: Pointer, copy: Record<string, unknown>): void {
    const target = typeof value === 'string' ? this.#document.target(value, at) : undefined
    if (target) copy['$ref'] = `${BUNDLE}#/$defs/${this.#refer(target)}`
  }

  #copyMap(key: string, map: JsonObject, at: Pointer): JsonObject {
    const copied = Object.entries(map).map(([name, schema]) => {
      if (key === 'patternProperties') this.#checkPattern(name, [...at, name])
      return [name, this.#copy(schema, [...at, name])] as const
    })
    return Object.fromEntries(copied)
  }

  #checkPattern(pattern: string, at: Pointer): void {
    try {
      linearPattern(pattern)
    } catch (error) {
      const { message } = error as Error
      this.#document.report(
        at,
        error instanceof SyntaxError ? `is no regular expression: ${message}` : message,
      )
    }
  }

  /** Without what only the other side writes. */
  #required(names: readonly unknown[], { properties }: JsonObject): unknown[] {
    if (!isObject(properties)) return [...names]
    const marker = this.#direction === 'request' ? 'readOnly' : 'writeOnly'
    return names.filter((name) => {
      const property =
        typeof name === 'string' && Object.hasOwn(properties, name) ? properties[name] : undefined
      return !this.#isMarked(property, marker)
    })
  }

  #isMarked(schema: unknown, marker: string): boolean {
    let at = schema
    for (let hops = 0; hops < 8 && isObject(at); hops++) {
      if (at[marker] === true) return true
      const { $ref } = at
      const target = typeof $ref === 'string' ? this.#document.target($ref, []) : undefined
      at = target && this.#document.at(target)
    }
    return false
  }
}

/** What 3.0 says differently, in the words of 2020-12. */
export function modernised(schema: Record<string, unknown>): Record<string, unknown> {
  // A reference stands alone in 3.0.
  if (typeof schema['$ref'] === 'string') return { $ref: schema['$ref'] }
  const { nullable, exclusiveMinimum, exclusiveMaximum, minimum, maximum, ...rest } = schema
  if (nullable === true && typeof rest['type'] === 'string') {
    rest['type'] = [rest['type'], 'null']
    const values = rest['enum']
    if (Array.isArray(values) && !values.includes(null)) rest['enum'] = [...(values as unknown[]), null]
  }
  if (minimum !== undefined) rest[exclusiveMinimum === true ? 'exclusiveMinimum' : 'minimum'] = minimum
  if (maximum !== undefined) rest[exclusiveMaximum === true ? 'exclusiveMaximum' : 'maximum'] = maximum
  return rest
}
