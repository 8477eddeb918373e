import { duration, type Duration } from '../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError, hasCode } from '../../errors.js'
import type {
  DeleteCollectionOptions,
  DeleteResourceOptions,
  Deletion,
  ListOptions,
  PatchOptions,
  ResourceApi,
  ResourceEvent,
  ResourcePatch,
  WatchResourcesOptions,
  WriteOptions,
} from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { copyOf, pruned, readDraft } from '../draft.js'
import { badRequest } from '../error.js'
import { generateName } from '../generate.js'
import { deleted, isOver, type Part, type Unwritten } from '../lifecycle.js'
import type { Resource, ResourceDraft, ResourceList, ResourceName } from '../object.js'
import { edited } from '../patch/edit.js'
import { sameJson, type JsonObject } from '../patch/json.js'
import { checkRequest } from '../request.js'
import { application, creation, replacement, type Writer } from '../writing.js'
import { KindCache } from './cache.js'
import { decode, encode, frozen, versioned } from './codec.js'
import { checkedPlaceOf, placeOf, prefixOf, type Place } from './keys.js'
import { Lister } from './listing.js'
import {
  checkNamed,
  checkSame,
  checkVersion,
  conflict,
  exists,
  isOutdated,
  notFound,
  versionless,
} from './refusals.js'
import { watchResources } from './watching.js'

/** Options of {@link openResources}. */
export interface ResourcesOptions {
  /**
   * How many of the last changes of each kind are kept for those who watch, in memory; at most 16 Mi characters of them. Who is
   * further behind has to list again. Default 1000.
   */
  window?: number
  /** From one bookmark to the next, for watches that want them, in ms or as text. Default `'1m'`. */
  bookmarkEvery?: Duration
}

const OPTIONS: OptionTable<ResourcesOptions> = {
  window: { kind: 'number', min: 1, integer: true, doc: 'Changes of each kind that are kept. Default 1000.' },
  bookmarkEvery: { kind: 'duration', min: 1, doc: 'From one bookmark to the next. Default 1m.' },
}
const WINDOW_CHARACTERS = 16 * 1024 * 1024
/** How many names are drawn before one is given up that should be nobody's. */
const NAMES = 8
/** How often a change that does not depend on a version is made anew because somebody else was faster. */
const TRIES = 8

/**
 * Opens the resources that a coordinator keeps, one key each: every write is one compare-and-set, and `resourceVersion` is the
 * revision of the key. Who shares the coordinator shares the resources. Closing them leaves the coordinator open.
 *
 * What is read is frozen, as it may be given to many: copy what you want to change. A resource has at most 256 KiB, the most that
 * a coordinator keeps under a key.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function openResources(coordinator: Coordinator, options: ResourcesOptions = {}): ResourceApi {
  checkOptions('resources', OPTIONS, options)
  return new StoredResources(coordinator, options)
}

interface Shelf {
  readonly cache: KindCache
  readonly lister: Lister
}

/** What becomes of a resource: another, or the same if nothing is to be done. */
type Change = (current: Resource) => Unwritten

class StoredResources implements ResourceApi {
  readonly #coordinator: Coordinator
  readonly #window: number
  readonly #bookmarkEvery: number
  readonly #shelves = new Map<string, Shelf>()
  #closed = false

  constructor(coordinator: Coordinator, { window = 1000, bookmarkEvery = '1m' }: ResourcesOptions) {
    this.#coordinator = coordinator
    this.#window = window
    this.#bookmarkEvery = duration(bookmarkEvery)
  }

  async get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
  ): Promise<Resource<Spec, Status>> {
    return typed(await this.#read(kind, checkedPlaceOf(kind, name)))
  }

  async list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: ListOptions = {},
  ): Promise<ResourceList<Resource<Spec, Status>>> {
    checkRequest('list', options)
    return (await this.#shelf(kind).lister.list(options)) as ResourceList<Resource<Spec, Status>>
  }

  async create<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    given: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkRequest('write', options)
    const draft = readDraft(kind, given, options)
    const { name, generateName: base, namespace, resourceVersion = '' } = draft.metadata
    if (resourceVersion !== '') throw badRequest('resourceVersion should not be set on objects to be created')
    const { runtime } = this.#coordinator
    for (let tries = 1; ; tries++) {
      const drawn = name ?? (base === undefined ? '' : generateName(base, runtime.random))
      const place = placeOf(kind, { name: drawn, ...(namespace !== undefined && { namespace }) })
      const object = creation(kind, draft, place, writerOf('main', options), runtime)
      const stored = await this.#add(place, object, options)
      if (stored) return typed(stored)
      if (name !== undefined || tries === NAMES) throw exists(kind, drawn)
    }
  }

  async update<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    return typed(await this.#replace(kind, draft, 'main', options))
  }

  async updateStatus<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options: WriteOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkPart(kind, 'status')
    return typed(await this.#replace(kind, draft, 'status', options))
  }

  async patch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    given: ResourcePatch,
    options: PatchOptions = {},
  ): Promise<Resource<Spec, Status>> {
    checkRequest('patch', options)
    const { subresource: part = 'main', force, dryRun = false } = options
    checkPart(kind, part)
    const place = checkedPlaceOf(kind, name)
    const patch = readPatch(given)
    const writer = writerOf(part, options)
    if (patch.type === 'apply')
      return typed(await this.#apply(kind, place, patch.patch, { ...writer, force: force ?? false }, options))
    if (force !== undefined) throw badRequest('force may not be specified for patches that do not apply')
    const reading = { ...options, ...(options.onWarning && { onWarning: once(options.onWarning) }) }
    const change: Change = (current) => {
      const before = pruned(kind, current) as unknown as JsonObject
      const draft = readDraft(kind, edited(before, patch), reading)
      checkNamed(kind, place, draft)
      checkVersion(kind, current, draft)
      return replacement(kind, current, draft, writer, this.#coordinator.runtime)
    }
    return typed(await this.#rewrite(kind, place, change, dryRun))
  }

  async delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    options: DeleteResourceOptions = {},
  ): Promise<Deletion<Resource<Spec, Status>>> {
    checkRequest('delete', options)
    const { preconditions = {}, propagationPolicy, dryRun = false } = options
    const change: Change = (current) => {
      const { uid, resourceVersion } = current.metadata
      checkSame(kind, current, 'UID', preconditions.uid, uid)
      checkSame(kind, current, 'ResourceVersion', preconditions.resourceVersion, resourceVersion)
      return deleted(current, propagationPolicy, this.#coordinator.runtime)
    }
    const object = await this.#rewrite(kind, checkedPlaceOf(kind, name), change, dryRun)
    return { removed: isOver(object), object: typed(object) }
  }

  async deleteCollection<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: DeleteCollectionOptions = {},
  ): Promise<readonly Deletion<Resource<Spec, Status>>[]> {
    checkRequest('deleteCollection', options)
    const { dryRun, propagationPolicy, ...selection } = options
    const { items } = await this.list(kind, selection)
    const deletions: Deletion<Resource<Spec, Status>>[] = []
    for (const { metadata } of items) {
      const { name, namespace, uid } = metadata
      const place = { name, ...(namespace !== undefined && { namespace }) }
      try {
        const deletion = await this.delete(kind, place, {
          preconditions: { uid },
          ...(dryRun !== undefined && { dryRun }),
          ...(propagationPolicy && { propagationPolicy }),
        })
        deletions.push(deletion)
      } catch (error) {
        // Somebody else has deleted it; what has its name now is another.
        if (!isOutdated(error)) throw error
      }
    }
    return deletions
  }

  async *watch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options: WatchResourcesOptions = {},
  ): AsyncGenerator<ResourceEvent<Resource<Spec, Status>>, void> {
    checkRequest('watch', options)
    const shelf = this.#shelf(kind)
    const source = { coordinator: this.#coordinator, kind, bookmarkEvery: this.#bookmarkEvery, ...shelf }
    for await (const event of watchResources(source, options))
      yield event as ResourceEvent<Resource<Spec, Status>>
  }

  close(): Promise<void> {
    this.#closed = true
    for (const { cache } of this.#shelves.values()) cache.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #replace(
    kind: ResourceDefinition,
    given: ResourceDraft,
    part: Part,
    options: WriteOptions,
  ): Promise<Resource> {
    checkRequest('write', options)
    const draft = readDraft(kind, given, options)
    const place = checkedPlaceOf(kind, draft.metadata)
    const change: Change = (current) => {
      if ((draft.metadata.resourceVersion ?? '') === '') throw versionless(kind, place.name)
      checkVersion(kind, current, draft)
      return replacement(kind, current, draft, writerOf(part, options), this.#coordinator.runtime)
    }
    return this.#rewrite(kind, place, change, options.dryRun ?? false)
  }

  async #apply(
    kind: ResourceDefinition,
    place: Place,
    given: object,
    writer: Writer & { force: boolean },
    options: WriteOptions,
  ): Promise<Resource> {
    const config = readDraft(kind, given, options)
    checkNamed(kind, place, config)
    const { runtime } = this.#coordinator
    const change: Change = (current) => {
      checkVersion(kind, current, config)
      return application(kind, current, config, place, writer, runtime)
    }
    for (let tries = 0; tries < TRIES; tries++)
      try {
        return await this.#rewrite(kind, place, change, options.dryRun ?? false)
      } catch (error) {
        const { uid, resourceVersion } = config.metadata
        const isMissing = hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND') && writer.part === 'main'
        if (!isMissing || uid !== undefined || resourceVersion !== undefined) throw error
        const object = application(kind, undefined, config, place, writer, runtime)
        const stored = await this.#add(place, object, options)
        if (stored) return stored
      }
    throw conflict(kind, place.name)
  }

  /** Undefined if there is one already. */
  async #add(
    place: Place,
    object: Unwritten,
    { dryRun = false }: WriteOptions,
  ): Promise<Resource | undefined> {
    const value = encode(object)
    if (dryRun) return (await this.#coordinator.get(place.key)) ? undefined : frozen(object)
    const result = await this.#coordinator.put(place.key, value, { expected: 'absent' })
    return result.ok ? frozen(versioned(object, result.revision)) : undefined
  }

  /** Changes what is there: asked again for what is there then, if somebody else was faster. */
  async #rewrite(kind: ResourceDefinition, place: Place, change: Change, dryRun: boolean): Promise<Resource> {
    for (let tries = 0; tries < TRIES; tries++) {
      const current = await this.#read(kind, place)
      const next = change(current)
      if (next === current || sameJson(next as never, current as never)) return current
      const revision = dryRun
        ? Number(current.metadata.resourceVersion)
        : await this.#write(place, current, next)
      if (revision !== undefined) return frozen(versioned(next, revision))
    }
    throw conflict(kind, place.name)
  }

  /** @returns the revision; undefined if somebody else was faster */
  async #write({ key }: Place, current: Resource, next: Unwritten): Promise<number | undefined> {
    const expected = Number(current.metadata.resourceVersion)
    if (!isOver(next)) {
      const result = await this.#coordinator.put(key, encode(next), { expected })
      return result.ok ? result.revision : undefined
    }
    const result = await this.#coordinator.delete(key, { expected })
    return result.ok ? result.revision : undefined
  }

  async #read(kind: ResourceDefinition, { key, name }: Place): Promise<Resource> {
    this.#checkOpen()
    const entry = await this.#coordinator.get(key)
    if (!entry) throw notFound(kind, name)
    const shelf = this.#shelves.get(prefixOf(kind))
    return shelf ? shelf.cache.decoded(entry) : decode(entry)
  }

  #shelf(kind: ResourceDefinition): Shelf {
    this.#checkOpen()
    const prefix = prefixOf(kind)
    let shelf = this.#shelves.get(prefix)
    if (!shelf) {
      const limits = { records: this.#window, characters: WINDOW_CHARACTERS }
      const cache = new KindCache(this.#coordinator, kind, limits)
      this.#shelves.set(prefix, (shelf = { cache, lister: new Lister(this.#coordinator, kind, cache) }))
    }
    return shelf
  }

  #checkOpen(): void {
    if (this.#closed) throw coordinationError('BANYAN_COORDINATOR_CLOSED', 'the resources were closed')
  }
}

function writerOf(part: Part, { fieldManager = 'banyan' }: WriteOptions): Writer {
  if (!/^[\x20-\x7e]{1,128}$/.test(fieldManager))
    throw badRequest('fieldManager must have at most 128 characters, all of them printable')
  return { manager: fieldManager, part }
}

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is no JSON, or of no type that is known */
function readPatch({ type, patch }: ResourcePatch): ResourcePatch {
  if (!['merge', 'json', 'apply'].includes(type))
    throw badRequest(`a patch is of type merge, json or apply, not ${JSON.stringify(type)}`)
  return { type, patch: copyOf(patch, 'the patch') } as ResourcePatch
}

function checkPart(kind: ResourceDefinition, part: Part): void {
  if (part === 'status' && !kind.status) throw badRequest(`${kind.kind} has no status`)
}

/** The same function, that is told nothing twice: a change may be made several times until it is written. */
function once(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>()
  return (text) => {
    if (told.has(text)) return
    told.add(text)
    tell(text)
  }
}

function typed<Spec, Status>(resource: Resource): Resource<Spec, Status> {
  return resource as Resource<Spec, Status>
}
