import type { Resource } from '../../coordination/resources/object.js'
import type { Path } from '../config/problem.js'
import { entryKinds, NODE_KIND } from './kinds.js'
import { entryNameOf, NAME_ANNOTATION, resourceNameOf } from './names.js'
import { ORDER_ANNOTATION } from './resources-of.js'

/** Something of a resource that is not as it must be, whatever the others are like. */
export interface ResourceFault {
  readonly resource: Resource
  readonly message: string
}

/** A configuration out of resources. */
export interface Composition {
  /** As it is written in a file. */
  readonly config: Readonly<Record<string, unknown>>
  /** What is not in it, as nobody knows what it is meant to be. */
  readonly faults: readonly ResourceFault[]
  /** What says the settings of the node. */
  readonly self: Resource | undefined
  /** Whose fault it is if something at a path of the configuration is wrong; undefined if no resource says anything of it. */
  resourceAt(path: Path): Resource | undefined
}

/**
 * The configuration that resources say. What is marked as deleted is not wanted any more, and not in it.
 *
 * @param resources - of every kind, of one namespace, in any order
 * @param node - which of the resources of nodes it is for; without one of that name it has no settings of a node
 */
export function configOf(resources: Iterable<Resource>, node: string): Composition {
  const sections = new Map(entryKinds().map(({ section, definition }) => [definition.kind, section]))
  const entries = new Map<string, Map<string, Resource>>()
  const faults: ResourceFault[] = []
  const own = resourceNameOf(node)
  let self: Resource | undefined
  for (const resource of inOrder(resources)) {
    const { kind, metadata } = resource
    if (metadata.deletionTimestamp !== undefined) continue
    if (kind === NODE_KIND) {
      if (metadata.name === own) self = resource
      continue
    }
    const name = entryNameOf(metadata)
    const order = metadata.annotations?.[ORDER_ANNOTATION]
    if (name === undefined) {
      const given = metadata.annotations![NAME_ANNOTATION]!
      const message =
        given === '__proto__'
          ? '`__proto__` cannot be a name'
          : `the annotation ${NAME_ANNOTATION} does not belong to a resource of this name, but to ${resourceNameOf(given)}`
      faults.push({ resource, message })
    } else if (order !== undefined && !Number.isFinite(orderOf(resource))) {
      faults.push({ resource, message: `the annotation ${ORDER_ANNOTATION} must be a number` })
    } else {
      const section = sections.get(kind)!
      if (!entries.has(section)) entries.set(section, new Map())
      entries.get(section)!.set(name, resource)
    }
  }
  const maps = Array.from(entries, ([section, byName]): [string, unknown] => [
    section,
    Object.fromEntries(Array.from(byName, ([name, { spec }]) => [name, spec])),
  ])
  return {
    config: { ...(self?.spec as object | undefined), ...Object.fromEntries(maps) },
    faults,
    self,
    resourceAt: ([section, name]) =>
      entries.get(String(section))?.get(String(name)) ??
      (section !== undefined && Object.hasOwn((self?.spec as object | undefined) ?? {}, section)
        ? self
        : undefined),
  }
}

/** As they stand in a file; those that nobody has given a place come behind, the oldest first. */
function inOrder(resources: Iterable<Resource>): Resource[] {
  return [...resources].sort(
    (a, b) =>
      Math.sign(orderOf(a) - orderOf(b)) ||
      compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
      compare(a.metadata.name, b.metadata.name),
  )
}

function orderOf({ metadata }: Resource): number {
  const text = metadata.annotations?.[ORDER_ANNOTATION]
  return text === undefined || text.trim() === '' ? Infinity : Number(text)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
