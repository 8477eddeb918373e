import { isObject, type OpenApiDocument } from './document.js'
import type { Pointer } from './source.js'

/** What a client may have meant by text, as far as a schema says. */
export interface Kinds {
  readonly types: ReadonlySet<string>
  readonly items: Pointer | undefined
  readonly properties: ReadonlyMap<string, Pointer>
}

/** References and combinations looked through to find the type of a value. */
const MOST_DEPTH = 16

/** Finds the kinds of values that schemas take, each schema once. */
export class KindFinder {
  readonly #document: OpenApiDocument
  readonly #known = new Map<string, Kinds>()

  constructor(document: OpenApiDocument) {
    this.#document = document
  }

  /** @param schema - where it stands; `undefined` for none */
  of(schema: Pointer | undefined): Kinds {
    if (!schema) return NO_KINDS
    const key = schema.join('/')
    let kinds = this.#known.get(key)
    if (!kinds) {
      const found: Found = { types: new Set(), items: undefined, properties: new Map() }
      this.#findKinds(schema, found, 0)
      kinds = found
      this.#known.set(key, kinds)
    }
    return kinds
  }

  #findKinds(pointer: Pointer, found: Found, depth: number): void {
    const schema = this.#document.at(pointer)
    if (!isObject(schema) || depth > MOST_DEPTH) return
    const { $ref } = schema
    const target = typeof $ref === 'string' ? this.#document.target($ref, pointer) : undefined
    if (target) this.#findKinds(target, found, depth + 1)
    for (const type of [schema['type'] ?? []].flat()) if (typeof type === 'string') found.types.add(type)
    for (const value of [schema['enum'] ?? [], schema['const'] ?? []].flat()) found.types.add(typeOf(value))
    if (schema['nullable'] === true) found.types.add('null')
    if (schema['items'] !== undefined) found.items ??= [...pointer, 'items']
    const { properties } = schema
    if (isObject(properties)) {
      for (const name of Object.keys(properties)) found.properties.set(name, [...pointer, 'properties', name])
    }
    for (const key of ['allOf', 'anyOf', 'oneOf']) {
      const list = schema[key]
      if (Array.isArray(list))
        for (const index of list.keys()) this.#findKinds([...pointer, key, index], found, depth + 1)
    }
  }
}

interface Found extends Kinds {
  types: Set<string>
  items: Pointer | undefined
  properties: Map<string, Pointer>
}

const NO_KINDS: Kinds = { types: new Set(), items: undefined, properties: new Map() }

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
