import { FieldSet, type Path } from './field-set.js'
import { sameJson, type Json } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import { partsOf, partsOfBoth } from './parts.js'

/** How two states of an object differ. */
export interface Changes {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

/** Compares two states of an object, field by field. */
export function compareFields(
  before: Json | undefined,
  after: Json | undefined,
  schema: MergeSchema,
): Changes {
  const changes = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() }
  compare(changes, before, after, schema, [])
  return changes
}

function compare(
  changes: Changes,
  before: Json | undefined,
  after: Json | undefined,
  schema: MergeSchema,
  path: Path,
): void {
  const parts = partsOfBoth(before, after, schema)
  if (parts) {
    const [old, now] = parts
    for (const element of new Set([...old.keys(), ...now.keys()]))
      compareItems(changes, old.get(element) ?? [], now.get(element) ?? [], schema.at(element), [
        ...path,
        element,
      ])
  } else if (before !== undefined && after !== undefined) {
    if (sameJson(before, after)) return
    if (!partsOf(before, schema) && !partsOf(after, schema)) {
      changes.modified.insert(path)
      return
    }
    // Something else altogether: what was below is gone, with whoever owned it.
    compare(changes, before, undefined, schema, path)
    compare(changes, undefined, after, schema, path)
    return
  }
  if (before === undefined) changes.added.insert(path)
  else if (after === undefined) changes.removed.insert(path)
}

/** Items with the same key; several of them are one thing. */
function compareItems(
  changes: Changes,
  before: readonly Json[],
  after: readonly Json[],
  schema: MergeSchema,
  path: Path,
): void {
  if (before.length <= 1 && after.length <= 1) {
    compare(changes, before[0], after[0], schema, path)
  } else if (before.length > 1 && after.length > 1) {
    if (!sameJson(before, after)) changes.modified.insert(path)
  } else if (before.length > 1) {
    changes.removed.insert(path)
    if (after.length === 1) compare(changes, undefined, after[0], schema, path)
  } else {
    if (before.length === 1) compare(changes, before[0], undefined, schema, path)
    changes.added.insert(path)
  }
}
