import { invalidPatch } from '../error.js'
import { FieldSet, type Path } from './field-set.js'
import { isObject, type Json, type JsonObject } from './json.js'
import { parseElement } from './path-element.js'

/**
 * A set of fields in the format `FieldsV1` of Kubernetes' managedFields: a tree of path elements, where an end is in
 * the set, and what is above one is in it if it has a member `.`.
 */
export function toFieldsV1(set: FieldSet): JsonObject {
  return written(set, false)
}

function written(set: FieldSet, isMember: boolean): JsonObject {
  const fields: Record<string, Json> = {}
  if (isMember && !set.empty) fields['.'] = {}
  // No element is the name of anything else: each begins with its kind.
  for (const element of set.ordered()) fields[element] = written(set.below(element), set.has(element))
  return fields
}

/**
 * Reads the format `FieldsV1`. Elements of a kind that is not known are left out, with what is below: a later version
 * may have written them.
 *
 * @throws `BANYAN_PATCH_INVALID` for what is no such tree
 */
export function fromFieldsV1(fields: Json): FieldSet {
  const set = new FieldSet()
  readInto(set, fields, [])
  return set
}

function readInto(set: FieldSet, node: Json, path: Path): void {
  if (!isObject(node)) throw invalidPatch('a set of fields is a tree of objects')
  let known = 0
  for (const [key, below] of Object.entries(node)) {
    if (key === '.') {
      set.insert(path)
      known++
      continue
    }
    const element = parseElement(key)
    if (element === undefined) continue
    readInto(set, below, [...path, element])
    known++
  }
  if (known === 0) set.insert(path)
}
