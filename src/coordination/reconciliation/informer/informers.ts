import { coordinationError } from '../../errors.js'
import type { ResourceApi, Selection } from '../../resources/api.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'
import { informer, type Informer } from './informer.js'
import { settingsOf, type InformerOptions } from './options.js'

/** Informers that several share. See {@link informers}. */
export interface Informers extends AsyncDisposable {
  /**
   * The informer of a kind, or of a part of it; made when it is first asked for. Closing it would close it for all.
   *
   * @throws `BANYAN_RESOURCE_BAD_REQUEST` for selectors that are none; `BANYAN_COORDINATOR_CLOSED`
   */
  of<Spec, Status>(kind: ResourceDefinition<Spec, Status>, selection?: Selection): Informer<Spec, Status>
  /** Closes all. */
  close(): Promise<void>
}

/**
 * Informers of one API, one for each kind and selection, so that controllers that look at the same kind have one list, one watch
 * and one cache.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function informers(api: ResourceApi, options: Omit<InformerOptions, keyof Selection> = {}): Informers {
  settingsOf(options)
  return new SharedInformers(api, options)
}

class SharedInformers implements Informers {
  readonly #api: ResourceApi
  readonly #options: Omit<InformerOptions, keyof Selection>
  readonly #all = new Map<string, Informer>()
  #isClosed = false

  constructor(api: ResourceApi, options: Omit<InformerOptions, keyof Selection>) {
    this.#api = api
    this.#options = options
  }

  of<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    { namespace, labelSelector, fieldSelector }: Selection = {},
  ): Informer<Spec, Status> {
    if (this.#isClosed) throw coordinationError('BANYAN_COORDINATOR_CLOSED', 'the informers were closed')
    const selection = {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    }
    const id = JSON.stringify([qualifiedPlural(kind), kind.version, selection])
    const found =
      this.#all.get(id) ?? informer<unknown, unknown>(this.#api, kind, { ...this.#options, ...selection })
    this.#all.set(id, found)
    return found as Informer<Spec, Status>
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(Array.from(this.#all.values(), (each) => each.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
