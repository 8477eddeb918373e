import { hasCode } from '../../errors.js'
import type { ResourceApi } from '../../resources/api.js'
import { FOREGROUND } from '../../resources/lifecycle.js'
import type { OwnerReference, Resource } from '../../resources/object.js'
import { nameOfKey } from '../keys.js'
import { idOf, type Item, type Kinds } from './item.js'

/**
 * How an owner is. `solid`: it is there, or nobody can say that it is not. `waiting`: it is deleted in the foreground, and waits for
 * those that belong to it. `gone`: it is certain that it is not there.
 */
export type Standing = 'solid' | 'waiting' | 'gone'

/** Why nobody can say whether an owner is there: it is of a kind that nobody looks at, or not where the reference says. */
export type Doubt = 'unknown kind' | 'elsewhere'

/** How many owners that were in no cache are remembered. */
const REMEMBERED = 10_000

/** Finds out whether owners are there. What is gone is only known from the API itself: a cache may not have it yet. */
export class Owners {
  readonly #api: ResourceApi
  readonly #kinds: Kinds
  /**
   * Those that were in no cache, by where they would be and their uids: all caches are searched once for all that belong to one. The
   * API is asked each time: whose creation has arrived twice is back.
   */
  readonly #missing = new Set<string>()

  constructor(api: ResourceApi, kinds: Kinds) {
    this.#api = api
    this.#kinds = kinds
  }

  /** @throws what the API fails with: then nobody knows */
  async standing(resource: Resource, reference: OwnerReference): Promise<Standing | Doubt> {
    const owner = this.#kinds.ownerItem(resource, reference)
    if (!owner) return this.#kinds.ofOwner(reference) ? 'elsewhere' : 'unknown kind'
    if (this.isCached(resource, reference)) return 'solid'
    const live = await this.read(owner)
    if (live?.metadata.uid === reference.uid) {
      const isWaiting =
        live.metadata.deletionTimestamp !== undefined && (live.metadata.finalizers ?? []).includes(FOREGROUND)
      return isWaiting ? 'waiting' : 'solid'
    }
    return this.#isElsewhere(owner, reference.uid) ? 'elsewhere' : 'gone'
  }

  /** Whether an owner is there as the caches say. If they are out of date, the news will have it looked at again. */
  isCached(resource: Resource, reference: OwnerReference): boolean {
    const owner = this.#kinds.ownerItem(resource, reference)
    const { uid, deletionTimestamp } = owner?.of.cache.get(owner.key)?.metadata ?? {}
    return uid === reference.uid && deletionTimestamp === undefined
  }

  /** A resource as it is now; undefined if it is not there. */
  async read({ of, key }: Item): Promise<Resource | undefined> {
    try {
      return await this.#api.get(of.kind, nameOfKey(key))
    } catch (error) {
      if (hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) return undefined
      throw error
    }
  }

  #isElsewhere({ of, key }: Item, uid: string): boolean {
    const id = `${idOf(of, key)} ${uid}`
    if (this.#missing.has(id)) return false
    const isElsewhere = of.cache.list().some(({ metadata }) => metadata.uid === uid)
    if (!isElsewhere) this.#remember(id)
    return isElsewhere
  }

  #remember(id: string): void {
    this.#missing.add(id)
    if (this.#missing.size <= REMEMBERED) return
    for (const oldest of this.#missing) {
      this.#missing.delete(oldest)
      return
    }
  }
}
