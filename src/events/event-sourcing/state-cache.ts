import type { Telemetry } from '../../core/telemetry.js'
import { changesBetween } from './changes.js'
import type { SnapshotStore } from './snapshots.js'

/** When states are kept, and in which form. */
export interface SnapshotOptions<State> {
  store: SnapshotStore
  /** A number that changes with the form of the state, and with what `evolve` makes of events. */
  version: number
  /** A snapshot is made when so many events had to be read behind the last one. Default 100. */
  every?: number
  /** The state as JSON keeps it; default as it is. No snapshot is made of a state that does not come back the same. */
  toJson?: (state: State) => unknown
  /** The opposite. */
  fromJson?: (json: unknown) => State
}

/** A state after an event, and the id of that event. */
export interface CachedState<State> {
  readonly state: State
  readonly revision: number
  readonly last: string
}

const SNAPSHOT_EVERY = 100

/** Keeps states as snapshots. It is a cache: whatever is wrong with it, the events are there. */
export class StateCache<State> {
  readonly #options: SnapshotOptions<State>
  readonly #telemetry: Telemetry

  constructor(options: SnapshotOptions<State>, telemetry: Telemetry) {
    this.#options = options
    this.#telemetry = telemetry
  }

  /** @param most - the last revision that may be in it */
  async read(stream: string, most = Infinity): Promise<CachedState<State> | undefined> {
    const { store, version } = this.#options
    try {
      const found = await store.read(stream)
      if (found?.version !== version || found.revision > most) return undefined
      const { revision, event } = found
      return { state: this.#parse(found.state), revision, last: event }
    } catch (error) {
      this.#warn(`the snapshot of ${stream} cannot be used`, error)
      return undefined
    }
  }

  /** @param behind - how many events stand behind the snapshot that it was made from */
  async write(stream: string, { state, revision, last }: CachedState<State>, behind: number): Promise<void> {
    const {
      store,
      version,
      every = SNAPSHOT_EVERY,
      toJson = (state: State): unknown => state,
    } = this.#options
    if (behind < every) return
    try {
      const text = JSON.stringify(toJson(state))
      // A state that comes back as another one, a map as an object, would be wrong from then on.
      const [change] = changesBetween(this.#parse(text), state)
      if (change)
        throw new Error(`JSON changes it at "${change.path}"; say with toJson and fromJson how it is kept`)
      await store.write(stream, { revision, event: last, version, state: text })
    } catch (error) {
      this.#warn(`no snapshot of ${stream} could be kept`, error)
    }
  }

  /** A snapshot of another history, as before the log was restored: it would keep those of this one out. */
  async forget(stream: string): Promise<void> {
    try {
      await this.#options.store.delete(stream)
    } catch (error) {
      this.#warn(`the snapshot of ${stream} cannot be deleted`, error)
    }
  }

  #parse(text: string): State {
    const { fromJson = (json: unknown) => json as State } = this.#options
    return fromJson(JSON.parse(text))
  }

  #warn(what: string, error: unknown): void {
    this.#telemetry.log('warn', `${what}: ${String(error)}`)
  }
}
