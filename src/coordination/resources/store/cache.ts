import { backoffWait } from '../../../core/backoff.js'
import { sleep } from '../../../core/clock.js'
import type { Changes, Coordinator, Entry, Listing } from '../../coordinator.js'
import { compareKeys } from '../../driver.js'
import { coordinationError, hasCode, isGap } from '../../errors.js'
import { RETRY } from '../../patiently.js'
import type { ResourceDefinition } from '../define.js'
import { expired, versionAhead } from '../error.js'
import type { Resource } from '../object.js'
import { decode } from './codec.js'
import { markOf, prefixOf } from './keys.js'
import { Window } from './window.js'

/** How long a change that was made may take to come, in ms. */
const PATIENCE = 3000

/** A resource and where it is. */
export interface Held {
  readonly key: string
  readonly resource: Resource
}

/** How much of the past is kept. */
export interface WindowLimits {
  readonly records: number
  readonly characters: number
}

interface Cached extends Held {
  readonly revision: number
  readonly size: number
}

/**
 * The resources of a kind as they are, and their last changes: read once, and then kept up to date by one watch for all who list
 * and watch. It may be behind the engine, and says how far it has come.
 */
export class KindCache {
  readonly window: Window
  readonly #coordinator: Coordinator
  readonly #kind: ResourceDefinition
  readonly #prefix: string
  readonly #objects = new Map<string, Cached>()
  readonly #closing = new AbortController()
  readonly #waiting = new Set<() => void>()
  #sorted: readonly Held[] | undefined
  #revision: number | undefined
  /** How often following it has ended with a failure, and the last one. */
  #failures = 0
  #failure: unknown

  constructor(coordinator: Coordinator, kind: ResourceDefinition, limits: WindowLimits) {
    this.#coordinator = coordinator
    this.#kind = kind
    this.#prefix = prefixOf(kind)
    this.window = new Window(limits.records, limits.characters)
    void this.#run()
  }

  /** Everything up to here is in it. Only for those who have waited until it is {@link ready}. */
  get revision(): number {
    return this.#revision ?? 0
  }

  /** All there is, in the order of the keys. */
  get state(): readonly Held[] {
    return (this.#sorted ??= [...this.#objects.values()].sort((a, b) => compareKeys(a.key, b.key)))
  }

  /** Aborts when it is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** How many there are. */
  get size(): number {
    return this.#objects.size
  }

  /** @throws `BANYAN_COORDINATOR_CLOSED`, and what the engine says if it cannot be read for the first time */
  async ready(): Promise<void> {
    const failures = this.#failures
    await this.#until(() => this.#revision !== undefined || this.#failures > failures)
    if (this.#revision === undefined) throw this.#failure
  }

  /** Whether everything that was written before this call is in it. It may not be for a while, if the engine tells of it late. */
  async isFresh(): Promise<boolean> {
    const { revision } = await this.#coordinator.list(markOf(this.#kind))
    if (this.revision >= revision) return true
    const marked = await this.#mark()
    const { clock } = this.#coordinator.runtime
    const late = new AbortController()
    const timer = clock.schedule(clock.now() + PATIENCE, () => late.abort())
    while (this.revision < marked && !late.signal.aborted && !this.#isClosed())
      await this.changed(late.signal)
    timer.cancel()
    return this.revision >= marked
  }

  /**
   * All there was at a revision.
   *
   * @throws `BANYAN_RESOURCE_EXPIRED`, `BANYAN_RESOURCE_VERSION_AHEAD`
   */
  async stateAt(revision: number): Promise<readonly Held[]> {
    await this.#reach(revision)
    if (revision < this.window.oldest) throw expired(revision, this.window.oldest)
    // The pages of a long list are of one state, and mostly of that which is there still.
    if (this.window.at(this.window.numberBehind(revision)) === undefined) return this.state
    const state = new Map<string, Held>(this.#objects)
    for (const { key, before } of this.window.backTo(revision))
      if (before) state.set(key, { key, resource: before })
      else state.delete(key)
    return [...state.values()].sort((a, b) => compareKeys(a.key, b.key))
  }

  /** What an entry of the engine stands for; the same object that is in the cache if that has it. */
  decoded(entry: Entry): Resource {
    const cached = this.#objects.get(entry.key)
    return cached?.revision === entry.revision ? cached.resource : decode(entry)
  }

  /** {@link decoded}; undefined for what is no resource: one that nobody can read must not hide all others. */
  readable(entry: Entry): Held | undefined {
    if (!isResourceKey(this.#prefix, entry.key)) return undefined
    try {
      return { key: entry.key, resource: this.decoded(entry) }
    } catch {
      return undefined
    }
  }

  /** Resolves when there is something new, it is closed, or the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      if (signal.aborted || this.#isClosed()) {
        resolve()
        return
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  close(): void {
    this.#closing.abort()
    this.#wake()
  }

  /**
   * As it hears of nothing while only other kinds change, it has to make a change itself: when that has come, what comes before it
   * must have come.
   *
   * @returns the revision of the change
   */
  async #mark(): Promise<number> {
    const mark = await this.#coordinator.put(markOf(this.#kind), '')
    return mark.ok ? mark.revision : 0
  }

  /** Waits until everything up to a revision is in it. */
  async #reach(revision: number): Promise<void> {
    await this.ready()
    if (this.revision >= revision) return
    const reached = await this.#mark()
    if (reached <= revision) throw versionAhead(revision, reached)
    await this.#until(() => this.revision >= reached)
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      if (this.#isClosed()) throw coordinationError('BANYAN_COORDINATOR_CLOSED', `the resources were closed`)
      await this.changed(this.closed)
    }
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isClosed();)
      try {
        await this.#follow(() => (failures = 0))
        failures = 0
      } catch (error) {
        if (this.#isClosed()) return
        if (hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) {
          this.close()
          return
        }
        failures++
        this.#failures++
        this.#failure = error
        this.#wake()
        // What was compacted can be read at once; what is compacted each time it was read cannot be followed so closely.
        if (isGap(error) && failures === 1) continue
        const { clock, random } = this.#coordinator.runtime
        await sleep(clock, backoffWait(RETRY, failures, 'equal', random), this.closed).catch(() => undefined)
      }
  }

  /** Reads it, and watches behind that until it has to be read again. */
  async #follow(onProgress: () => void): Promise<void> {
    const after = await this.#read()
    if (this.#isClosed()) return
    const options = { after, signal: this.closed }
    for await (const group of this.#coordinator.watch(this.#prefix, options)) {
      onProgress()
      this.#apply(group)
    }
  }

  /** Reads it. Apart, as what watches would hold all the texts that were read for as long as it goes on. */
  async #read(): Promise<number> {
    const listing = await this.#coordinator.list(this.#prefix)
    if (!this.#isClosed()) this.#take(listing)
    return listing.revision
  }

  #take({ entries, revision }: Listing): void {
    const cached = entries.flatMap((entry) => this.#cached(entry) ?? [])
    this.#objects.clear()
    for (const each of cached) this.#objects.set(each.key, each)
    this.#sorted = undefined
    this.#revision = revision
    this.window.reset(revision)
    this.#wake()
  }

  #apply({ revision, changes }: Changes): void {
    for (const change of changes) {
      const { key } = change.kind === 'put' ? change.entry : change
      const before = this.#objects.get(key)
      const after = change.kind === 'put' ? this.#cached(change.entry) : undefined
      if (!before && !after) continue
      if (after) this.#objects.set(key, after)
      else this.#objects.delete(key)
      this.#sorted = undefined
      const size = (before?.size ?? 0) + (after?.size ?? 0)
      this.window.add({ revision, key, before: before?.resource, after: after?.resource, size })
    }
    this.#revision = revision
    this.#wake()
  }

  #cached(entry: Entry): Cached | undefined {
    const held = this.readable(entry)
    const { key, revision, value } = entry
    if (held) return { key, resource: held.resource, revision, size: value.length }
    if (isResourceKey(this.#prefix, key))
      this.#coordinator.runtime.telemetry.log(
        'error',
        `what ${key} has is no resource; it is left out of lists`,
      )
    return undefined
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}

/** Whether a key behind the prefix is that of a resource, and no mark. */
function isResourceKey(prefix: string, key: string): boolean {
  return key.includes('/', prefix.length)
}
