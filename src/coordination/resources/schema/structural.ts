import { isObject } from './is-object.js'
import { resolveReference } from './references.js'

/** A schema of OpenAPI 3.0, in the form that Kubernetes calls structural. */
export type StructuralSchema = Readonly<Record<string, unknown>>

/** What means the same in JSON Schema and in OpenAPI 3.0. */
const SAME = [
  'title', 'description', 'default', 'format', 'pattern', 'minLength', 'maxLength', 'multipleOf',
  'minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties', 'required', 'enum', 'deprecated', 'readOnly',
  'writeOnly',
] // prettier-ignore
const ANYTHING: StructuralSchema = { 'x-kubernetes-preserve-unknown-fields': true }
const BRANCHES = ['allOf', 'anyOf', 'oneOf']
const BOUNDS = [
  ['minimum', 'exclusiveMinimum', Math.max],
  ['maximum', 'exclusiveMaximum', Math.min],
] as const

/**
 * A schema as tools of Kubernetes read it: what they know of JSON Schema, in the words of OpenAPI 3.0, with references
 * replaced by what they refer to. It is never narrower than the schema: what cannot be said is left out.
 *
 * @param schema - a JSON Schema of draft 2020-12
 * @param root - the document that `$ref`s are of; default the schema itself
 */
export function structuralSchema(schema: unknown, root: unknown = schema): StructuralSchema {
  return convert(schema, { root, inside: [], isBranch: false })
}

interface Surroundings {
  readonly root: unknown
  /** What is being described around it: a schema may refer to itself. */
  readonly inside: readonly unknown[]
  /** Whether it says more of a value that was described already. */
  readonly isBranch: boolean
}

function convert(schema: unknown, around: Surroundings): StructuralSchema {
  if (schema === false) return { not: {} }
  if (!isObject(schema) || around.inside.includes(schema)) return around.isBranch ? {} : ANYTHING
  const here = { ...around, inside: [...around.inside, schema] }
  const { $ref: reference, ...own } = schema
  const referred =
    typeof reference === 'string' ? convert(resolveReference(reference, around.root) ?? true, here) : {}
  const words = { ...referred, ...wordsOf(own, here) }
  return around.isBranch ? words : completed(words)
}

function wordsOf(schema: Readonly<Record<string, unknown>>, around: Surroundings): Record<string, unknown> {
  const below = (part: unknown) => convert(part, around)
  const branch = (part: unknown) => convert(part, { ...around, isBranch: true })
  const words: Record<string, unknown> = { ...typeWords(schema['type']), ...boundWords(schema) }
  for (const [word, value] of Object.entries(schema)) {
    if (SAME.includes(word) || word.startsWith('x-kubernetes-')) words[word] = value
    if (BRANCHES.includes(word) && Array.isArray(value)) words[word] = value.map(branch)
  }
  if ('const' in schema) words['enum'] = [schema['const']]
  if (Array.isArray(schema['examples']) && schema['examples'].length > 0)
    [words['example']] = schema['examples'] as unknown[]
  if (isObject(schema['properties']))
    words['properties'] = Object.fromEntries(
      Object.entries(schema['properties']).map(([name, part]) => [name, below(part)]),
    )
  const others = schema['additionalProperties']
  if (isObject(schema['patternProperties'])) words['additionalProperties'] = true
  else if (others !== undefined) words['additionalProperties'] = isObject(others) ? below(others) : others
  // Of a list whose first items are described one by one, nothing is said of all.
  if (schema['items'] !== undefined && !Array.isArray(schema['prefixItems']))
    words['items'] = below(schema['items'])
  if (isObject(schema['not'])) words['not'] = branch(schema['not'])
  return words
}

/** In OpenAPI 3.0 a limit that is not to be reached is a limit, and a word beside it. */
function boundWords(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const words: Record<string, unknown> = {}
  for (const [inclusive, exclusive, stricter] of BOUNDS) {
    const limit = schema[exclusive]
    const other = schema[inclusive]
    if (typeof other === 'number') words[inclusive] = other
    if (typeof limit !== 'number' || (typeof other === 'number' && stricter(other, limit) !== limit)) continue
    Object.assign(words, { [inclusive]: limit, [exclusive]: true })
  }
  return words
}

function typeWords(type: unknown): Record<string, unknown> {
  if (type === 'null') return { nullable: true, ...ANYTHING }
  if (typeof type === 'string') return { type }
  if (!Array.isArray(type)) return {}
  const types = type.filter((each) => each !== 'null')
  const nullable = types.length < type.length ? { nullable: true } : {}
  if (types.length === 1) return { type: types[0] as unknown, ...nullable }
  const isIntOrString = types.length === 2 && types.includes('integer') && types.includes('string')
  return { ...(isIntOrString ? { 'x-kubernetes-int-or-string': true } : ANYTHING), ...nullable }
}

/** Says what JSON Schema need not: of which type it is, and what is in a list or an object. */
function completed(words: Record<string, unknown>): StructuralSchema {
  if (words['type'] === undefined && isObject(words['properties'])) words['type'] = 'object'
  if (words['type'] === undefined && words['items'] !== undefined) words['type'] = 'array'
  if (words['type'] === undefined && Array.isArray(words['enum']))
    Object.assign(words, typeOfAll(words['enum']))
  if (words['type'] === 'array') words['items'] ??= ANYTHING
  const isOpen = words['properties'] === undefined && words['additionalProperties'] === undefined
  const isTyped = words['type'] !== undefined || words['x-kubernetes-int-or-string'] === true
  if (words['type'] === 'object' ? isOpen : !isTyped) Object.assign(words, ANYTHING)
  return words
}

/** The type that all values have, if they have one. */
function typeOfAll(values: readonly unknown[]): { type?: string } {
  if (values.every((value) => Number.isInteger(value))) return { type: 'integer' }
  const types = new Set(values.map((value) => typeof value))
  const [type] = types
  return types.size === 1 && type !== undefined && type !== 'object' ? { type } : {}
}
