import type { ResourceSchema } from '../schema/content.js'
import { resolveReference } from '../schema/references.js'
import { isList, isObject, member, type Json, type JsonObject } from './json.js'
import { nameOf } from './path-element.js'

/** What a part of an object is for a merge: of one piece, an object of named parts, or a list of parts with keys. */
export type Shape = 'leaf' | 'map' | 'list'

/**
 * The schema of a part of an object, as far as merges care: `properties`, `additionalProperties`, `items`,
 * `x-kubernetes-map-type`, `x-kubernetes-list-type` and `x-kubernetes-list-map-keys`, also behind local `$ref`s and in
 * `allOf`, `anyOf` and `oneOf`, of which the first that says something counts. Where nothing is said objects are
 * merged by member, and lists are of one piece, as for Kubernetes.
 */
export class MergeSchema {
  readonly #root: JsonObject
  readonly #parts: readonly JsonObject[]
  readonly #below = new Map<string, MergeSchema>()

  /**
   * @param schema - a JSON schema, or one of OpenAPI
   * @param root - the document that `$ref`s are of
   */
  constructor(schema: ResourceSchema, root: ResourceSchema = schema) {
    this.#root = root as JsonObject
    this.#parts = parts(schema as JsonObject, this.#root)
  }

  /** What is below: behind `f:` a member, else an item. */
  at(element: string): MergeSchema {
    const name = nameOf(element)
    if (name === undefined) return this.#under('items', () => this.#say('items'))
    if (!this.names(element)) return this.#under('additional', () => this.#say('additionalProperties'))
    return this.#under(element, () => this.#property(name))
  }

  /** Whether a member is one that the schema names, and not one of many alike, as a label is. */
  names(element: string): boolean {
    const name = nameOf(element)
    return name !== undefined && this.#property(name) !== undefined
  }

  /** What a value of this schema is for a merge. */
  shapeOf(value: Json | undefined): Shape {
    if (isObject(value)) return this.#say('x-kubernetes-map-type') === 'atomic' ? 'leaf' : 'map'
    if (!isList(value)) return 'leaf'
    const type = this.#say('x-kubernetes-list-type')
    return type === 'set' || type === 'map' ? 'list' : 'leaf'
  }

  /** Names of the members that tell items apart; none where items are told apart by what they are. */
  get keys(): readonly string[] {
    const keys = this.#say('x-kubernetes-list-map-keys')
    if (this.#say('x-kubernetes-list-type') !== 'map' || !isList(keys)) return []
    return keys.filter((key) => typeof key === 'string').toSorted()
  }

  /** What a value is that was left out. */
  get default(): Json | undefined {
    return this.#say('default')
  }

  #say(keyword: string): Json | undefined {
    for (const part of this.#parts) {
      const said = member(part, keyword)
      if (said !== undefined) return said
    }
    return undefined
  }

  #property(name: string): Json | undefined {
    for (const part of this.#parts) {
      const properties = member(part, 'properties')
      const property = isObject(properties) ? member(properties, name) : undefined
      if (property !== undefined) return property
    }
    return undefined
  }

  /** Made once: a merge goes over the same schema several times. */
  #under(key: string, find: () => Json | undefined): MergeSchema {
    let below = this.#below.get(key)
    if (!below) {
      const schema = find()
      below = isObject(schema) ? new MergeSchema(schema, this.#root) : UNKNOWN
      this.#below.set(key, below)
    }
    return below
  }
}

/** Of what nothing is known. */
const UNKNOWN = new MergeSchema({})

/** A schema and all that are said of the same value. */
function parts(schema: JsonObject, root: JsonObject, found: JsonObject[] = []): readonly JsonObject[] {
  // A schema may refer to itself.
  if (found.includes(schema)) return found
  found.push(schema)
  const reference = member(schema, '$ref')
  if (typeof reference === 'string') {
    const referred = resolveReference(reference, root) as Json | undefined
    if (isObject(referred)) parts(referred, root, found)
  }
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
    const branches = member(schema, keyword)
    if (isList(branches)) for (const branch of branches) if (isObject(branch)) parts(branch, root, found)
  }
  return found
}
