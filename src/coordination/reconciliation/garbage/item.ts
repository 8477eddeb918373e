import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'
import type { OwnerReference, Resource } from '../../resources/object.js'
import type { Informer } from '../informer/informer.js'
import { keyOf } from '../keys.js'

/** A kind whose garbage is collected. */
export interface Collected {
  readonly kind: ResourceDefinition
  readonly cache: Informer
  /** What belongs to who has a uid. */
  readonly ownedBy: (uid: string) => readonly Resource[]
}

/** A resource of one of many kinds. */
export interface Item {
  readonly of: Collected
  readonly key: string
}

/** What stands for a resource of one of many kinds in a queue: `PLURAL.GROUP/KEY`. */
export function idOf({ kind }: Collected, key: string): string {
  return `${qualifiedPlural(kind)}/${key}`
}

/** All kinds, by what items and references say of them. */
export class Kinds {
  readonly all: readonly Collected[]
  readonly #byPlural = new Map<string, Collected>()
  readonly #byKind = new Map<string, Collected>()

  constructor(all: readonly Collected[]) {
    this.all = all
    for (const each of all) {
      this.#byPlural.set(qualifiedPlural(each.kind), each)
      this.#byKind.set(`${each.kind.group}/${each.kind.kind}`, each)
    }
  }

  /** What an id stands for. */
  item(id: string): Item | undefined {
    const slash = id.indexOf('/')
    const of = this.#byPlural.get(id.slice(0, slash))
    return of && { of, key: id.slice(slash + 1) }
  }

  /** Of what kind an owner is, in any version; undefined if that is not among them. */
  ofOwner({ apiVersion, kind }: OwnerReference): Collected | undefined {
    const slash = apiVersion.lastIndexOf('/')
    return this.#byKind.get(`${apiVersion.slice(0, Math.max(0, slash))}/${kind}`)
  }

  /** What belongs to a resource, of all kinds. */
  *dependents({ metadata }: Resource): Generator<{ of: Collected; resource: Resource }> {
    for (const of of this.all)
      for (const resource of of.ownedBy(metadata.uid))
        // One of another namespace cannot belong to it, whatever it says.
        if (metadata.namespace === undefined || metadata.namespace === resource.metadata.namespace)
          yield { of, resource }
  }

  /** Where the owner is that a resource names; undefined for a kind that is not among them, or that it cannot belong to. */
  ownerItem(resource: Resource, reference: OwnerReference): Item | undefined {
    const of = this.ofOwner(reference)
    if (!of) return undefined
    const { namespace } = resource.metadata
    if (of.kind.scope === 'Cluster') return { of, key: reference.name }
    return namespace === undefined
      ? undefined
      : { of, key: keyOf({ metadata: { ...resource.metadata, name: reference.name } }) }
  }
}

/** Uids of all owners. */
export function ownerUids({ metadata }: Resource): readonly string[] | undefined {
  return metadata.ownerReferences?.map(({ uid }) => uid)
}
