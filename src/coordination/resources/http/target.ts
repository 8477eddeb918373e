import type { ResourceDefinition } from '../define.js'
import type { ResourceName } from '../object.js'

/** Where who asks is told what it may, and who it is. */
export const ACCESS_REVIEW = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
export const IDENTITY_REVIEW = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

/** What a request is about. */
export type Target = { readonly type: 'document'; readonly path: string } | CollectionTarget | ObjectTarget

/** All resources of a kind, or those of a namespace. */
export interface CollectionTarget {
  readonly type: 'collection'
  readonly kind: ResourceDefinition
  /** Undefined for all, and for kinds without. */
  readonly namespace: string | undefined
}

/** One resource, or a part of it. */
export interface ObjectTarget {
  readonly type: 'object'
  readonly kind: ResourceDefinition
  readonly namespace: string | undefined
  readonly name: string
  readonly subresource: Subresource | undefined
}

/** A part of a resource with a path of its own. */
export type Subresource = 'status' | 'scale'

/** Where requests go: the paths of Kubernetes, `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE`. */
export class Paths {
  readonly #kinds = new Map<string, ResourceDefinition>()

  constructor(definitions: readonly ResourceDefinition[]) {
    for (const kind of definitions) this.#kinds.set(`${kind.apiVersion}/${kind.plural}`, kind)
  }

  /** @returns undefined if nothing can be there; a document may be there or not */
  target(path: string): Target | undefined {
    const segments = decoded(path)
    if (!segments) return undefined
    const [root, group, version, ...rest] = segments
    const whole = `/${segments.join('/')}`
    if (root !== 'apis' || rest.length === 0 || whole === ACCESS_REVIEW || whole === IDENTITY_REVIEW)
      return { type: 'document', path: whole }
    return rest[0] === 'namespaces' && rest.length >= 3
      ? this.#find(`${group}/${version}`, rest.slice(2), rest[1])
      : this.#find(`${group}/${version}`, rest, undefined)
  }

  #find(
    apiVersion: string,
    [plural, name, subresource, ...more]: readonly string[],
    namespace: string | undefined,
  ): Target | undefined {
    const kind = this.#kinds.get(`${apiVersion}/${plural}`)
    if (!kind || more.length > 0) return undefined
    const isPlaced = (kind.scope === 'Namespaced') === (namespace !== undefined)
    if (name === undefined)
      return isPlaced || namespace === undefined ? { type: 'collection', kind, namespace } : undefined
    if (
      !isPlaced ||
      (subresource !== undefined && !subresourcesOf(kind).includes(subresource as Subresource))
    )
      return undefined
    return { type: 'object', kind, namespace, name, subresource: subresource as Subresource | undefined }
  }
}

/** The parts of the resources of a kind that have a path of their own. */
export function subresourcesOf(kind: ResourceDefinition): readonly Subresource[] {
  return [...(kind.status ? (['status'] as const) : []), ...(kind.scale ? (['scale'] as const) : [])]
}

/** What resources call the place of one. */
export function nameOf({ name, namespace }: ObjectTarget): ResourceName {
  return { name, ...(namespace !== undefined && { namespace }) }
}

/** Undefined if it is no path: percent-encoding that is wrong, or parts that are empty. */
function decoded(path: string): string[] | undefined {
  try {
    const segments = path.replace(/^\//, '').replace(/\/$/, '').split('/').map(decodeURIComponent)
    return segments.some((each) => each.includes('/')) ? undefined : segments
  } catch {
    return undefined
  }
}
