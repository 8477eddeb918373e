import type { Coordinator, Entry } from '../../coordinator.js'
import type { ResourceDefinition } from '../define.js'
import { frozen } from '../frozen.js'
import { isOver, type Unwritten } from '../lifecycle.js'
import type { Resource } from '../object.js'
import { encode, versioned } from './codec.js'
import type { Place } from './keys.js'
import { conflict, notFound } from './refusals.js'

/** What becomes of a resource: another, or the same if nothing is to be done. */
export type Change = (current: Resource) => Promise<Unwritten>

/** How often a change that does not depend on a version is made anew because somebody else was faster. */
const TRIES = 8

/** Resources one by one, each under its key: every write is one compare-and-set. */
export class Keeper {
  readonly #coordinator: Coordinator
  readonly #decode: (kind: ResourceDefinition, entry: Entry) => Resource

  /** @param decode - what an entry stands for */
  constructor(coordinator: Coordinator, decode: (kind: ResourceDefinition, entry: Entry) => Resource) {
    this.#coordinator = coordinator
    this.#decode = decode
  }

  /** Undefined if there is none. */
  async find(kind: ResourceDefinition, { key }: Place): Promise<Resource | undefined> {
    const entry = await this.#coordinator.get(key)
    return entry && this.#decode(kind, entry)
  }

  /** @throws `BANYAN_RESOURCE_NOT_FOUND` */
  async read(kind: ResourceDefinition, place: Place): Promise<Resource> {
    const found = await this.find(kind, place)
    if (!found) throw notFound(kind, place.name)
    return found
  }

  /** Undefined if there is one already. */
  async add(place: Place, object: Unwritten, dryRun: boolean): Promise<Resource | undefined> {
    const value = encode(object)
    if (dryRun) return (await this.#coordinator.get(place.key)) ? undefined : frozen(object)
    const result = await this.#coordinator.put(place.key, value, { expected: 'absent' })
    return result.ok ? frozen(versioned(object, result.revision)) : undefined
  }

  /**
   * Changes what is there: asked again for what is there then, if somebody else was faster.
   *
   * @param make - what to make where nothing is; default: that is `BANYAN_RESOURCE_NOT_FOUND`
   */
  async rewrite(
    kind: ResourceDefinition,
    place: Place,
    change: Change,
    dryRun: boolean,
    make?: () => Promise<Unwritten>,
  ): Promise<Resource> {
    for (let tries = 0; tries < TRIES; tries++) {
      const current = make ? await this.find(kind, place) : await this.read(kind, place)
      const written = current
        ? await this.#replace(place, current, await change(current), dryRun)
        : await this.add(place, await make!(), dryRun)
      if (written) return written
    }
    throw conflict(kind, place.name)
  }

  /** Undefined if somebody else was faster. */
  async #replace(
    place: Place,
    current: Resource,
    next: Unwritten,
    dryRun: boolean,
  ): Promise<Resource | undefined> {
    if (next === current) return current
    const revision = dryRun
      ? Number(current.metadata.resourceVersion)
      : await this.#write(place, current, next)
    return revision === undefined ? undefined : frozen(versioned(next, revision))
  }

  /** @returns the revision; undefined if somebody else was faster */
  async #write({ key }: Place, current: Resource, next: Unwritten): Promise<number | undefined> {
    const expected = Number(current.metadata.resourceVersion)
    const result = isOver(next)
      ? await this.#coordinator.delete(key, { expected })
      : await this.#coordinator.put(key, encode(next), { expected })
    return result.ok ? result.revision : undefined
  }
}
