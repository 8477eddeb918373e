import type { Clock } from '../../../core/clock.js'
import { compareFields } from './compare-fields.js'
import { isList, isObject, type Json, type JsonObject } from './json.js'
import {
  managedFieldsOf,
  readManaged,
  sameWriter,
  secondsOf,
  UNOWNED,
  withManagedFields,
  withoutManagedFields,
  writeManaged,
  writerOf,
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
  /** How objects of the kind are merged; see `resourceSchema`. */
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
  const { before, after, schema, clock } = request
  const writer = { ...writerOf(request), operation: 'Update' as const }
  const live = withoutManagedFields(before ?? {})
  const { added, modified, removed } = compareFields(live, withoutManagedFields(after), schema)
  const taken = added.union(modified)
  const gone = taken.union(removed)
  const left = managersBefore(request).map((entry) => ({
    ...entry,
    fields: underSchema(entry.fields, live, schema).difference(gone),
  }))
  const own = taken.difference(UNOWNED)
  if (own.empty) return withManagedFields(after, writeManaged(left))
  const mine = left.filter((entry) => sameWriter(entry, writer))
  return withManagedFields(
    after,
    writeManaged([
      ...left.filter((entry) => !mine.includes(entry)),
      {
        ...writer,
        time: secondsOf(clock),
        fields: mine.reduce((all, { fields }) => all.union(fields), own),
      },
    ]),
  )
}

function managersBefore({ before, after, subresource }: UpdateRequest): readonly Managed[] {
  const given = managedFieldsOf(after)
  if (subresource === undefined) {
    if (isReset(given)) return []
    const managed = readManaged(given)
    if (managed && managed.length > 0) return managed
  }
  return readManaged(managedFieldsOf(before)) ?? []
}

function isReset(managedFields: Json | undefined): boolean {
  if (!isList(managedFields) || managedFields.length !== 1) return false
  const [entry] = managedFields
  return isObject(entry) && Object.keys(entry).length === 0
}
