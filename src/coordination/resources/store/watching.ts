import type { Coordinator } from '../../coordinator.js'
import type { ResourceEvent, WatchResourcesOptions } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { expired, versionAhead } from '../error.js'
import { frozen } from '../frozen.js'
import type { ResourceMatch } from '../selectors/fields.js'
import type { Resource } from '../object.js'
import { matchOf } from '../selectors/selection.js'
import type { KindCache } from './cache.js'
import { versioned } from './codec.js'
import { markOf } from './keys.js'
import { parseVersion, select, type Lister, type State } from './listing.js'
import type { ChangeRecord } from './window.js'

/** By how much of the time between them bookmarks may come earlier. */
const JITTER = 0.2

/** Where a watch gets its news from. */
export interface WatchSource {
  readonly coordinator: Coordinator
  readonly kind: ResourceDefinition
  readonly cache: KindCache
  readonly lister: Lister
  /** From one bookmark to the next, in ms. */
  readonly bookmarkEvery: number
}

/**
 * See `ResourceApi.watch`. Nothing is queued for a watcher: it has a place in the window of the cache, and whoever is so slow that
 * the window has gone past it finds that out for itself, and holds nobody up.
 */
export async function* watchResources(
  source: WatchSource,
  options: WatchResourcesOptions,
): AsyncGenerator<ResourceEvent, void> {
  const { cache, kind } = source
  const match = matchOf(kind, options)
  const { signal = cache.closed } = options
  await cache.ready()
  const initial = await initialState(source, options)
  /** Everything up to here was told, or was to be left out. */
  let position = initial?.revision ?? parseVersion(options.resourceVersion ?? '0')
  if (!initial) await checkReached(source, position)
  if (position < cache.window.oldest) throw expired(position, cache.window.oldest)
  let next = cache.window.numberBehind(position)

  if (initial) {
    for (const object of select(initial, match)) yield { type: 'ADDED', object }
    if (options.sendInitialEvents) yield bookmark(kind, position, { 'k8s.io/initial-events-end': 'true' })
  }
  const bookmarks = new Ticker(source, options)
  for (;;) {
    if (signal.aborted || cache.closed.aborted) return
    if (next < cache.window.first) throw expired(position, cache.window.oldest)
    const record = cache.window.at(next)
    if (record) {
      next++
      // A list may have been newer than the cache.
      if (record.revision <= position) continue
      position = record.revision
      const event = eventOf(record, match)
      if (event) yield event
    } else {
      position = Math.max(position, cache.revision)
      if (bookmarks.due()) yield bookmark(kind, position)
      else await bookmarks.until((woken) => cache.changed(woken), signal)
    }
  }
}

/** Undefined if only what comes behind a version is wanted. */
async function initialState(
  { lister }: WatchSource,
  { namespace, resourceVersion, sendInitialEvents = false }: WatchResourcesOptions,
): Promise<State | undefined> {
  if (resourceVersion === undefined) return lister.fresh(namespace)
  const version = parseVersion(resourceVersion)
  return version === 0 || sendInitialEvents ? lister.notOlderThan(version, namespace) : undefined
}

/** @throws `BANYAN_RESOURCE_VERSION_AHEAD` if there was no such version yet */
async function checkReached({ cache, coordinator, kind }: WatchSource, position: number): Promise<void> {
  if (position <= cache.revision) return
  const { revision } = await coordinator.list(markOf(kind))
  if (position > revision) throw versionAhead(position, revision)
}

function eventOf(record: ChangeRecord, match: ResourceMatch): ResourceEvent | undefined {
  const { before, after } = record
  const was = before && match(before) ? before : undefined
  const is = after && match(after) ? after : undefined
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object: is }
  return was && { type: 'DELETED', object: deletedOf(was, record) }
}

const deletions = new WeakMap<ChangeRecord, Resource>()

/** The same for all who are told of it. */
function deletedOf(was: Resource, record: ChangeRecord): Resource {
  let deleted = deletions.get(record)
  if (!deleted) deletions.set(record, (deleted = frozen(versioned(was, record.revision))))
  return deleted
}

function bookmark(
  { apiVersion, kind }: ResourceDefinition,
  revision: number,
  annotations?: Readonly<Record<string, string>>,
): ResourceEvent {
  const metadata = { resourceVersion: String(revision), ...(annotations && { annotations }) }
  return { type: 'BOOKMARK', object: { apiVersion, kind, metadata } }
}

/** Says when the next bookmark is due. */
class Ticker {
  readonly #clock: Coordinator['runtime']['clock']
  readonly #random: Coordinator['runtime']['random']
  readonly #every: number
  readonly #wanted: boolean
  #at: number

  constructor(
    { coordinator, bookmarkEvery }: WatchSource,
    { allowWatchBookmarks = false }: WatchResourcesOptions,
  ) {
    this.#clock = coordinator.runtime.clock
    this.#random = coordinator.runtime.random
    this.#every = bookmarkEvery
    this.#wanted = allowWatchBookmarks
    this.#at = this.#next()
  }

  /** Whether one is due now; from then on it is the next one. */
  due(): boolean {
    if (!this.#wanted || this.#clock.now() < this.#at) return false
    this.#at = this.#next()
    return true
  }

  /** A little earlier, so that those who came at the same time are not all told at the same time. */
  #next(): number {
    return this.#clock.now() + this.#every * (1 - JITTER * this.#random.next())
  }

  /** Waits for something else, but not longer than until one is due. */
  async until(wait: (woken: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const wake = (): void => woken.abort()
    const timer = this.#wanted ? this.#clock.schedule(this.#at, wake) : undefined
    signal.addEventListener('abort', wake)
    try {
      await wait(woken.signal)
    } finally {
      timer?.cancel()
      signal.removeEventListener('abort', wake)
    }
  }
}
