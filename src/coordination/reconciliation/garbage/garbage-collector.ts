import { coordinationError, hasCode } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import type { ResourceApi } from '../../resources/api.js'
import type { ResourceDefinition } from '../../resources/define.js'
import type { Resource } from '../../resources/object.js'
import { mandatesOf, type Mandate, type Mandates } from '../controller/mandate.js'
import { OwnWrites } from '../controller/own-writes.js'
import type { CacheChange } from '../informer/informer.js'
import { informers, type Informers } from '../informer/informers.js'
import { keyOf } from '../keys.js'
import { workQueue, type WorkItem, type WorkQueue } from '../queue/work-queue.js'
import { collect, MANAGER, type Tools } from './collect.js'
import { idOf, Kinds, ownerUids, type Collected } from './item.js'
import { GarbageMeter } from './meter.js'
import { settingsOf, type GarbageCollectorOptions, type GarbageSettings } from './options.js'
import { Owners } from './owners.js'
import { Problems, type GarbageProblem } from './problem.js'

/** See {@link garbageCollector}. */
export interface GarbageCollector extends AsyncDisposable {
  /** `starting`: its caches do not have everything yet. `standby`: another one works. */
  readonly state: 'starting' | 'standby' | 'working' | 'closed'
  /** What keeps resources from being collected, or from going, as far as it has looked. */
  readonly problems: readonly GarbageProblem[]
  /**
   * Resolves when it has begun to work, or stands by; rejects with `BANYAN_RECONCILE_STOPPED` if it is closed before, with
   * `BANYAN_COORDINATOR_CLOSED` if the API is.
   */
  readonly ready: Promise<void>
  /** Begins nothing more, and waits for the end of what goes on. */
  close(): Promise<void>
}

/**
 * Deletes resources whose owners (`metadata.ownerReferences`) are all gone, and does what deletions ask for: in the background,
 * those that belong to it go after it; in the foreground it waits for those that block its deletion; orphans stay, without it as owner.
 *
 * - Nothing is deleted as long as it is uncertain whether an owner is there: that it is gone the API itself must have said, no cache;
 *   an owner is who has the uid, so that one that was made anew under its name is not it. Owners of kinds that are not given, and
 *   owners in other namespaces, are never taken for gone while they are there, and told as {@link GarbageCollector.problems}.
 * - What is deleted is what was looked at: with its uid and version as preconditions.
 * - What belongs to itself over others stays until somebody deletes one of them, and is told, too; so is what waits for finalizers for
 *   long, also by the condition `DeletionBlocked`, if the status of its kind has `conditions`.
 *
 * Source: the garbage collector of Kubernetes' controller manager.
 *
 * @param definitions - the kinds that are collected, and all kinds that own them
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function garbageCollector(
  api: ResourceApi,
  definitions: readonly ResourceDefinition[],
  options: GarbageCollectorOptions = {},
): GarbageCollector {
  return new RunningCollector(api, definitions, settingsOf(options))
}

const NAME = 'garbage-collector'
/** Of what nothing has happened to. */
const LOW = { priority: -100 }

class RunningCollector implements GarbageCollector {
  readonly ready: Promise<void>
  readonly #api: ResourceApi
  readonly #settings: GarbageSettings
  readonly #informers: Informers
  readonly #kinds: Kinds
  readonly #owners: Owners
  readonly #problems: Problems
  readonly #queue: WorkQueue
  readonly #meter: GarbageMeter
  readonly #closing = new AbortController()
  readonly #forget: (() => void)[] = []
  #mandates: Mandates | undefined
  /** The one since whose beginning everything was listed. */
  #mandate: Mandate | undefined
  #closed: Promise<void> | undefined

  constructor(api: ResourceApi, definitions: readonly ResourceDefinition[], settings: GarbageSettings) {
    const { runtime } = settings
    this.#api = api
    this.#settings = settings
    this.#informers = settings.informers ?? informers(api, { runtime })
    this.#queue = workQueue({ name: NAME, runtime })
    this.#problems = new Problems(({ resource, name, namespace, reason, message }) =>
      runtime.telemetry.log(
        'warn',
        `${NAME}, ${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}: ${reason}, ${message}`,
      ),
    )
    this.#meter = new GarbageMeter(runtime.telemetry, () => this.#problems.size)
    this.#kinds = new Kinds(
      definitions.map((kind) => {
        const cache = this.#informers.of(kind)
        return { kind, cache, ownedBy: cache.index(ownerUids) }
      }),
    )
    this.#owners = new Owners(api, this.#kinds)
    for (const of of this.#kinds.all)
      this.#forget.push(of.cache.on('change', (change) => this.#changed(of, change)))
    this.ready = this.#start()
    this.ready.catch((error: unknown) => {
      if (!this.#closing.signal.aborted)
        runtime.telemetry.log('error', `${NAME} does not begin: ${String(error)}`)
    })
  }

  get state(): GarbageCollector['state'] {
    if (this.#closing.signal.aborted) return 'closed'
    if (!this.#mandates) return 'starting'
    return this.#mandate ? 'working' : 'standby'
  }

  get problems(): readonly GarbageProblem[] {
    return this.#problems.list
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { signal } = this.#closing
    await Promise.all(this.#kinds.all.map(({ cache }) => cache.synced(signal)))
    const { election, concurrency } = this.#settings
    this.#mandates = mandatesOf({ name: NAME, ...(election && { election }) }, (mandate) => {
      void this.#admit(mandate)
    })
    for (let worker = 0; worker < concurrency; worker++) void this.#work()
  }

  async #close(): Promise<void> {
    this.#closing.abort(coordinationError('BANYAN_RECONCILE_STOPPED', `the ${NAME} was closed`))
    for (const forget of this.#forget) forget()
    await this.#queue.close()
    await this.#mandates?.close()
    if (!this.#settings.informers) await this.#informers.close()
    this.#meter.close()
  }

  async #refresh(): Promise<void> {
    const { signal } = this.#closing
    await Promise.all(this.#kinds.all.map(({ cache }) => cache.refresh(signal)))
  }

  async #admit(mandate: Mandate): Promise<void> {
    if (this.#settings.election) await this.#refresh()
    if (mandate.signal.aborted) return
    this.#mandate = mandate
    onAbort(mandate.signal, () => {
      if (this.#mandate !== mandate) return
      this.#mandate = undefined
      this.#problems.clear()
    })
    for (const of of this.#kinds.all)
      for (const resource of of.cache.list())
        if (concerns(resource)) this.#queue.add(idOf(of, keyOf(resource)), LOW)
  }

  #changed(of: Collected, { key, before, after }: CacheChange): void {
    if (!this.#mandate) return
    const id = idOf(of, key)
    if (after && concerns(after) && !(before && isSame(before, after))) this.#queue.add(id)
    if (!after) this.#problems.set(id, { of, key }, [])
    if (!before) return
    if (!after) for (const each of this.#kinds.dependents(before)) this.#add(each.of, each.resource)
    // Who has waited for it.
    if (
      !after ||
      JSON.stringify(before.metadata.ownerReferences) !== JSON.stringify(after.metadata.ownerReferences)
    )
      for (const reference of before.metadata.ownerReferences ?? []) {
        const owner = this.#kinds.ownerItem(before, reference)
        const waiting = owner?.of.cache.get(owner.key)
        if (owner && waiting?.metadata.deletionTimestamp !== undefined) this.#add(owner.of, waiting)
      }
  }

  #add(of: Collected, resource: Resource): void {
    this.#queue.add(idOf(of, keyOf(resource)))
  }

  async #work(): Promise<void> {
    for (let item = await this.#queue.take(); item; item = await this.#queue.take()) await this.#process(item)
  }

  async #process(taken: WorkItem): Promise<void> {
    const { key: id } = taken
    const item = this.#kinds.item(id)
    const mandate = this.#mandate
    try {
      if (!item || !mandate) return
      const api = new OwnWrites(this.#api, {
        fieldManager: MANAGER,
        check: () => {
          mandate.check()
          this.#closing.signal.throwIfAborted()
        },
        written: () => undefined,
        unknown: () => undefined,
      })
      const { runtime, stuckAfter } = this.#settings
      const tools: Tools = {
        api,
        kinds: this.#kinds,
        owners: this.#owners,
        runtime,
        stuckAfter,
        refresh: () => this.#refresh(),
      }
      const { problems, others = [], collected, after } = await mandate.guard(() => collect(item, tools))
      this.#queue.forget(id)
      this.#problems.set(id, item, problems)
      if (collected) this.#meter.collected(item.of.kind)
      for (const other of others) this.#queue.add(other)
      if (after !== undefined) this.#queue.addAfter(id, after)
    } catch (error) {
      this.#failed(id, error, mandate)
    } finally {
      taken.done()
    }
  }

  #failed(id: string, error: unknown, mandate: Mandate | undefined): void {
    // Whoever works now looks at it.
    if (mandate?.signal.aborted !== false || this.#closing.signal.aborted) return
    this.#queue.retry(id)
    // It has changed meanwhile: that is looked at next.
    if (hasCode(error, 'BANYAN_RESOURCE_CONFLICT') || hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) return
    const { telemetry } = this.#settings.runtime
    telemetry.log(
      'warn',
      `${NAME}, ${id} has failed: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** Whether there may be something to do for it. */
function concerns({ metadata }: Resource): boolean {
  return metadata.ownerReferences !== undefined || metadata.deletionTimestamp !== undefined
}

/** Whether nothing has changed that matters here. */
function isSame(before: Resource, after: Resource): boolean {
  const matter = ({ metadata }: Resource): string =>
    JSON.stringify([metadata.uid, metadata.ownerReferences, metadata.deletionTimestamp, metadata.finalizers])
  return matter(before) === matter(after)
}
