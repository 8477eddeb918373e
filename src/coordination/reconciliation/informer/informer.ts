import { backoffWait } from '../../../core/backoff.js'
import { duration, type Duration } from '../../../core/duration.js'
import { Observers, type Unsubscribe } from '../../../core/observers.js'
import { coordinationError, hasCode } from '../../errors.js'
import { pause, unless } from '../../line/limit.js'
import { onAbort } from '../../on-abort.js'
import type { ResourceApi, ResourceEvent, Selection } from '../../resources/api.js'
import type { ResourceDefinition } from '../../resources/define.js'
import { frozen } from '../../resources/frozen.js'
import type { Resource, ResourceList, ResourceName } from '../../resources/object.js'
import { matchOf } from '../../resources/selectors/selection.js'
import { keyOf, keyOfName } from '../keys.js'
import { IndexedCache } from './indexed-cache.js'
import { InformerMeter } from './meter.js'
import { settingsOf, type InformerOptions, type InformerSettings } from './options.js'

/** What has become of a resource in a cache. */
export interface CacheChange<Item = Resource> {
  readonly type: 'added' | 'changed' | 'deleted'
  /** `NAMESPACE/NAME`, or `NAME` for kinds without namespaces. */
  readonly key: string
  /** Undefined if it was `added`. */
  readonly before?: Item
  /** Undefined if it was `deleted`. */
  readonly after?: Item
  /** Whether it is of the first list: nothing has happened then, it was there. */
  readonly initial: boolean
}

/** How an informer is. */
export interface InformerState {
  /** `waiting`: before it asks again after a failure. */
  readonly kind: 'listing' | 'watching' | 'waiting' | 'closed'
  /** What the last try has failed with; undefined if it has not. */
  readonly failure?: unknown
}

/** See {@link informer}. */
export interface Informer<Spec = unknown, Status = unknown> extends AsyncDisposable {
  readonly kind: ResourceDefinition<Spec, Status>
  readonly state: InformerState
  /** Everything up to this version is in it; undefined before the first list. */
  readonly resourceVersion: string | undefined
  /** How many resources it has. */
  readonly size: number
  /** What it has of that name, or of that key: `NAMESPACE/NAME`. Frozen: copy what you want to change. */
  get(name: ResourceName | string): Resource<Spec, Status> | undefined
  /**
   * All it has, or those that are selected, in no order. Looks at each: use an index to find few among many.
   *
   * @throws `BANYAN_RESOURCE_BAD_REQUEST`
   */
  list(selection?: Selection): readonly Resource<Spec, Status>[]
  /**
   * Finds resources by what a function makes of them: one value, some, or none. The index is kept from then on; the same function is
   * the same index, so ask with one that is made once.
   *
   * @returns what is found under a value
   */
  index(
    by: (resource: Resource<Spec, Status>) => string | readonly string[] | undefined,
  ): (value: string) => readonly Resource<Spec, Status>[]
  /** Observes what becomes of resources in it. What a listener throws is raised as an uncaught exception, and stops nothing. */
  on(event: 'change', listener: (change: CacheChange<Resource<Spec, Status>>) => void): Unsubscribe
  /**
   * Resolves when it has everything that was there when it began.
   *
   * @throws the reason of the signal; `BANYAN_COORDINATOR_CLOSED` if it is closed before
   */
  synced(signal?: AbortSignal): Promise<void>
  /**
   * Waits until the cache is as a test says, which is asked again whenever something has come.
   *
   * @param options.within - how long at most, in ms or as text; default without end
   * @returns whether it is; false also if it is closed, or the signal aborts
   */
  until(test: () => boolean, options?: { within?: Duration; signal?: AbortSignal }): Promise<boolean>
  /**
   * Lists everything anew, and tells the differences: for who has to know what somebody else has written before.
   *
   * @returns when a list that was begun after this call is in it; false if it is closed, or the signal aborts, before
   */
  refresh(signal?: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

/**
 * Keeps the resources of a kind in memory as they are: lists them, and then watches. It is behind by as long as news take, and
 * misses none: what cannot be watched is listed again, and differences are told as changes, deletions too.
 *
 * A watch that breaks is begun again behind the last version that was seen. Resources are kept as they come, frozen, and not
 * copied: over a store in the same process they are the very objects that its own cache has.
 *
 * Source: the reflector and the shared informer of Kubernetes' client-go.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_RESOURCE_BAD_REQUEST` for selectors that are none
 */
export function informer<Spec, Status>(
  api: ResourceApi,
  kind: ResourceDefinition<Spec, Status>,
  options: InformerOptions = {},
): Informer<Spec, Status> {
  return new CachingInformer(api, kind, settingsOf(options)) as Informer as Informer<Spec, Status>
}

/** A watch that has gone on for so long, in ms, was none that fails at once. */
const LASTING = 1000
/** How often a list that is older than the cache is asked for again, before it is believed: then a backup was restored. */
const OLD_LISTS = 5
/** Failures in a row after which they are worth a warning. */
const WORTH_WARNING = 3

class CachingInformer implements Informer {
  readonly kind: ResourceDefinition
  readonly #api: ResourceApi
  readonly #settings: InformerSettings
  readonly #cache: IndexedCache
  readonly #meter: InformerMeter
  readonly #observers = new Observers<{ change: CacheChange }>()
  readonly #closing = new AbortController()
  readonly #waiting = new Set<() => void>()
  readonly #running: Promise<void>
  /** Ends the present watch. */
  #round = new AbortController()
  #state: InformerState = { kind: 'listing' }
  #version: string | undefined
  /** Numbers of lists: begun, taken over, and the first that has to be begun. */
  #begun = 0
  #taken = 0
  #wanted = 1
  #oldLists = 0

  constructor(api: ResourceApi, kind: ResourceDefinition, settings: InformerSettings) {
    matchOf(kind, settings.selection)
    this.kind = kind
    this.#api = api
    this.#settings = settings
    const { telemetry } = settings.runtime
    this.#cache = new IndexedCache((error) =>
      telemetry.log('error', `informer of ${kind.plural}, an index has failed: ${String(error)}`),
    )
    this.#meter = new InformerMeter(kind, telemetry, () => this.size)
    this.#running = this.#run()
  }

  get state(): InformerState {
    return this.#state
  }

  get resourceVersion(): string | undefined {
    return this.#version
  }

  get size(): number {
    return this.#cache.size
  }

  get(name: ResourceName | string): Resource | undefined {
    return this.#cache.get(typeof name === 'string' ? name : keyOfName(this.kind, name))
  }

  list(selection?: Selection): readonly Resource[] {
    const all = [...this.#cache.values()]
    return selection ? all.filter(matchOf(this.kind, selection)) : all
  }

  index(
    by: (resource: Resource) => string | readonly string[] | undefined,
  ): (value: string) => readonly Resource[] {
    return this.#cache.index(by)
  }

  on(event: 'change', listener: (change: CacheChange) => void): Unsubscribe {
    return this.#observers.on(event, listener)
  }

  async synced(signal?: AbortSignal): Promise<void> {
    if (await this.until(() => this.#taken > 0, signal ? { signal } : {})) return
    signal?.throwIfAborted()
    throw coordinationError('BANYAN_COORDINATOR_CLOSED', `the informer of ${this.kind.plural} was closed`)
  }

  async until(
    test: () => boolean,
    { within, signal }: { within?: Duration; signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const ms = within === undefined ? undefined : duration(within, 'until: within')
    if (test()) return true
    if (this.#isClosed() || signal?.aborted) return false
    const { clock } = this.#settings.runtime
    return new Promise((resolve) => {
      const end = (answer: boolean): void => {
        this.#waiting.delete(look)
        timer?.cancel()
        forget?.()
        resolve(answer)
      }
      const look = (): void => {
        if (test()) end(true)
        else if (this.#isClosed()) end(false)
      }
      this.#waiting.add(look)
      const timer = ms === undefined ? undefined : clock.schedule(clock.now() + ms, () => end(false))
      const forget = signal && onAbort(signal, () => end(false))
    })
  }

  refresh(signal?: AbortSignal): Promise<boolean> {
    const wanted = this.#begun + 1
    this.#wanted = wanted
    this.#round.abort()
    return this.until(() => this.#taken >= wanted, signal ? { signal } : {})
  }

  async close(): Promise<void> {
    this.#end()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #end(failure?: unknown): void {
    if (this.#isClosed()) return
    this.#closing.abort()
    this.#round.abort()
    this.#meter.close()
    this.#state = { kind: 'closed', ...(failure !== undefined && { failure }) }
    this.#tell()
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#isClosed()) {
      this.#round = new AbortController()
      const { clock } = this.#settings.runtime
      const began = clock.now()
      const worked = (): void => void (failures = 0)
      try {
        if (this.#taken < this.#wanted) await this.#list()
        // Nothing has failed if it was told to end.
        if (!(await this.#watch(worked)) || clock.now() - began >= LASTING) worked()
        else await this.#pause(++failures)
      } catch (error) {
        if (this.#isClosed()) return
        if (hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) {
          this.#end(error)
          return
        }
        this.#meter.failed()
        failures++
        if (isGap(error)) {
          this.#wanted = this.#begun + 1
          // What is too old can be listed at once; what is so each time cannot be followed so closely.
          if (failures === 1) continue
        }
        await this.#pause(failures, error)
      }
    }
  }

  async #pause(failures: number, failure?: unknown): Promise<void> {
    const { backoff, runtime } = this.#settings
    const { clock, random, telemetry } = runtime
    if (failure !== undefined) {
      const level = failures >= WORTH_WARNING ? 'warn' : 'debug'
      const why = failure instanceof Error ? failure.message : JSON.stringify(failure)
      telemetry.log(level, `informer of ${this.kind.plural}, asks again: ${why}`)
    }
    this.#state = { kind: 'waiting', ...(failure !== undefined && { failure }) }
    await pause(clock, backoffWait(backoff, failures, 'equal', random), this.#round.signal)
  }

  async #list(): Promise<void> {
    this.#state = { kind: 'listing' }
    const number = ++this.#begun
    const { signal } = this.#closing
    const list = await unless(signal, this.#api.list(this.kind, this.#settings.selection), ignore)
    if (this.#isOld(list)) {
      this.#wanted = this.#begun + 1
      throw coordinationError(
        'BANYAN_RESOURCE_VERSION_AHEAD',
        `a list is of version ${list.metadata.resourceVersion}, before ${this.#version}`,
      )
    }
    this.#meter.listed()
    this.#take(list, number)
  }

  /** Whether it is older than what is known: of somebody who is behind. Going back in time would make up deletions. */
  #isOld({ metadata }: ResourceList): boolean {
    const isOld = this.#version !== undefined && Number(metadata.resourceVersion) < Number(this.#version)
    this.#oldLists = isOld ? this.#oldLists + 1 : 0
    if (this.#oldLists <= OLD_LISTS) return isOld
    this.#oldLists = 0
    return false
  }

  #take({ items, metadata }: ResourceList, number: number): void {
    const initial = this.#taken === 0
    const gone = new Set(this.#cache.keys())
    for (const item of items) {
      const key = keyOf(item)
      gone.delete(key)
      const { resourceVersion } = item.metadata
      if (this.#cache.get(key)?.metadata.resourceVersion !== resourceVersion) this.#put(key, item, initial)
    }
    for (const key of gone) this.#remove(key)
    this.#version = metadata.resourceVersion
    this.#taken = number
    this.#tell()
  }

  /** @returns whether it has ended by itself */
  async #watch(onProgress: () => void): Promise<boolean> {
    const { signal } = this.#round
    const { runtime, selection, watchFor } = this.#settings
    const { clock, random } = runtime
    if (signal.aborted || this.#version === undefined) return false
    this.#state = { kind: 'watching' }
    const round = this.#round
    const timer = clock.schedule(clock.now() + watchFor * (1 + random.next()), () => round.abort())
    const from = { ...selection, resourceVersion: this.#version, allowWatchBookmarks: true, signal }
    const events = this.#api.watch(this.kind, from)[Symbol.asyncIterator]()
    try {
      for (;;) {
        // Whether the watch hears of the signal at once or not.
        const next = await unless(signal, events.next(), ignore)
        if (next.done === true) return true
        onProgress()
        this.#apply(next.value)
      }
    } catch (error) {
      if (!isAborted(signal)) throw error
      events.return?.().catch(ignore)
      return false
    } finally {
      timer.cancel()
    }
  }

  #apply(event: ResourceEvent): void {
    const { resourceVersion } = event.object.metadata
    // Told already: a list may be newer than what is watched behind it.
    if (Number(resourceVersion) < Number(this.#version)) return
    if (event.type !== 'BOOKMARK') {
      const key = keyOf(event.object)
      if (event.type === 'DELETED') this.#remove(key)
      else if (this.#cache.get(key)?.metadata.resourceVersion !== resourceVersion)
        this.#put(key, event.object)
    }
    this.#version = resourceVersion
    this.#tell()
  }

  #put(key: string, resource: Resource, initial = false): void {
    const after = frozen(resource)
    const before = this.#cache.get(key)
    // Another one under the same name: whoever knows the first has to hear that it is gone.
    if (before && before.metadata.uid !== after.metadata.uid) this.#remove(key)
    const known = this.#cache.get(key)
    this.#cache.set(key, after)
    this.#say({ type: known ? 'changed' : 'added', key, ...(known && { before: known }), after, initial })
  }

  #remove(key: string): void {
    const before = this.#cache.get(key)
    if (!before) return
    this.#cache.delete(key)
    this.#say({ type: 'deleted', key, before, initial: false })
  }

  #say(change: CacheChange): void {
    this.#meter.changed(change.type)
    this.#observers.emit('change', change)
  }

  #tell(): void {
    for (const look of [...this.#waiting]) look()
  }
}

const ignore = (): void => undefined

/** Asked anew each time: it may have aborted since. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

/** Errors of a watch that cannot go on: everything must be listed again. */
function isGap(error: unknown): boolean {
  return hasCode(error, 'BANYAN_RESOURCE_EXPIRED') || hasCode(error, 'BANYAN_RESOURCE_VERSION_AHEAD')
}
