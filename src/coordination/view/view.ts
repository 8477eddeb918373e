import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import type { Changes, Coordinator, Entry, Listing } from '../coordinator.js'
import { coordinationError, hasCode } from '../errors.js'
import { checkPrefix } from '../keys.js'
import { RETRY } from '../patiently.js'
import { pulseOf, type Outage, type Pulse } from './pulse.js'

/**
 * A local copy of all keys under a prefix: read once, then kept up to date by watching. Reading it costs nothing and cannot
 * fail. While the engine is away it stays as it was and says that it is stale; afterwards it is read again, and observers see
 * what is different, once.
 */
export interface View extends AsyncDisposable {
  readonly prefix: string
  /** Resolves when it has been read once; rejects with `BANYAN_COORDINATOR_CLOSED` if that will never be. */
  readonly ready: Promise<void>
  /** By key; the order means nothing. Empty until it is ready. */
  readonly entries: ReadonlyMap<string, Entry>
  /** Everything up to here is in it; undefined until it is ready. */
  readonly revision: number | undefined
  /** Why it may be behind, and since when; undefined if it is as new as the watch. */
  readonly stale: Outage | undefined
  /** Aborts when nothing more will come: it was closed, or the coordinator was. */
  readonly ended: AbortSignal
  get(key: string): Entry | undefined
  /**
   * - `change`: what has become different, at one revision or since it was last read
   * - `stale`: the engine is away
   * - `fresh`: it was read again after that
   */
  on<Name extends keyof ViewEvents>(name: Name, listener: (event: ViewEvents[Name]) => void): Unsubscribe
  /** Ends it; what was read can still be asked for, and observers hear nothing more. */
  close(): Promise<void>
}

/** What a view tells. */
export interface ViewEvents extends Record<string, unknown> {
  change: ViewChanges
  stale: Outage
  fresh: undefined
}

/** What has become different in a view. */
export interface ViewChanges {
  readonly revision: number
  /** Each key at most once. */
  readonly changes: readonly ViewChange[]
}

/** What has become of a key. */
export type ViewChange =
  | { readonly kind: 'put'; readonly entry: Entry; readonly before: Entry | undefined }
  | { readonly kind: 'deleted'; readonly key: string; readonly before: Entry }

/**
 * Opens a view of all keys that begin with a prefix. Returns at once, also while the engine is away.
 *
 * @throws `BANYAN_INVALID_KEY`
 */
export function openView(coordinator: Coordinator, prefix: string): View {
  checkPrefix(prefix)
  return new WatchedView(coordinator, prefix)
}

class WatchedView implements View {
  readonly prefix: string
  readonly ready: Promise<void>
  readonly #coordinator: Coordinator
  readonly #pulse: Pulse
  readonly #leavePulse: () => void
  readonly #entries = new Map<string, Entry>()
  readonly #observers = new Observers<ViewEvents>()
  readonly #closing = new AbortController()
  /** Aborted where it is to be read again. */
  #watching = new AbortController()
  #settle: { ready(): void; never(error: unknown): void } | undefined
  #revision: number | undefined
  #stale: Outage | undefined

  constructor(coordinator: Coordinator, prefix: string) {
    this.prefix = prefix
    this.#coordinator = coordinator
    this.ready = new Promise((ready, never) => (this.#settle = { ready, never }))
    // Whoever never asks never hears of it.
    this.ready.catch(() => undefined)
    this.#pulse = pulseOf(coordinator)
    this.#leavePulse = this.#pulse.join({
      away: (outage) => this.#outdated(outage),
      // The watch goes on by itself, but nobody knows when it has caught up.
      back: () => {
        if (this.#stale) this.#watching.abort()
      },
    })
    this.#stale = this.#pulse.outage
    void this.#run()
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  get revision(): number | undefined {
    return this.#revision
  }

  get stale(): Outage | undefined {
    return this.#stale
  }

  get ended(): AbortSignal {
    return this.#closing.signal
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  on<Name extends keyof ViewEvents>(name: Name, listener: (event: ViewEvents[Name]) => void): Unsubscribe {
    return this.#observers.on(name, listener)
  }

  close(): Promise<void> {
    this.#leavePulse()
    this.#closing.abort()
    this.#watching.abort()
    this.#settle?.never(
      coordinationError('BANYAN_COORDINATOR_CLOSED', 'the view was closed before it was read'),
    )
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#follow(() => (failures = 0))
        failures = 0
      } catch (error) {
        if (this.#isClosed) return
        if (hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) {
          this.#end(error)
          return
        }
        failures++
        const isBehind = hasCode(error, 'BANYAN_COMPACTED') || hasCode(error, 'BANYAN_REVISION_AHEAD')
        if (!isBehind) this.#outdated({ since: this.#pulse.answeredAt, problem: messageOf(error) })
        // What was compacted can be read at once; what is compacted each time it was read cannot be followed so closely.
        if (isBehind && failures === 1) continue
        const { clock, random } = this.#coordinator.runtime
        await sleep(clock, backoffWait(RETRY, failures, 'equal', random), signal).catch(() => undefined)
      }
    }
  }

  /** Reads it, and watches behind that until it has to be read again. */
  async #follow(onProgress: () => void): Promise<void> {
    const watching = new AbortController()
    this.#watching = watching
    const listing = await this.#coordinator.list(this.prefix)
    if (this.#isClosed) return
    this.#take(listing)
    const { signal } = watching
    for await (const group of this.#coordinator.watch(this.prefix, { after: listing.revision, signal })) {
      if (signal.aborted) return
      onProgress()
      this.#apply(group)
    }
  }

  #take({ entries, revision }: Listing): void {
    const changes: ViewChange[] = []
    const gone = new Map(this.#entries)
    for (const entry of entries) {
      const before = gone.get(entry.key)
      gone.delete(entry.key)
      // An engine that was restored may give a revision a second time.
      if (before?.revision === entry.revision && before.value === entry.value) continue
      this.#entries.set(entry.key, entry)
      changes.push({ kind: 'put', entry, before })
    }
    for (const [key, before] of gone) {
      this.#entries.delete(key)
      changes.push({ kind: 'deleted', key, before })
    }
    this.#revision = revision
    const wasStale = this.#stale !== undefined
    this.#stale = undefined
    this.#pulse.answered()
    this.#settle?.ready()
    if (changes.length > 0) this.#observers.emit('change', { revision, changes })
    if (wasStale) this.#observers.emit('fresh', undefined)
  }

  #apply({ revision, changes: given }: Changes): void {
    const changes: ViewChange[] = []
    for (const change of given) {
      if (change.kind === 'put') {
        const { entry } = change
        changes.push({ kind: 'put', entry, before: this.#entries.get(entry.key) })
        this.#entries.set(entry.key, entry)
      } else {
        const before = this.#entries.get(change.key)
        if (!before) continue
        this.#entries.delete(change.key)
        changes.push({ kind: 'deleted', key: change.key, before })
      }
    }
    this.#revision = revision
    if (changes.length > 0) this.#observers.emit('change', { revision, changes })
  }

  #outdated(outage: Outage): void {
    if (this.#stale) return
    this.#stale = outage
    this.#observers.emit('stale', outage)
  }

  #end(error: unknown): void {
    this.#outdated({ since: this.#pulse.answeredAt, problem: messageOf(error) })
    this.#settle?.never(error)
    void this.close()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
