import { hasCode } from '../../errors.js'
import type {
  DeleteCollectionOptions,
  DeleteResourceOptions,
  Deletion,
  ListOptions,
  PatchOptions,
  PatchScaleOptions,
  ResourceApi,
  ResourceEvent,
  ResourcePatch,
  WatchResourcesOptions,
  WriteOptions,
} from '../../resources/api.js'
import type { ResourceDefinition } from '../../resources/define.js'
import { ResourceError } from '../../resources/error.js'
import { isOver } from '../../resources/lifecycle.js'
import type {
  Resource,
  ResourceDraft,
  ResourceList,
  ResourceName,
  Scale,
  ScaleDraft,
} from '../../resources/object.js'

/** What has come of a write. */
export interface WriteResult {
  readonly kind: ResourceDefinition
  readonly resource: Resource
  readonly isGone: boolean
}

/** Something that a run has changed, and that a cache has to have before the next one. */
export interface OwnWrite extends WriteResult {
  /** What was in the cache then; undefined if there was nothing, or no cache. */
  readonly before: Resource | undefined
}

/** What is done around the writes of a run. */
export interface WriteHooks {
  /** Of whom the fields are that are written. */
  readonly fieldManager: string
  /** Asked before each write. @throws if there may be none */
  readonly check: () => void
  /** Told of what has come of each; not of dry runs. */
  readonly written: (result: WriteResult) => void
  /** Told of what nobody knows whether it was written. */
  readonly unknown: (kind: ResourceDefinition) => void
}

/** An API as one run of a reconcile uses it: reads go through, and writes are known. */
export class OwnWrites implements ResourceApi {
  readonly #api: ResourceApi
  readonly #hooks: WriteHooks

  constructor(api: ResourceApi, hooks: WriteHooks) {
    this.#api = api
    this.#hooks = hooks
  }

  get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
  ): Promise<Resource<Spec, Status>> {
    return this.#api.get(kind, name)
  }

  list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options?: ListOptions,
  ): Promise<ResourceList<Resource<Spec, Status>>> {
    return this.#api.list(kind, options)
  }

  watch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options?: WatchResourcesOptions,
  ): AsyncIterable<ResourceEvent<Resource<Spec, Status>>> {
    return this.#api.watch(kind, options)
  }

  create<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>> {
    return this.#write(kind, options, (given) => this.#api.create(kind, draft, given))
  }

  update<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>> {
    return this.#write(kind, options, (given) => this.#api.update(kind, draft, given))
  }

  updateStatus<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>> {
    return this.#write(kind, options, (given) => this.#api.updateStatus(kind, draft, given))
  }

  patch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options?: PatchOptions,
  ): Promise<Resource<Spec, Status>> {
    return this.#write(kind, options, (given) => this.#api.patch(kind, name, patch, given))
  }

  getScale<Spec, Status>(kind: ResourceDefinition<Spec, Status>, name: ResourceName): Promise<Scale> {
    return this.#api.getScale(kind, name)
  }

  updateScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    scale: ScaleDraft,
    options?: WriteOptions,
  ): Promise<Scale> {
    return this.#scale(kind, options, (given) => this.#api.updateScale(kind, scale, given))
  }

  patchScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options?: PatchScaleOptions,
  ): Promise<Scale> {
    return this.#scale(kind, options, (given) => this.#api.patchScale(kind, name, patch, given))
  }

  async delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    options: DeleteResourceOptions = {},
  ): Promise<Deletion<Resource<Spec, Status>>> {
    const deletion = await this.#try(kind, () => this.#api.delete(kind, name, options))
    if (options.dryRun !== true)
      this.#hooks.written({ kind, resource: deletion.object, isGone: deletion.removed })
    return deletion
  }

  async deleteCollection<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: DeleteCollectionOptions = {},
  ): Promise<readonly Deletion<Resource<Spec, Status>>[]> {
    const deletions = await this.#try(kind, () => this.#api.deleteCollection(kind, options))
    if (options.dryRun !== true)
      for (const { object, removed } of deletions)
        this.#hooks.written({ kind, resource: object, isGone: removed })
    return deletions
  }

  /** What it goes through to stays open: others use it. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #scale<Options extends WriteOptions>(
    kind: ResourceDefinition,
    options: Options | undefined,
    write: (options: Options & WriteOptions) => Promise<Scale>,
  ): Promise<Scale> {
    const { fieldManager, written, unknown } = this.#hooks
    const scale = await this.#try(kind, () => write({ fieldManager, ...options } as Options & WriteOptions))
    if (options?.dryRun === true) return scale
    const { name, namespace } = scale.metadata
    try {
      const resource = await this.#api.get(kind, { name, ...(namespace !== undefined && { namespace }) })
      written({ kind, resource, isGone: false })
    } catch (error) {
      // It was written: what has become of it the cache will say. If somebody has deleted it since, that is news as any other.
      if (!hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) unknown(kind)
    }
    return scale
  }

  async #write<Options extends WriteOptions, Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: Options | undefined,
    write: (options: Options & WriteOptions) => Promise<Resource<Spec, Status>>,
  ): Promise<Resource<Spec, Status>> {
    const { fieldManager, written } = this.#hooks
    const given = { fieldManager, ...options } as Options & WriteOptions
    const resource = await this.#try(kind, () => write(given))
    if (options?.dryRun !== true) written({ kind, resource, isGone: isOver(resource) })
    return resource
  }

  async #try<Result>(kind: ResourceDefinition, write: () => Promise<Result>): Promise<Result> {
    this.#hooks.check()
    try {
      return await write()
    } catch (error) {
      // What is refused was not written; an answer that was lost says nothing.
      if (!(error instanceof ResourceError) || error.status >= 500) this.#hooks.unknown(kind)
      throw error
    }
  }
}
