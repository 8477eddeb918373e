import type { ResourceDefinition } from './define.js'
import { badRequest } from './error.js'
import { labelMistake, subdomainMistake } from './names.js'
import type { ResourceName } from './object.js'

/** What a namespaced resource is in if nobody says so. */
const DEFAULT_NAMESPACE = 'default'

/** Where a resource of a kind is. */
export interface ResourceLocation {
  readonly name: string
  /** Undefined for kinds of scope `Cluster`. */
  readonly namespace: string | undefined
}

/**
 * Where a resource is, whatever its name is like.
 *
 * @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is in a namespace, but its kind is not
 */
export function locationOf(kind: ResourceDefinition, { name, namespace }: ResourceName): ResourceLocation {
  if (kind.scope === 'Namespaced') return { name, namespace: namespace ?? DEFAULT_NAMESPACE }
  if (namespace !== undefined)
    throw badRequest(`${kind.kind} is in no namespace, got ${JSON.stringify(namespace)}`)
  return { name, namespace: undefined }
}

/** {@link locationOf}. @throws `BANYAN_RESOURCE_BAD_REQUEST` if there can be no resource of that name, too */
export function checkedLocationOf(kind: ResourceDefinition, name: Partial<ResourceName>): ResourceLocation {
  const mistake = subdomainMistake(name.name)
  if (mistake !== undefined) throw badRequest(`metadata.name ${JSON.stringify(name.name)}: ${mistake}`)
  const location = locationOf(kind, name as ResourceName)
  const wrong = location.namespace === undefined ? undefined : labelMistake(location.namespace)
  if (wrong !== undefined)
    throw badRequest(`metadata.namespace ${JSON.stringify(location.namespace)}: ${wrong}`)
  return location
}
