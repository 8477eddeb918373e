import { FieldSet, type Path } from './field-set.js'
import { isList, isObject, type Json } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import { partsOf } from './parts.js'

/**
 * The fields of a set as the schema of today divides the value: whoever had a part of what is of one piece by now has
 * all of it. The other way round nothing is to be done: who had the whole has its name, and takes the parts with the
 * next apply.
 */
export function underSchema(fields: FieldSet, value: Json | undefined, schema: MergeSchema): FieldSet {
  const set = new FieldSet()
  carryOver(set, fields, value, schema, [])
  return set
}

function carryOver(
  set: FieldSet,
  fields: FieldSet,
  value: Json | undefined,
  schema: MergeSchema,
  path: Path,
): void {
  const parts = partsOf(value, schema)
  for (const element of fields.elements()) {
    const here = [...path, element]
    const child = parts?.get(element)?.[0]
    const ofOnePiece = (isObject(child) || isList(child)) && !partsOf(child, schema.at(element))
    if (fields.has(element) || ofOnePiece) set.insert(here)
    if (!ofOnePiece) carryOver(set, fields.below(element), child, schema.at(element), here)
  }
}
