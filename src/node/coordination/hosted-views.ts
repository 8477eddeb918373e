import type { Clock } from '../../core/clock.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { hasCode } from '../../coordination/errors.js'
import { KeysWatch } from './keys-watch.js'
import { detailOf, listOf, prefixesOf, type ViewName, type Views } from './views.js'

/** What is watched: what there is now, and when that may have changed. */
export interface WatchedView<Status> {
  readonly clock: Clock
  now(): Promise<readonly Status[]>
  pause(signal: AbortSignal): Promise<void>
  join(): () => void
}

/** What operators look at on a coordinator; those who look at the same share one watch of it. */
export class HostedViews {
  readonly #coordinator: Coordinator
  readonly #watches = new Map<ViewName, KeysWatch<Views[ViewName]['status']>>()

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator
  }

  list<Name extends ViewName>(view: Name): Promise<readonly Views[Name]['status'][]> {
    return listOf(view, this.#coordinator)
  }

  /** @throws an error that says that there is none, and which there are */
  detail<Name extends ViewName>(view: Name, name: string): Promise<Views[Name]['detail']> {
    return detailOf(view, name, this.#coordinator)
  }

  watch<Name extends ViewName>(view: Name): WatchedView<Views[Name]['status']> {
    let watch = this.#watches.get(view)
    if (!watch) {
      watch = new KeysWatch(this.#coordinator, prefixesOf(view), () => this.list(view))
      this.#watches.set(view, watch)
    }
    return watch
  }

  /** One of them, with its past; nothing when it is gone. */
  watchOne<Name extends ViewName>(view: Name, name: string): WatchedView<Views[Name]['detail']> {
    const all = this.watch(view)
    let seen: unknown
    let found: Promise<readonly Views[Name]['detail'][]> | undefined
    return {
      clock: all.clock,
      join: () => all.join(),
      pause: (signal) => all.pause(signal),
      now: async () => {
        const list = all.now()
        await list
        // It is read again when all of them were.
        if (seen !== list) found = this.#oneOrNone(view, name)
        seen = list
        return found!
      },
    }
  }

  async #oneOrNone<Name extends ViewName>(view: Name, name: string): Promise<Views[Name]['detail'][]> {
    try {
      return [await this.detail(view, name)]
    } catch (error) {
      if (isUnknown(error)) return []
      throw error
    }
  }
}

function isUnknown(error: unknown): boolean {
  return (
    hasCode(error, 'BANYAN_ELECTION_UNKNOWN') ||
    hasCode(error, 'BANYAN_LOCK_UNKNOWN') ||
    hasCode(error, 'BANYAN_JOB_UNKNOWN') ||
    hasCode(error, 'BANYAN_SERVICE_UNKNOWN') ||
    hasCode(error, 'BANYAN_SHARD_MAP_UNKNOWN') ||
    hasCode(error, 'BANYAN_SHARDS_UNKNOWN')
  )
}
