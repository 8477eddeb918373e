import type { ResourceApi } from '../../coordination/resources/api.js'
import { qualifiedPlural, type ResourceDefinition } from '../../coordination/resources/define.js'
import type { Resource, Scale } from '../../coordination/resources/object.js'

/** A write that has changed something. */
export interface RecordedChange {
  /** Of whom it was asked. */
  readonly writer: string
  /** `promotions.shop.example default/sale`. */
  readonly resource: string
  /** Fields that are different, by their paths: what they were, and what they are. */
  readonly fields: ReadonlyMap<string, readonly [before: string, after: string]>
}

/** Told of what is written, in its order. */
export type ChangeListener = (change: RecordedChange) => void

/** What everybody writes, in its order: all handles must be of the same resources, in this process. */
export class ChangeBook {
  readonly #known = new Map<string, Resource>()
  readonly #listener: ChangeListener

  constructor(listener: ChangeListener) {
    this.#listener = listener
  }

  /** The same API, whose writes are taken down as those of a writer. */
  handle(api: ResourceApi, writer: string): ResourceApi {
    const wrote = <Written extends Resource>(
      kind: ResourceDefinition,
      written: Written,
      dryRun: boolean | undefined,
      isGone?: boolean,
    ): Written => {
      if (dryRun !== true) this.#wrote(writer, kind, written, isGone)
      return written
    }
    const scaled = async (
      kind: ResourceDefinition,
      scale: Scale,
      dryRun: boolean | undefined,
    ): Promise<Scale> => {
      const { name, namespace } = scale.metadata
      const where = { name, ...(namespace !== undefined && { namespace }) }
      if (dryRun !== true) wrote(kind, await api.get(kind, where), false)
      return scale
    }
    const close = (): Promise<void> => Promise.resolve()
    return {
      get: (kind, name) => api.get(kind, name),
      list: (kind, options) => api.list(kind, options),
      watch: (kind, options) => api.watch(kind, options),
      create: async (kind, draft, options) =>
        wrote(kind, await api.create(kind, draft, options), options?.dryRun),
      update: async (kind, draft, options) =>
        wrote(kind, await api.update(kind, draft, options), options?.dryRun),
      updateStatus: async (kind, draft, options) =>
        wrote(kind, await api.updateStatus(kind, draft, options), options?.dryRun),
      patch: async (kind, name, patch, options) =>
        wrote(kind, await api.patch(kind, name, patch, options), options?.dryRun),
      getScale: (kind, name) => api.getScale(kind, name),
      updateScale: async (kind, scale, options) =>
        scaled(kind, await api.updateScale(kind, scale, options), options?.dryRun),
      patchScale: async (kind, name, patch, options) =>
        scaled(kind, await api.patchScale(kind, name, patch, options), options?.dryRun),
      delete: async (kind, name, options) => {
        const deletion = await api.delete(kind, name, options)
        wrote(kind, deletion.object, options?.dryRun, deletion.removed)
        return deletion
      },
      deleteCollection: async (kind, options) => {
        const deletions = await api.deleteCollection(kind, options)
        for (const { object, removed } of deletions) wrote(kind, object, options?.dryRun, removed)
        return deletions
      },
      close,
      [Symbol.asyncDispose]: close,
    }
  }

  #wrote(writer: string, kind: ResourceDefinition, written: Resource, isGone = isOver(written)): void {
    const { namespace, name, resourceVersion } = written.metadata
    const resource = `${qualifiedPlural(kind)} ${namespace === undefined ? name : `${namespace}/${name}`}`
    const before = this.#known.get(resource)
    if (before && Number(before.metadata.resourceVersion) >= Number(resourceVersion)) return
    // Kept although it is gone: what is answered late must not look like news.
    this.#known.set(resource, written)
    const was = before && !isOver(before) ? before : undefined
    const fields = differences(was, isGone ? undefined : written)
    if (fields.size > 0) this.#listener({ writer, resource, fields })
  }
}

function isOver({ metadata }: Resource): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0
}

const NOTHING = 'nothing'
/** What follows from other fields. */
const DERIVED = new Set(['resourceVersion', 'generation', 'managedFields', 'uid', 'creationTimestamp'])

function differences(
  before: Resource | undefined,
  after: Resource | undefined,
): Map<string, readonly [string, string]> {
  if (!before || !after)
    return new Map(before === after ? [] : [['', [before ? 'there' : NOTHING, after ? 'there' : NOTHING]]])
  const [was, is] = [leavesOf(before), leavesOf(after)]
  const found = new Map<string, readonly [string, string]>()
  for (const path of new Set([...was.keys(), ...is.keys()])) {
    const pair = [was.get(path) ?? NOTHING, is.get(path) ?? NOTHING] as const
    if (pair[0] !== pair[1]) found.set(path, pair)
  }
  return found
}

function leavesOf({ metadata, spec, status }: Resource): Map<string, string> {
  const leaves = new Map<string, string>()
  const own = Object.fromEntries(Object.entries(metadata).filter(([name]) => !DERIVED.has(name)))
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null)
      for (const [name, part] of Object.entries(value)) walk(part, path === '' ? name : `${path}.${name}`)
    else if (value !== undefined) leaves.set(path, JSON.stringify(value))
  }
  walk({ metadata: own, spec, status }, '')
  return leaves
}
