import { KEYSPACE } from '../../keyspace.js'
import type { ResourceDefinition } from '../define.js'
import { checkedLocationOf, locationOf, type ResourceLocation } from '../location.js'
import type { ResourceName } from '../object.js'

/** Where a resource is: `BASE/NAMESPACE/NAME`, with nothing for the namespace if the kind has none. */
export interface Place extends ResourceLocation {
  readonly key: string
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

/** {@link locationOf}, with its key. */
export function placeOf(kind: ResourceDefinition, name: ResourceName): Place {
  return keyed(kind, locationOf(kind, name))
}

/** {@link checkedLocationOf}, with its key. */
export function checkedPlaceOf(kind: ResourceDefinition, name: Partial<ResourceName>): Place {
  return keyed(kind, checkedLocationOf(kind, name))
}

function keyed(kind: ResourceDefinition, location: ResourceLocation): Place {
  return { key: `${prefixOf(kind)}${location.namespace ?? ''}/${location.name}`, ...location }
}
