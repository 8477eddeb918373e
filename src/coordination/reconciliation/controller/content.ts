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

/**
 * The same for two writes that have made the same of a resource, whatever its version. What others say in its status is no part of
 * that, unless nothing but the status was written.
 *
 * @param before - what it was; undefined if it was not there
 */
export function fingerprint(resource: Resource, before: Resource | undefined): string {
  const rest = textOf({ ...contentOf(resource), status: undefined })
  const isStatus = before !== undefined && textOf({ ...contentOf(before), status: undefined }) === rest
  return createHash('sha1')
    .update(isStatus ? textOf(contentOf(resource)) : rest)
    .digest('base64')
}

function textOf(content: Record<string, unknown>): string {
  return JSON.stringify(content)
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
