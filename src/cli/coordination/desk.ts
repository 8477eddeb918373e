import type { CoordinationActions } from '../../node/coordination/operations.js'
import type { ViewName, Views } from '../../node/coordination/views.js'

/** What there is, and why that may be old. */
export interface Seen<Status> {
  readonly statuses: readonly Status[]
  readonly problem?: string
}

/** A coordinator as commands see it: opened here, or behind the admin address of a node. */
export interface Desk extends CoordinationActions, AsyncDisposable {
  list<Name extends ViewName>(view: Name): Promise<readonly Views[Name]['status'][]>
  /** @throws an error that says that there is none, and which there are */
  detail<Name extends ViewName>(view: Name, name: string): Promise<Views[Name]['detail']>
  /**
   * What there is, and again when it has changed, and about once a second; until the signal aborts, or the one that is followed is
   * gone.
   *
   * @param name - one of them, with its past
   */
  follow<Name extends ViewName>(
    view: Name,
    name: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<Seen<Views[Name]['status']>>
}
