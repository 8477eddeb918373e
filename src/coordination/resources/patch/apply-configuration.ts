import type { Clock } from '../../../core/clock.js'
import { invalidPatch } from '../error.js'
import { applyConflict } from './apply-conflict.js'
import { compareFields } from './compare-fields.js'
import { FieldSet } from './field-set.js'
import { fieldsOf } from './fields-of.js'
import { isList, isObject, member, sameJson, withMember, type JsonObject } from './json.js'
import { KUBECTL, lastAppliedFields } from './last-applied.js'
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
import { mergeFields, pruneFields } from './merge-fields.js'
import type { MergeSchema } from './merge-schema.js'
import { checkKeys } from './parts.js'
import { underSchema } from './under-schema.js'

/** A configuration to apply. */
export interface ApplyRequest extends FieldWriter {
  /** What is stored; nothing if the object is not there yet. */
  readonly live?: JsonObject | undefined
  /** All that the manager has an opinion about; only what may be written through this subresource. */
  readonly config: JsonObject
  /** How objects of the kind are merged. */
  readonly schema: MergeSchema
  /** Takes over fields that others have; default: that is a conflict. */
  readonly force?: boolean
  /** Says when. */
  readonly clock: Pick<Clock, 'wall'>
}

/**
 * Applies a configuration as `kubectl apply --server-side` does. Fields of the configuration are set, and are the
 * manager's from now on; the same value may be of several managers. What the manager had applied before and leaves out
 * now is removed, unless somebody else has it. Applying the same again changes nothing.
 *
 * The server's own metadata in a configuration (uid, resourceVersion, generation, …) are passed over: whoever takes
 * them as preconditions checks them before.
 *
 * What `kubectl apply` had set by itself before is no conflict for the manager `kubectl`.
 *
 * The algorithm is that of Kubernetes (structured-merge-diff), for kinds with one version: entries of others keep
 * theirs, and are not converted.
 *
 * @returns the object with `metadata.managedFields`; `live` itself if nothing is different
 * @throws `BANYAN_APPLY_CONFLICT` for values that others have otherwise, unless `force` is set
 * @throws `BANYAN_PATCH_INVALID` for a configuration with `managedFields`, or a list with keys in which one is missing
 *   or twice
 */
export function applyConfiguration(request: ApplyRequest): JsonObject {
  const { schema, force = false } = request
  const config = configurationOf(request)
  const live = withoutManagers(request.live ?? {})
  const entry = entryOf(request, 'Apply')

  const managed = managersBefore(request, live)
  const mine = managed.filter((each) => sameWriter(each, entry))
  const others = managed.filter((each) => !sameWriter(each, entry))
  const last = union(mine)
  const wanted = fieldsOf(config, schema)

  const merged = mergeFields(live, config, schema) as JsonObject
  const owned = wanted.union(union(others)).union(UNOWNED)
  const object = pruneFields(merged, last, owned, schema) as JsonObject
  const { added, modified, removed } = compareFields(live, object, schema)
  const taken = added.union(modified)

  if (!force) {
    const contested = request.manager === KUBECTL ? taken.difference(lastAppliedFields(live, schema)) : taken
    const conflicts = others
      .map((each) => ({ ...each, fields: each.fields.intersection(contested) }))
      .filter(({ fields }) => !fields.empty)
    if (conflicts.length > 0) throw applyConflict(conflicts)
  }

  const fields = wanted.difference(UNOWNED)
  const gone = taken.union(removed)
  const unchanged =
    sameJson(live, object) &&
    fields.equals(last) &&
    mine.every(({ apiVersion }) => apiVersion === entry.apiVersion)
  const since = unchanged ? mine[0]?.time : undefined
  const applied = withManagers(object, [
    ...others.map((each) => ({ ...each, fields: each.fields.difference(gone) })),
    { ...entry, time: since ?? entry.time, fields },
  ])
  return request.live && sameJson(applied, request.live) ? request.live : applied
}

/** What was written before anybody kept book of it is somebody's, too: else an applier would have no conflict. */
const UNKNOWN_WRITER = 'before-first-apply'

function managersBefore(
  { live: stored, apiVersion, schema, clock }: ApplyRequest,
  live: JsonObject,
): readonly Managed[] {
  const managed = managersOf(stored) ?? []
  if (!stored || managed.length > 0)
    return managed.map((entry) => ({ ...entry, fields: underSchema(entry.fields, live, schema) }))
  const fields = compareFields({}, live, schema).added.difference(UNOWNED)
  return [{ ...entryOf({ manager: UNKNOWN_WRITER, apiVersion, clock }, 'Update'), fields }]
}

/** Metadata that a configuration may have, as it was read from the server, and that it does not decide. */
const SERVERS_OWN = [
  'managedFields',
  'resourceVersion',
  'uid',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
]

function configurationOf({ config, schema }: ApplyRequest): JsonObject {
  const managedFields = managedFieldsOf(config)
  if (
    managedFields !== undefined &&
    managedFields !== null &&
    !(isList(managedFields) && managedFields.length === 0)
  )
    throw invalidPatch('metadata.managedFields must be nil')
  const metadata = member(config, 'metadata')
  const clean = isObject(metadata)
    ? withMember(
        config,
        'metadata',
        SERVERS_OWN.reduce((rest, name) => withMember(rest, name, undefined), metadata),
      )
    : config
  checkKeys(clean, schema)
  return clean
}

function union(managed: readonly Managed[]): FieldSet {
  return managed.reduce((all, { fields }) => all.union(fields), new FieldSet())
}
