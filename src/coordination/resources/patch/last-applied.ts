import { compareFields } from './compare-fields.js'
import { FieldSet } from './field-set.js'
import { fieldsOf } from './fields-of.js'
import { isObject, member, type Json, type JsonObject } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import { field } from './path-element.js'

/** Where `kubectl apply` keeps what it has applied, if it merges by itself. */
const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration'

/** Who applies at the server for those who did it with `kubectl` before. */
export const KUBECTL = 'kubectl'

/**
 * The fields of an object that `kubectl apply` has set by itself, without server-side apply, and that are still as it has set them.
 * They are of the manager `kubectl-client-side-apply`, which is the same tool, and no reason for a conflict when it goes over.
 */
export function lastAppliedFields(live: JsonObject, schema: MergeSchema): FieldSet {
  const metadata = member(live, 'metadata')
  const annotations = isObject(metadata) ? member(metadata, 'annotations') : undefined
  const text = isObject(annotations) ? member(annotations, ANNOTATION) : undefined
  const config = typeof text === 'string' ? parsed(text) : undefined
  if (!isObject(config)) return new FieldSet()
  const { added, modified, removed } = compareFields(live, config, schema)
  return fieldsOf(config, schema)
    .difference(added.union(modified).union(removed))
    .union(FieldSet.of([field('metadata'), field('annotations'), field(ANNOTATION)]))
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
