import { createHash } from 'node:crypto'
import type { Resource } from '../../resources/object.js'
import { isObject } from '../../resources/schema/is-object.js'

/** How many fields are named. */
const MOST_FIELDS = 3

/** What of a resource somebody writes; not what the store sets, nor who has written it. */
function contentOf({ metadata, spec, status }: Resource): Record<string, unknown> {
  const { labels, annotations, finalizers, ownerReferences } = metadata
  return { metadata: { labels, annotations, finalizers, ownerReferences }, spec, status }
}

/** The same for two resources with the same content, whatever their versions. */
export function fingerprint(resource: Resource): string {
  return createHash('sha1')
    .update(JSON.stringify(contentOf(resource)))
    .digest('base64')
}

/** In which fields two states of a resource differ, the first few: `spec.discount`. Nothing if one is not there. */
export function differingFields(one: Resource | undefined, other: Resource | undefined): readonly string[] {
  if (!one || !other) return []
  const fields: string[] = []
  compare(contentOf(one), contentOf(other), [], fields)
  return fields.slice(0, MOST_FIELDS)
}

function compare(one: unknown, other: unknown, path: readonly string[], fields: string[]): void {
  if (fields.length >= MOST_FIELDS) return
  if (isObject(one) && isObject(other)) {
    for (const name of new Set([...Object.keys(one), ...Object.keys(other)]))
      compare(one[name], other[name], [...path, name], fields)
  } else if (JSON.stringify(one) !== JSON.stringify(other)) fields.push(path.join('.'))
}
