import { limitOf } from '../../line/limit.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'
import type { Resource } from '../../resources/object.js'
import { matchOf } from '../../resources/selectors/selection.js'
import { informers, type Informers } from '../informer/informers.js'
import type { Informer } from '../informer/informer.js'
import { keyOf } from '../keys.js'
import type { ControllerSettings } from './options.js'
import type { WriteResult } from './own-writes.js'

/** The caches that a controller reads. */
export class Caches {
  /** Of its own kind. */
  readonly own: Informer
  readonly #settings: ControllerSettings
  readonly #shared: Informers
  readonly #all = new Map<string, Informer>()

  constructor(settings: ControllerSettings) {
    const { api, runtime, resource, selection, owns, watches } = settings
    this.#settings = settings
    this.#shared = settings.informers ?? informers(api, { runtime })
    this.own = this.#shared.of(resource, selection)
    this.#all.set(qualifiedPlural(resource), this.own)
    for (const kind of [...owns, ...watches.map((watch) => watch.resource)])
      if (!this.of(kind)) this.#all.set(qualifiedPlural(kind), this.#shared.of(kind))
  }

  of(kind: ResourceDefinition): Informer | undefined {
    return this.#all.get(qualifiedPlural(kind))
  }

  /** Finds what is controlled by who has a uid. */
  controlledBy(cache: Informer): (uid: string) => readonly Resource[] {
    return cache.index(controllerUid)
  }

  /** @throws the reason of the signal; `BANYAN_COORDINATOR_CLOSED` */
  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from(this.#all.values(), (each) => each.synced(signal)))
  }

  /** Resolves when they have all that was there at the time of this call. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from(this.#all.values(), (each) => each.refresh(signal)))
  }

  /**
   * Waits until a write can be seen in its cache.
   *
   * @param within - ms at most
   * @returns whether it can
   */
  has(write: WriteResult, within: number, signal: AbortSignal): Promise<boolean> | true {
    const cache = this.of(write.kind)
    if (!cache) return true
    const key = keyOf(write.resource)
    const { uid, resourceVersion } = write.resource.metadata
    if (write.isGone) return cache.until(() => cache.get(key)?.metadata.uid !== uid, { within, signal })
    // What is not selected never comes.
    if (cache === this.own && !this.#isSelected(write.resource) && !cache.get(key)) return true
    const version = Number(resourceVersion)
    return cache.until(() => Number(cache.resourceVersion) >= version, { within, signal })
  }

  /** Waits until a cache has all that was there at the time of this call. @returns whether it has */
  async isFresh(kind: ResourceDefinition, within: number, signal: AbortSignal): Promise<boolean> {
    const cache = this.of(kind)
    if (!cache) return true
    const { clock } = this.#settings.runtime
    const limit = limitOf(clock, signal, within, () => new Error('it takes too long'))!
    try {
      return await cache.refresh(limit.signal)
    } finally {
      limit.dispose()
    }
  }

  async close(): Promise<void> {
    if (!this.#settings.informers) await this.#shared.close()
  }

  #isSelected(resource: Resource): boolean {
    const { resource: kind, selection } = this.#settings
    return !selection || matchOf(kind, selection)(resource)
  }
}

function controllerUid({ metadata }: Resource): string | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller)?.uid
}
