import type { Coordinator } from '../../coordinator.js'
import type { ListOptions } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { badRequest, versionAhead } from '../error.js'
import type { Resource, ResourceList } from '../object.js'
import { matchOf } from '../selectors/selection.js'
import type { Held, KindCache } from './cache.js'
import { prefixIn } from './keys.js'
import { decodeContinuation, encodeContinuation, pageOf, within } from './page.js'

/** A kind with fewer resources is read from the engine: that takes no longer than to find out whether the cache has everything. */
const MANY = 500

/** All resources of a kind, or of one namespace, at a revision. */
export interface State {
  readonly held: readonly Held[]
  readonly revision: number
}

/** Reads states of a kind, from the engine where they must be new, else from the cache. */
export class Lister {
  readonly #coordinator: Coordinator
  readonly #kind: ResourceDefinition
  readonly #cache: KindCache

  constructor(coordinator: Coordinator, kind: ResourceDefinition, cache: KindCache) {
    this.#coordinator = coordinator
    this.#kind = kind
    this.#cache = cache
  }

  /** See `ResourceApi.list`. */
  async list(options: ListOptions): Promise<ResourceList> {
    const { limit } = options
    const match = matchOf(this.#kind, options)
    if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0))
      throw badRequest(`limit must be a whole number, got ${String(limit)}`)
    const { held, revision, after } = await this.#chosen(options)
    const page = pageOf(held, match, after, limit === 0 ? undefined : limit)
    const selects = Boolean(options.labelSelector ?? options.fieldSelector)
    const { apiVersion, kind } = this.#kind
    return {
      apiVersion,
      kind: `${kind}List`,
      metadata: {
        resourceVersion: String(revision),
        ...(page.last !== undefined && {
          continue: encodeContinuation({ revision, after: page.last }),
          ...(!selects && { remainingItemCount: page.remaining }),
        }),
      },
      items: page.items,
    }
  }

  /** What is there now: as the engine says, or the cache once it has all that was written until now. */
  async fresh(namespace: string | undefined): Promise<State> {
    // Ready before it is read, so that what happens behind the list is in the window.
    await this.#cache.ready()
    const prefix = prefixIn(this.#kind, namespace)
    if (this.#cache.size >= MANY && (await this.#cache.isFresh()))
      return { held: within(this.#cache.state, prefix), revision: this.#cache.revision }
    const { entries, revision } = await this.#coordinator.list(prefix)
    return { held: entries.flatMap((entry) => this.#cache.readable(entry) ?? []), revision }
  }

  /** What was there at that revision, or later. */
  async notOlderThan(wanted: number, namespace: string | undefined): Promise<State> {
    await this.#cache.ready()
    const { revision } = this.#cache
    if (revision >= wanted)
      return { held: within(this.#cache.state, prefixIn(this.#kind, namespace)), revision }
    const fresh = await this.fresh(namespace)
    if (fresh.revision < wanted) throw versionAhead(wanted, fresh.revision)
    return fresh
  }

  async #chosen(options: ListOptions): Promise<State & { after?: string }> {
    const { namespace, resourceVersion, resourceVersionMatch, continue: token } = options
    const prefix = prefixIn(this.#kind, namespace)
    if (token !== undefined) {
      if (resourceVersion !== undefined)
        throw badRequest('specifying resource version is not allowed when using continue')
      const { revision, after } = decodeContinuation(token, prefix)
      return { held: within(await this.#cache.stateAt(revision), prefix), revision, after }
    }
    if (resourceVersion === undefined) {
      if (resourceVersionMatch !== undefined)
        throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided')
      return this.fresh(namespace)
    }
    const wanted = parseVersion(resourceVersion)
    if (resourceVersionMatch !== 'Exact') return this.notOlderThan(wanted, namespace)
    if (wanted === 0) throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
    return { held: within(await this.#cache.stateAt(wanted), prefix), revision: wanted }
  }
}

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` unless it is a version */
export function parseVersion(text: string): number {
  const version = /^\d+$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(version)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`)
  return version
}

/** Resources of a state, selected. */
export function select({ held }: State, match: (resource: Resource) => boolean): readonly Resource[] {
  return held.map(({ resource }) => resource).filter(match)
}
