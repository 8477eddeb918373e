import type { Runtime } from '../../core/runtime.js'
import {
  informer,
  type CacheChange,
  type Informer,
} from '../../coordination/reconciliation/informer/informer.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import type { Resource } from '../../coordination/resources/object.js'
import { entryKinds } from './kinds.js'
import { wantedBy } from './wanted.js'

/** The resources of all kinds of `banyan.yaml` in a namespace, as they are. */
export class KeptResources implements AsyncDisposable {
  readonly #informers: readonly Informer[]

  /**
   * @param onChange - told when a configuration of them may be another one now
   */
  constructor(api: ResourceApi, namespace: string, runtime: Runtime, onChange: () => void) {
    this.#informers = entryKinds().map(({ definition }) => {
      const kept: Informer = informer(api, definition, { namespace, runtime })
      kept.on('change', (change) => {
        if (matters(change)) onChange()
      })
      return kept
    })
  }

  all(): Resource[] {
    return this.#informers.flatMap((each) => each.list())
  }

  /** Resolves when everything that was there at the beginning is known. */
  async synced(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((each) => each.synced(signal)))
  }

  /** Resolves when everything that was there when it was called is known. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((each) => each.refresh(signal)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#informers.map((each) => each.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Whether something else is wanted: what becomes of a status changes no configuration. */
function matters({ before, after }: CacheChange): boolean {
  return !before || !after || wantedBy(before) !== wantedBy(after)
}
