import { KEYSPACE } from '../../keyspace.js'
import type { ResourceDefinition } from '../define.js'
import { badRequest } from '../error.js'
import { labelMistake, subdomainMistake } from '../names.js'
import type { ResourceName } from '../object.js'

/** What a namespaced resource is in if nobody says so. */
const DEFAULT_NAMESPACE = 'default'

/** Where a resource is: `BASE/NAMESPACE/NAME`, with nothing for the namespace if the kind has none. */
export interface Place {
  readonly key: string
  readonly name: string
  readonly namespace: string | undefined
}

/** What all keys of a kind begin with. */
export function prefixOf({ group, plural }: ResourceDefinition): string {
  return `${KEYSPACE.resources}${group}/${plural}/`
}

/** What the keys of a kind in a namespace, or in all, begin with. */
export function prefixIn(kind: ResourceDefinition, namespace: string | undefined): string {
  return namespace === undefined || kind.scope === 'Cluster'
    ? prefixOf(kind)
    : `${prefixOf(kind)}${namespace}/`
}

/** A key that a cache sees the changes of, and that no resource has: they have a `/` behind the prefix. */
export function markOf(kind: ResourceDefinition): string {
  return `${prefixOf(kind)}.mark`
}

/**
 * Where a resource is, whatever its name is like.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is in a namespace, but its kind is not
 */
export function placeOf(kind: ResourceDefinition, { name, namespace }: ResourceName): Place {
  if (kind.scope === 'Cluster') {
    if (namespace !== undefined)
      throw badRequest(`${kind.kind} is in no namespace, got ${JSON.stringify(namespace)}`)
    return { key: `${prefixOf(kind)}/${name}`, name, namespace: undefined }
  }
  const within = namespace ?? DEFAULT_NAMESPACE
  return { key: `${prefixOf(kind)}${within}/${name}`, name, namespace: within }
}

/** {@link placeOf}. @throws `BANYAN_RESOURCE_BAD_REQUEST` if there can be no resource of that name, too */
export function checkedPlaceOf(kind: ResourceDefinition, name: Partial<ResourceName>): Place {
  const mistake = subdomainMistake(name.name)
  if (mistake !== undefined) throw badRequest(`metadata.name ${JSON.stringify(name.name)}: ${mistake}`)
  const place = placeOf(kind, name as ResourceName)
  const wrong = place.namespace === undefined ? undefined : labelMistake(place.namespace)
  if (wrong !== undefined) throw badRequest(`metadata.namespace ${JSON.stringify(place.namespace)}: ${wrong}`)
  return place
}
