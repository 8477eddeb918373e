import type { Clock } from '../../../core/clock.js'
import { compareFields } from './compare-fields.js'
import { isList, isObject, type Json, type JsonObject } from './json.js'
import {
  entryOf,
  managedFieldsOf,
  managersOf,
  sameWriter,
  UNOWNED,
  withManagers,
  withoutManagers,
  type FieldWriter,
  type Managed,
} from './managers.js'
import type { MergeSchema } from './merge-schema.js'
import { underSchema } from './under-schema.js'

/** A write that is no apply: a create, an update, or any patch. */
export interface UpdateRequest extends FieldWriter {
  /** What is stored; nothing if the object is created. */
  readonly before?: JsonObject | undefined
  /** What shall be. */
  readonly after: JsonObject
  /** How objects of the kind are merged. */
  readonly schema: MergeSchema
  /** Says when. */
  readonly clock: Pick<Clock, 'wall'>
}

/**
 * Keeps book of who has which fields, for a write that is no apply: it never conflicts, but whoever changes a field
 * takes it from those who had it, and what is gone is nobody's any more.
 *
 * A writer may hand on other `managedFields` than are stored, and `[{}]` to begin anew. Where there are none, or none
 * that can be read, the stored ones go on, as for every subresource: clients that do not know them must not wipe them
 * out.
 *
 * @returns `after` with `metadata.managedFields`
 */
export function trackUpdate(request: UpdateRequest): JsonObject {
  const { before, after, schema } = request
  const entry = entryOf(request, 'Update')
  const live = withoutManagers(before ?? {})
  const { added, modified, removed } = compareFields(live, withoutManagers(after), schema)
  const taken = added.union(modified)
  const gone = taken.union(removed)
  const left = managersBefore(request).map((each) => ({
    ...each,
    fields: underSchema(each.fields, live, schema).difference(gone),
  }))
  const own = taken.difference(UNOWNED)
  if (own.empty) return withManagers(after, left)
  const mine = left.filter((each) => sameWriter(each, entry))
  const fields = mine.reduce((all, each) => all.union(each.fields), own)
  return withManagers(after, [...left.filter((each) => !mine.includes(each)), { ...entry, fields }])
}

function managersBefore({ before, after, subresource }: UpdateRequest): readonly Managed[] {
  if (subresource === undefined) {
    if (isReset(managedFieldsOf(after))) return []
    const managed = managersOf(after)
    if (managed && managed.length > 0) return managed
  }
  return managersOf(before) ?? []
}

function isReset(managedFields: Json | undefined): boolean {
  if (!isList(managedFields) || managedFields.length !== 1) return false
  const [entry] = managedFields
  return isObject(entry) && Object.keys(entry).length === 0
}
