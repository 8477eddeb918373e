import type { Runtime } from '../../core/runtime.js'
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
/** How long a store may take, in ms; a state is not worth waiting longer for. */
const STORE_MS = 5000

/** Keeps states as snapshots. It is a cache: whatever is wrong with it, the events are there. */
export class StateCache<State> {
  readonly #options: SnapshotOptions<State>
  readonly #runtime: Runtime

  constructor(options: SnapshotOptions<State>, runtime: Runtime) {
    this.#options = options
    this.#runtime = runtime
  }

  /** @param most - the last revision that may be in it */
  async read(stream: string, most = Infinity): Promise<CachedState<State> | undefined> {
    const { store, version } = this.#options
    try {
      const found = await this.#inTime(store.read(stream))
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
      await this.#inTime(store.write(stream, { revision, event: last, version, state: text }))
    } catch (error) {
      this.#warn(`no snapshot of ${stream} could be kept`, error)
    }
  }

  /** A snapshot of another history, as before the log was restored: it would keep those of this one out. */
  async forget(stream: string): Promise<void> {
    try {
      await this.#inTime(this.#options.store.delete(stream))
    } catch (error) {
      this.#warn(`the snapshot of ${stream} cannot be deleted`, error)
    }
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const { clock } = this.#runtime
    let late: (error: Error) => void
    const lateness = new Promise<never>((_, reject) => (late = reject))
    const timer = clock.schedule(clock.now() + STORE_MS, () => {
      late(new Error(`the store did not answer in ${STORE_MS} ms`))
    })
    try {
      return await Promise.race([answer, lateness])
    } finally {
      timer.cancel()
    }
  }

  #parse(text: string): State {
    const { fromJson = (json: unknown) => json as State } = this.#options
    return fromJson(JSON.parse(text))
  }

  #warn(what: string, error: unknown): void {
    this.#runtime.telemetry.log('warn', `${what}: ${String(error)}`)
  }
}
