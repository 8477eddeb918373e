import type { DeleteCollectionOptions, ListOptions, WriteOptions } from '../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../coordination/resources/define.js'
import type { ResourceLocation } from '../../coordination/resources/location.js'

/** Parameters of a request; those that are undefined are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** Where the resources of a kind are, of a namespace or of all. */
export function collectionPath(
  { group, version, plural, scope }: ResourceDefinition,
  namespace: string | undefined,
): string {
  const within =
    namespace === undefined || scope === 'Cluster' ? '' : `namespaces/${encodeURIComponent(namespace)}/`
  return `/apis/${group}/${version}/${within}${plural}`
}

/** Where a resource is, or a part of it. */
export function objectPath(
  kind: ResourceDefinition,
  { name, namespace }: ResourceLocation,
  subresource?: string,
): string {
  const path = `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`
  return subresource === undefined ? path : `${path}/${subresource}`
}

/** A path with its parameters. */
export function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') parameters.set(name, String(value))
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`
}

/** How a write is to be done. */
export function writeQuery(options: WriteOptions): Query {
  const { dryRun, fieldValidation = 'Strict', fieldManager = 'banyan' } = options
  return { ...dryRunQuery(dryRun), fieldValidation, fieldManager }
}

/** Whether a write is to be done. */
export function dryRunQuery(dryRun: boolean | undefined): Query {
  return { dryRun: dryRun ? 'All' : undefined }
}

/** Which resources. */
export function selectionQuery({ labelSelector, fieldSelector }: DeleteCollectionOptions): Query {
  return { labelSelector, fieldSelector }
}

/** Which list of them. */
export function listQuery(options: ListOptions): Query {
  const { resourceVersion, resourceVersionMatch, limit, continue: token } = options
  return {
    ...selectionQuery(options),
    resourceVersion,
    // Without it a version would mean another thing with a limit than without.
    resourceVersionMatch:
      resourceVersionMatch ?? (resourceVersion === undefined ? undefined : 'NotOlderThan'),
    limit: limit === 0 ? undefined : limit,
    continue: token,
  }
}
