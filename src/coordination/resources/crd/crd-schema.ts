import { isObject } from '../schema/is-object.js'
import type { StructuralSchema } from '../schema/structural.js'

/** What a definition may not say, or not beside the rest. */
const NOWHERE = ['deprecated', 'readOnly', 'writeOnly', 'uniqueItems', 'additionalProperties']
/** What it may say of a value once, and not again under `allOf` and the like. */
const ONCE = ['type', 'title', 'description', 'default', 'nullable', 'example']
/** Whoever says less under these allows less. */
const INVERTING = ['oneOf', 'not']
const BRANCHES = ['allOf', 'anyOf', 'oneOf']

/**
 * A structural schema as a CustomResourceDefinition may have it. It is never narrower: what may not be said there is left out.
 *
 * @param schema - of OpenAPI 3.0
 */
export function crdSchema(schema: StructuralSchema): StructuralSchema {
  const words = kept(schema, NOWHERE)
  const { properties, additionalProperties: others, items } = schema
  if (isObject(properties)) {
    words['properties'] = mapped(properties, crdSchema)
    // No word for a closed object is needed: what is not listed is refused, or left out.
    if (others !== undefined && others !== false) words['x-kubernetes-preserve-unknown-fields'] = true
  } else if (others !== undefined && others !== false) {
    if (isObject(others)) words['additionalProperties'] = crdSchema(others)
    else words['x-kubernetes-preserve-unknown-fields'] = true
  }
  if (isObject(items)) words['items'] = crdSchema(items)
  return Object.assign(words, branches(schema))
}

/** What stands under `allOf` and the like. */
function branches(schema: StructuralSchema): Record<string, unknown> {
  const words: Record<string, unknown> = {}
  for (const [word, value] of Object.entries(schema)) {
    if (!BRANCHES.includes(word) && word !== 'not') continue
    const given = (Array.isArray(value) ? value : [value]) as StructuralSchema[]
    const sound = given.map(branch)
    if (INVERTING.includes(word) && JSON.stringify(sound) !== JSON.stringify(given)) continue
    words[word] = Array.isArray(value) ? sound : sound[0]
  }
  return words
}

function branch(schema: StructuralSchema): StructuralSchema {
  const words = kept(schema, [...NOWHERE, ...ONCE])
  for (const word of Object.keys(words))
    if (word.startsWith('x-kubernetes-')) Reflect.deleteProperty(words, word)
  if (isObject(schema['properties'])) words['properties'] = mapped(schema['properties'], branch)
  if (isObject(schema['items'])) words['items'] = branch(schema['items'])
  return Object.assign(words, branches(schema))
}

/** All words but some, and those that have schemas in them. */
function kept(schema: StructuralSchema, without: readonly string[]): Record<string, unknown> {
  const others = [...without, ...BRANCHES, 'not', 'properties', 'items']
  return Object.fromEntries(Object.entries(schema).filter(([word]) => !others.includes(word)))
}

function mapped(
  schemas: Readonly<Record<string, unknown>>,
  change: (schema: StructuralSchema) => StructuralSchema,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, change(schema as StructuralSchema)]),
  )
}
