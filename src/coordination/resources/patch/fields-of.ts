import { FieldSet, type Path } from './field-set.js'
import type { Json } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import { partsOf } from './parts.js'

/**
 * The fields that whoever gives this value has an opinion about: all ends, items of lists, and members that the schema
 * does not name, as labels; not the objects that only hold them.
 */
export function fieldsOf(value: Json, schema: MergeSchema): FieldSet {
  const set = new FieldSet()
  collect(set, value, schema, [])
  return set
}

function collect(set: FieldSet, value: Json, schema: MergeSchema, path: Path): void {
  const parts = partsOf(value, schema)
  if (!parts) {
    set.insert(path)
    return
  }
  for (const [element, values] of parts) {
    const here = [...path, element]
    const [child] = values
    // Items that cannot be told apart are owned together.
    if (values.length === 1) collect(set, child!, schema.at(element), here)
    if (!schema.names(element) || isNothing(child!)) set.insert(here)
  }
}

/**
 * What has no fields of its own in which an owner could be seen. Kubernetes leaves out empty lists here, so that nobody
 * has them, and the next applier meets them as somebody else's.
 */
function isNothing(value: Json): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}

/**
 * The set and the named objects above what it has. Whoever has dropped all that they had in an object has dropped that
 * object.
 */
export function withNamedParents(set: FieldSet, schema: MergeSchema): FieldSet {
  const result = new FieldSet()
  addNamed(result, set, schema, [])
  return result
}

function addNamed(result: FieldSet, set: FieldSet, schema: MergeSchema, path: Path): void {
  for (const element of set.elements()) {
    const here = [...path, element]
    const below = set.below(element)
    if (set.has(element) || schema.names(element)) result.insert(here)
    if (!below.empty) addNamed(result, below, schema.at(element), here)
  }
}
