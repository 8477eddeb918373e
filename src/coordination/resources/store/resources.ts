import { duration, type Duration } from '../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
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
} from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { copyOf, parseDraft, pruned, readDraft, reportUnknown } from '../draft.js'
import { badRequest, ResourceError } from '../error.js'
import { generateName } from '../generate.js'
import { Hooks, type AdmissionHook } from '../hooks.js'
import { isOver, type Part } from '../lifecycle.js'
import type { Resource, ResourceDraft, ResourceList, ResourceName, Scale, ScaleDraft } from '../object.js'
import { edited, type Edit } from '../patch/edit.js'
import type { JsonObject } from '../patch/json.js'
import { checkRequest } from '../request.js'
import { draftOfScale, scaleOf } from '../scale.js'
import { Writing, type Writer } from '../writing.js'
import { KindCache } from './cache.js'
import { decode } from './codec.js'
import { Keeper, type Change } from './keeper.js'
import { checkedPlaceOf, placeOf, prefixOf, type Place } from './keys.js'
import { Lister } from './listing.js'
import { checkNamed, checkSame, checkVersion, exists, isOutdated, versionless } from './refusals.js'
import { watchResources } from './watching.js'

/** Options of {@link openResources}. */
export interface ResourcesOptions {
  /**
   * How many of the last changes of each kind are kept for those who watch, in memory; at most 16 Mi characters of them. Who is
   * further behind has to list again. Default 1000.
   */
  window?: number
  /** From one bookmark to the next, for watches that want them, in ms or as text; up to a fifth less. Default `'1m'`. */
  bookmarkEvery?: Duration
  /** Who has a say in every write through these resources, in this order. Default: nobody. */
  admission?: readonly AdmissionHook[]
}

const HOOK: OptionTable<AdmissionHook> = {
  name: { kind: 'string', doc: 'What messages call it.' },
  kinds: { kind: 'list', of: { kind: 'code', type: 'object', doc: 'a kind' }, doc: 'Which kinds.' },
  timeout: { kind: 'duration', min: 1, doc: 'How long it may take to answer. Default 10s.' },
  mutate: { kind: 'code', type: 'function', doc: 'makes another of what is to be written' },
  validate: { kind: 'code', type: 'function', doc: 'looks at what would be stored' },
}
const OPTIONS: OptionTable<ResourcesOptions> = {
  window: { kind: 'number', min: 1, integer: true, doc: 'Changes of each kind that are kept. Default 1000.' },
  bookmarkEvery: { kind: 'duration', min: 1, doc: 'From one bookmark to the next. Default 1m.' },
  admission: {
    kind: 'list',
    of: { kind: 'group', options: HOOK, doc: 'A hook.' },
    doc: 'Who has a say in every write.',
  },
}
const WINDOW_CHARACTERS = 16 * 1024 * 1024
/** How many names are drawn before one is given up that should be nobody's. */
const NAMES = 8

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

class StoredResources implements ResourceApi {
  readonly #coordinator: Coordinator
  readonly #keeper: Keeper
  readonly #writing: Writing
  readonly #window: number
  readonly #bookmarkEvery: number
  readonly #shelves = new Map<string, Shelf>()
  #closed = false

  constructor(coordinator: Coordinator, options: ResourcesOptions) {
    const { window = 1000, bookmarkEvery = '1m', admission = [] } = options
    this.#coordinator = coordinator
    this.#keeper = new Keeper(coordinator, (kind, entry) => {
      const shelf = this.#shelves.get(prefixOf(kind))
      return shelf ? shelf.cache.decoded(entry) : decode(entry)
    })
    this.#writing = new Writing(coordinator.runtime, new Hooks(admission, coordinator.runtime.clock))
    this.#window = window
    this.#bookmarkEvery = duration(bookmarkEvery)
  }

  async get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
  ): Promise<Resource<Spec, Status>> {
    this.#checkOpen()
    return typed(await this.#keeper.read(kind, checkedPlaceOf(kind, name)))
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
    this.#begin('write', options)
    const draft = readDraft(kind, given, options)
    const { name, generateName: base, namespace, resourceVersion = '' } = draft.metadata
    if (resourceVersion !== '') throw badRequest('resourceVersion should not be set on objects to be created')
    const { random } = this.#coordinator.runtime
    const writer = writerOf('main', options)
    for (let tries = 1; ; tries++) {
      const drawn = name ?? (base ? generateName(base, random) : '')
      const place = placeOf(kind, { name: drawn, ...(namespace !== undefined && { namespace }) })
      const object = await this.#writing.creation(kind, draft, place, writer)
      const stored = await this.#keeper.add(place, object, writer.dryRun)
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

  async getScale<Spec, Status>(kind: ResourceDefinition<Spec, Status>, name: ResourceName): Promise<Scale> {
    return scaleOf(kind, await this.get(kind, name))
  }

  async updateScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    scale: ScaleDraft,
    options: WriteOptions = {},
  ): Promise<Scale> {
    this.#begin('write', options)
    const draft = copyOf(scale, 'the object')
    const place = checkedPlaceOf(kind, draftOfScale(kind, {}, draft).metadata)
    return scaleOf(
      kind,
      await this.#rewrite(
        kind,
        place,
        (current) => draftOfScale(kind, current, draft),
        writerOf('scale', options),
      ),
    )
  }

  async patchScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options: PatchScaleOptions = {},
  ): Promise<Scale> {
    this.#begin('patchScale', options)
    return scaleOf(kind, await this.#patch(kind, name, patch, 'scale', options))
  }

  async patch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options: PatchOptions = {},
  ): Promise<Resource<Spec, Status>> {
    this.#begin('patch', options)
    const { subresource: part = 'main' } = options
    checkPart(kind, part)
    return typed(await this.#patch(kind, name, patch, part, options))
  }

  async delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    options: DeleteResourceOptions = {},
  ): Promise<Deletion<Resource<Spec, Status>>> {
    this.#begin('delete', options)
    const { preconditions = {}, propagationPolicy, dryRun = false } = options
    const change: Change = async (current) => {
      const { uid, resourceVersion } = current.metadata
      checkSame(kind, current, 'UID', preconditions.uid, uid)
      checkSame(kind, current, 'ResourceVersion', preconditions.resourceVersion, resourceVersion)
      return this.#writing.deletion(kind, current, propagationPolicy, dryRun)
    }
    const object = await this.#keeper.rewrite(kind, checkedPlaceOf(kind, name), change, dryRun)
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
    this.#begin('write', options)
    const { draft, unknown } = parseDraft(kind, given)
    const place = checkedPlaceOf(kind, draft.metadata)
    const reading = toldOnce(options)
    const draftOf = (current: Resource): ResourceDraft => {
      reportUnknown(kind, unknown, reading, current)
      if ((draft.metadata.resourceVersion ?? '') === '') throw versionless(kind, place.name)
      return draft
    }
    return this.#rewrite(kind, place, draftOf, writerOf(part, options))
  }

  #patch(
    kind: ResourceDefinition,
    name: ResourceName,
    given: ResourcePatch,
    part: Part,
    options: PatchScaleOptions,
  ): Promise<Resource> {
    const { force } = options
    const place = checkedPlaceOf(kind, name)
    const patch = readPatch(given)
    const writer = writerOf(part, options)
    if (patch.type === 'apply')
      return this.#apply(kind, place, patch.patch, { ...writer, force: force ?? false }, options)
    if (force !== undefined) throw badRequest('force may not be specified for patches that do not apply')
    return this.#edit(kind, place, patch, writer, options)
  }

  /** Changes what is there by a patch that says what to change. */
  #edit(
    kind: ResourceDefinition,
    place: Place,
    edit: Edit,
    writer: Writer,
    options: WriteOptions,
  ): Promise<Resource> {
    const reading = toldOnce(options)
    const change = (current: Resource): ResourceDraft => {
      const before: object = writer.part === 'scale' ? scaleOf(kind, current, 0) : pruned(kind, current)
      const after = edited(before as JsonObject, edit)
      const draft =
        writer.part === 'scale' ? draftOfScale(kind, current, after) : readDraft(kind, after, reading)
      checkNamed(kind, place, draft)
      return draft
    }
    return this.#rewrite(kind, place, change, writer)
  }

  /** Replaces what is there, or a part of it, by what a draft makes of it. */
  #rewrite(
    kind: ResourceDefinition,
    place: Place,
    draftOf: (current: Resource) => ResourceDraft,
    writer: Writer,
  ): Promise<Resource> {
    const change: Change = (current) => {
      const draft = draftOf(current)
      checkVersion(kind, current, draft)
      return this.#writing.replacement(kind, current, draft, writer)
    }
    return this.#keeper.rewrite(kind, place, change, writer.dryRun)
  }

  /** Applies a configuration to what is there, or makes it. */
  #apply(
    kind: ResourceDefinition,
    place: Place,
    given: object,
    writer: Writer & { force: boolean },
    options: WriteOptions,
  ): Promise<Resource> {
    // Where it is said already, it need not be said again.
    const named = { metadata: {}, ...given }
    const config = writer.part === 'scale' ? draftOfScale(kind, {}, named) : readDraft(kind, named, options)
    checkNamed(kind, place, config)
    const { uid, resourceVersion } = config.metadata
    // Who names one that it was made from does not want another.
    const makes = writer.part === 'main' && uid === undefined && resourceVersion === undefined
    const change: Change = (current) => {
      checkVersion(kind, current, config)
      return this.#writing.application(kind, current, config, place, writer)
    }
    const make = () => this.#writing.application(kind, undefined, config, place, writer)
    return this.#keeper.rewrite(kind, place, change, writer.dryRun, makes ? make : undefined)
  }

  #begin(request: Parameters<typeof checkRequest>[0], options: object): void {
    this.#checkOpen()
    checkRequest(request, options)
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

function writerOf(part: Part, { fieldManager = 'banyan', dryRun = false }: WriteOptions): Writer {
  if (!/^[\x20-\x7e]{1,128}$/.test(fieldManager)) {
    const message = 'Invalid value: must have 1 to 128 characters, all of them printable'
    const cause = { reason: 'FieldValueInvalid', field: 'fieldManager', message } as const
    throw new ResourceError('BANYAN_RESOURCE_INVALID', `fieldManager: ${message}`, { causes: [cause] })
  }
  return { manager: fieldManager, part, dryRun }
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

/** The same, but nobody is warned of the same twice: a change may be made several times until it is written. */
function toldOnce(options: WriteOptions): WriteOptions {
  const { onWarning } = options
  if (!onWarning) return options
  const told = new Set<string>()
  return {
    ...options,
    onWarning: (text) => {
      if (!told.has(text)) onWarning(text)
      told.add(text)
    },
  }
}

function typed<Spec, Status>(resource: Resource): Resource<Spec, Status> {
  return resource as Resource<Spec, Status>
}
