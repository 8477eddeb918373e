import { duration } from '../../core/duration.js'
import { checkOptions } from '../../core/options.js'
import { systemRuntime } from '../../core/runtime.js'
import { hasCode } from '../../coordination/errors.js'
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
} from '../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../coordination/resources/define.js'
import { badRequest, ResourceError } from '../../coordination/resources/error.js'
import {
  checkedLocationOf,
  locationOf,
  type ResourceLocation,
} from '../../coordination/resources/location.js'
import type {
  Resource,
  ResourceDraft,
  ResourceList,
  ResourceName,
  Scale,
  ScaleDraft,
} from '../../coordination/resources/object.js'
import { checkRequest } from '../../coordination/resources/request.js'
import { without } from '../../coordination/resources/without.js'
import { loadConfig } from './config.js'
import { Connection, type Ask } from './connection.js'
import { KUBERNETES_OPTIONS, type KubernetesResourcesOptions } from './options.js'
import { collectionPath, dryRunQuery, listQuery, objectPath, writeQuery } from './paths.js'
import { watchOver } from './watch.js'

/** How many are deleted at once. */
const DELETING = 8
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
}
const SCALE = { apiVersion: 'autoscaling/v1', kind: 'Scale' }
/** How often a deletion is tried again because what has the name is another one. */
const TRIES = 8

/**
 * Opens the resources of a Kubernetes API server, of version 1.25 or later: controllers that run on those of a coordinator run on
 * these. Kinds have to be installed there; `crdOf` makes what installs them.
 *
 * A request that nobody can have seen, that was refused for now, or that only reads is made again until the timeout. Any other is
 * made once, and is `BANYAN_OUTCOME_UNKNOWN` if its answer is lost.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_DRIVER_MISSING`
 */
export async function kubernetesResources(options: KubernetesResourcesOptions = {}): Promise<ResourceApi> {
  checkOptions('kubernetesResources', KUBERNETES_OPTIONS, options)
  const { kubeConfig, context, timeout = '30s', runtime = systemRuntime } = options
  const config = typeof kubeConfig === 'object' ? kubeConfig : await loadConfig(kubeConfig, context)
  return new KubernetesResources(new Connection(config, duration(timeout), runtime))
}

class KubernetesResources implements ResourceApi {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
  ): Promise<Resource<Spec, Status>> {
    const path = objectPath(kind, checkedLocationOf(kind, name))
    return (await this.#connection.ask({ method: 'GET', path })).body as Resource<Spec, Status>
  }

  async list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: ListOptions = {},
  ): Promise<ResourceList<Resource<Spec, Status>>> {
    checkRequest('list', options)
    const path = collectionPath(kind, options.namespace)
    const { body } = await this.#connection.ask({ method: 'GET', path, query: listQuery(options) })
    const list = body as ResourceList<Resource<Spec, Status>>
    const { metadata } = list
    // A page that is the last one says so by nothing.
    return metadata.continue === '' ? { ...list, metadata: without(metadata, 'continue') } : list
  }

  async create<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkRequest('write', options)
    const { name = '', namespace, resourceVersion = '' } = metadataOf(draft)
    if (resourceVersion !== '') throw badRequest('resourceVersion should not be set on objects to be created')
    const location = locationOf(kind, { name, ...(namespace !== undefined && { namespace }) })
    const path = collectionPath(kind, location.namespace)
    return this.#write({ method: 'POST', path, body: bodyOf(kind, draft, location) }, options)
  }

  update<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    return this.#replace(kind, draft, undefined, options)
  }

  async updateStatus<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkPart(kind, 'status')
    return this.#replace(kind, draft, 'status', options)
  }

  async patch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options: PatchOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkRequest('patch', options)
    const { subresource } = options
    checkPart(kind, subresource)
    const location = checkedLocationOf(kind, name)
    return this.#patch(kind, location, objectPath(kind, location, subresource), patch, options)
  }

  async getScale<Spec, Status>(kind: ResourceDefinition<Spec, Status>, name: ResourceName): Promise<Scale> {
    const path = objectPath(kind, scaledLocationOf(kind, name), 'scale')
    return (await this.#connection.ask({ method: 'GET', path })).body as Scale
  }

  async updateScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    scale: ScaleDraft,
    options: WriteOptions = {},
  ): Promise<Scale> {
    checkRequest('write', options)
    const location = scaledLocationOf(kind, metadataOf(scale))
    const path = objectPath(kind, location, 'scale')
    return this.#write({ method: 'PUT', path, body: bodyOf(SCALE, scale, location) }, options)
  }

  async patchScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options: PatchScaleOptions = {},
  ): Promise<Scale> {
    checkRequest('patchScale', options)
    const location = scaledLocationOf(kind, name)
    return this.#patch(SCALE, location, objectPath(kind, location, 'scale'), patch, options)
  }

  async delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    options: DeleteResourceOptions = {},
  ): Promise<Deletion<Resource<Spec, Status>>> {
    checkRequest('delete', options)
    for (let tries = 1; ; tries++) {
      // The server does not say what it was that it has removed.
      const current = await this.get(kind, name)
      try {
        return await this.#delete(kind, current, options)
      } catch (error) {
        const isAnother = options.preconditions === undefined && hasCode(error, 'BANYAN_RESOURCE_CONFLICT')
        if (!isAnother || tries === TRIES) throw error
      }
    }
  }

  async deleteCollection<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: DeleteCollectionOptions = {},
  ): Promise<readonly Deletion<Resource<Spec, Status>>[]> {
    checkRequest('deleteCollection', options)
    const { dryRun = false, propagationPolicy, ...selection } = options
    const each = { dryRun, ...(propagationPolicy && { propagationPolicy }) }
    const { items } = await this.list(kind, selection)
    const left = items.entries()
    const deletions: (Deletion<Resource<Spec, Status>> | undefined)[] = []
    const work = async (): Promise<void> => {
      for (const [index, object] of left) {
        try {
          deletions[index] = await this.#delete(kind, object, each)
        } catch (error) {
          // Somebody else has deleted it; what has its name now is another.
          if (!hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND') && !hasCode(error, 'BANYAN_RESOURCE_CONFLICT'))
            throw error
        }
      }
    }
    await Promise.all(Array.from({ length: DELETING }, work))
    return deletions.filter((deletion) => deletion !== undefined)
  }

  async *watch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: WatchResourcesOptions = {},
  ): AsyncGenerator<ResourceEvent<Resource<Spec, Status>>, void> {
    checkRequest('watch', options)
    const list = (given: ListOptions): Promise<ResourceList> => this.list(kind, given)
    for await (const event of watchOver(this.#connection, list, kind, options))
      yield event as ResourceEvent<Resource<Spec, Status>>
  }

  close(): Promise<void> {
    this.#connection.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #replace<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    subresource: 'status' | undefined,
    options: WriteOptions,
  ): Promise<Resource<Spec, Status>> {
    checkRequest('write', options)
    const location = checkedLocationOf(kind, metadataOf(draft))
    const path = objectPath(kind, location, subresource)
    return this.#write({ method: 'PUT', path, body: bodyOf(kind, draft, location) }, options)
  }

  async #patch<Item>(
    of: Pick<ResourceDefinition, 'apiVersion' | 'kind'>,
    location: ResourceLocation,
    path: string,
    { type, patch }: ResourcePatch,
    options: PatchScaleOptions,
  ): Promise<Item> {
    const { force } = options
    if (!Object.hasOwn(PATCH_TYPES, type))
      throw badRequest(`a patch is of type merge, json or apply, not ${JSON.stringify(type)}`)
    if (force !== undefined && type !== 'apply')
      throw badRequest('force may not be specified for patches that do not apply')
    const ask: Ask = {
      method: 'PATCH',
      path,
      // Here a configuration need not say again what it is of, there it has to.
      body: type === 'apply' ? bodyOf(of, patch, location) : encoded(patch),
      contentType: PATCH_TYPES[type],
      query: { force },
    }
    try {
      return await this.#write<Item>(ask, options)
    } catch (error) {
      throw type === 'json' ? refusedPatch(error) : error
    }
  }

  async #write<Item>(ask: Ask, options: WriteOptions): Promise<Item> {
    const { body, warnings } = await this.#connection.ask({
      ...ask,
      query: { ...ask.query, ...writeQuery(options) },
    })
    for (const warning of warnings) options.onWarning?.(warning)
    return body as Item
  }

  /** Deletes it, and nothing else that has its name. */
  async #delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    current: Resource<Spec, Status>,
    { dryRun, propagationPolicy, preconditions }: DeleteResourceOptions,
  ): Promise<Deletion<Resource<Spec, Status>>> {
    const { name, namespace, uid } = current.metadata
    const { body } = await this.#connection.ask({
      method: 'DELETE',
      path: objectPath(kind, { name, namespace }),
      query: dryRunQuery(dryRun),
      body: JSON.stringify({
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid, ...preconditions },
        ...(propagationPolicy && { propagationPolicy }),
        ...(dryRun && { dryRun: ['All'] }),
      }),
    })
    const said = body as Resource<Spec, Status>
    return said.kind === 'Status' ? { removed: true, object: current } : { removed: false, object: said }
  }
}

/** Operations that do not fit are told in the same words as a resource that is not valid, but of no resource. */
function refusedPatch(error: unknown): unknown {
  if (!(error instanceof ResourceError) || !hasCode(error, 'BANYAN_RESOURCE_INVALID')) return error
  if (error.details.name !== undefined) return error
  return new ResourceError('BANYAN_PATCH_REFUSED', error.message, error.details, { cause: error })
}

function metadataOf({ metadata }: Pick<ResourceDraft, 'metadata'>): ResourceDraft['metadata'] {
  if (typeof metadata === 'object' && (metadata as object | null) !== null) return metadata
  throw badRequest('metadata must be an object')
}

function checkPart(kind: ResourceDefinition, part: 'status' | undefined): void {
  if (part === 'status' && !kind.status) throw badRequest(`${kind.kind} has no status`)
}

function scaledLocationOf(kind: ResourceDefinition, name: Partial<ResourceName>): ResourceLocation {
  if (!kind.scale) throw badRequest(`${kind.kind} cannot be scaled`)
  return checkedLocationOf(kind, name)
}

function bodyOf(
  { apiVersion, kind: title }: Pick<ResourceDefinition, 'apiVersion' | 'kind'>,
  draft: Partial<ResourceDraft>,
  { name, namespace }: ResourceLocation,
): string {
  const metadata = {
    ...(name !== '' && { name }),
    ...(namespace !== undefined && { namespace }),
    ...draft.metadata,
  }
  return encoded({ apiVersion, kind: title, ...draft, metadata })
}

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` if it cannot be sent */
function encoded(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw badRequest(`the object is no JSON: ${String(error)}`)
  }
}
