import { BanyanError } from '../../core/errors.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { HostedViews, type WatchedView } from '../../node/coordination/hosted-views.js'
import { actionsOn } from '../../node/coordination/operations.js'
import type { Desk, Seen } from './desk.js'

/** A coordinator that is opened here. */
export function ownDesk(coordinator: Coordinator): Desk {
  const views = new HostedViews(coordinator)
  return {
    ...actionsOn(coordinator),
    list: (view) => views.list(view),
    detail: (view, name) => views.detail(view, name),
    follow: (view, name, signal) =>
      follow(name === undefined ? views.watch(view) : views.watchOne(view, name), name !== undefined, signal),
    [Symbol.asyncDispose]: () => coordinator.close(),
  }
}

async function* follow<Status>(
  watch: WatchedView<Status>,
  isOne: boolean,
  signal: AbortSignal,
): AsyncGenerator<Seen<Status>> {
  const leave = watch.join()
  let statuses: readonly Status[] = []
  try {
    while (!signal.aborted) {
      try {
        statuses = await watch.now()
        yield { statuses }
        if (isOne && statuses.length === 0) return
      } catch (error) {
        if (!(error instanceof BanyanError)) throw error
        yield { statuses, problem: error.message }
      }
      await watch.pause(signal)
    }
  } finally {
    leave()
  }
}
