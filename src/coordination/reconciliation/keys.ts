import type { ResourceDefinition } from '../resources/define.js'
import { locationOf } from '../resources/location.js'
import type { Resource, ResourceName } from '../resources/object.js'

/** What stands for a resource in queues and caches: `NAMESPACE/NAME`, or `NAME` for kinds without namespaces. */
export function keyOf({ metadata }: Pick<Resource, 'metadata'>): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`
}

/** {@link keyOf} what has that name. @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is in a namespace, but its kind is not */
export function keyOfName(kind: ResourceDefinition, given: ResourceName): string {
  const { name, namespace } = locationOf(kind, given)
  return namespace === undefined ? name : `${namespace}/${name}`
}

/** What has that key. */
export function nameOfKey(key: string): ResourceName {
  const slash = key.indexOf('/')
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}
