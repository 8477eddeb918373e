import { sleep, type Clock } from '../core/clock.js'
import type { Maybe } from '../core/maybe.js'
import type { Changes } from './coordinator.js'
import { keyOf } from './driver.js'

/** Where a driver keeps its changes. */
export interface History {
  /**
   * The changes behind `after`, of all keys that begin with `prefix`, up to about `limit` of them, whole revisions only.
   *
   * @throws `BANYAN_COMPACTED`, `BANYAN_REVISION_AHEAD`; what passes is tried again after a pause
   */
  page(prefix: string, after: number, limit: number): Maybe<HistoryPage>
  /** Resolves when there may be changes behind `after`, when the signal aborts, and now and then without either. */
  changed(after: number, signal: AbortSignal): Promise<void>
  /** Whether that revision is known to be, or to have been, without looking. */
  reached(revision: number): boolean
  /** Whether an error of `page` passes. */
  passes(error: unknown): boolean
}

/** Some changes. */
export interface HistoryPage {
  readonly groups: readonly Changes[]
  /** Every change up to here is in this page or was before it. */
  readonly upTo: number
}

const PAGE = 1000
/**
 * How many groups, and characters of values, may wait for a watcher before it has to read what comes next from the history
 * again: a slow one keeps nobody up, and does not fill the memory.
 */
const WAITING = 1024
const WAITING_CHARACTERS = 4 * 1024 * 1024
/** Before a history that could not be read is read again, in ms: it may refuse at once, and there may be news all the time. */
const UNREADABLE_MS = 500

/**
 * Watches over a history: while somebody watches, one loop reads every change once and hands it to those whose prefix it has.
 * Who begins further back, or falls behind, reads for itself until it has caught up (as etcd does with its unsynced watchers).
 */
export class Feed {
  readonly #history: History
  readonly #clock: Clock
  readonly #live = new Map<string, Set<Watcher>>()
  /** How many of these prefixes there are of each length. */
  readonly #lengths = new Map<number, number>()
  #position = 0
  #loop: AbortController | undefined

  constructor(history: History, clock: Clock) {
    this.#history = history
    this.#clock = clock
  }

  /** See `CoordinatorDriver.watch`. */
  async *watch(prefix: string, after: number, signal: AbortSignal): AsyncGenerator<Changes, void> {
    const watcher = new Watcher(after)
    const wake = (): void => watcher.wake()
    signal.addEventListener('abort', wake)
    try {
      for (;;) {
        if (watcher.idle && !watcher.live) await this.#catchUp(prefix, watcher, signal)
        if (signal.aborted) return
        const group = watcher.next()
        if (group) yield group
        else if (watcher.live) await watcher.woken()
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.#leave(prefix, watcher)
    }
  }

  /** Reads a page, or some, into the watcher; joins the loop once it has everything that the loop has. */
  async #catchUp(prefix: string, watcher: Watcher, signal: AbortSignal): Promise<void> {
    do {
      if (this.#loop && watcher.position >= this.#position && this.#history.reached(watcher.position)) {
        this.#join(prefix, watcher)
        return
      }
      const page = await this.#page(prefix, watcher.position, signal)
      if (!page) return
      for (const group of page.groups) watcher.take(group)
      watcher.position = page.upTo
      // Nothing is waited for from here on: what the loop reads next is what comes next.
      if (this.#loop) {
        if (watcher.position >= this.#position) this.#join(prefix, watcher)
      } else if (page.groups.length === 0) {
        this.#position = watcher.position
        this.#join(prefix, watcher)
        void this.#run()
      }
    } while (!watcher.live && watcher.idle)
  }

  #join(prefix: string, watcher: Watcher): void {
    watcher.live = true
    const watchers = this.#live.get(prefix)
    if (watchers) {
      watchers.add(watcher)
      return
    }
    this.#live.set(prefix, new Set([watcher]))
    this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1)
  }

  #leave(prefix: string, watcher: Watcher): void {
    watcher.live = false
    const watchers = this.#live.get(prefix)
    if (!watchers?.delete(watcher)) return
    if (watchers.size > 0) return
    this.#live.delete(prefix)
    const others = this.#lengths.get(prefix.length)! - 1
    if (others > 0) this.#lengths.set(prefix.length, others)
    else this.#lengths.delete(prefix.length)
    if (this.#live.size === 0) {
      this.#loop?.abort()
      this.#loop = undefined
    }
  }

  /** Hands changes to who watches, while somebody does. */
  async #run(): Promise<void> {
    const loop = new AbortController()
    this.#loop = loop
    const { signal } = loop
    for (;;) {
      let page: HistoryPage | undefined
      try {
        page = await this.#page('', this.#position, signal)
      } catch {
        if (signal.aborted) return
        // Compacted under a loop that could not read for long. Everybody finds out alone.
        this.#scatter()
        return
      }
      if (signal.aborted) return
      if (page && page.upTo > this.#position) {
        this.#position = page.upTo
        for (const group of page.groups) this.#hand(group)
      } else await this.#history.changed(this.#position, signal)
    }
  }

  #hand(group: Changes): void {
    for (const prefix of this.#prefixesOf(group)) {
      const changes = group.changes.filter((change) => keyOf(change).startsWith(prefix))
      const part = changes.length === group.changes.length ? group : { revision: group.revision, changes }
      for (const watcher of this.#live.get(prefix)!) {
        // It read this one by itself before it joined.
        if (group.revision <= watcher.position) continue
        watcher.take(part)
        if (watcher.full) this.#leave(prefix, watcher)
      }
    }
  }

  /** Those that somebody watches. Looked up by length: there may be thousands of them, but hardly of as many lengths. */
  #prefixesOf({ changes }: Changes): Set<string> {
    const found = new Set<string>()
    for (const change of changes) {
      const key = keyOf(change)
      for (const length of this.#lengths.keys()) {
        const prefix = key.slice(0, length)
        if (this.#live.has(prefix)) found.add(prefix)
      }
    }
    return found
  }

  #scatter(): void {
    for (const [prefix, watchers] of [...this.#live])
      for (const watcher of [...watchers]) {
        this.#leave(prefix, watcher)
        watcher.wake()
      }
  }

  /** Undefined if the signal aborted. */
  async #page(prefix: string, after: number, signal: AbortSignal): Promise<HistoryPage | undefined> {
    for (;;) {
      try {
        return await this.#history.page(prefix, after, PAGE)
      } catch (error) {
        if (signal.aborted) return undefined
        if (!this.#history.passes(error)) throw error
        await sleep(this.#clock, UNREADABLE_MS, signal).catch(() => undefined)
        await this.#history.changed(after, signal)
      }
    }
  }
}

/** Somebody who watches. */
class Watcher {
  /** Whether the loop hands it changes. */
  live = false
  /** It has everything up to here, or the loop brings it. */
  position: number
  /** What waits to be taken. */
  readonly #groups: Changes[] = []
  #characters = 0
  #wake: (() => void) | undefined

  constructor(position: number) {
    this.position = position
  }

  /** Whether nothing waits. */
  get idle(): boolean {
    return this.#groups.length === 0
  }

  /** Whether more waits than should. */
  get full(): boolean {
    return this.#groups.length > WAITING || this.#characters > WAITING_CHARACTERS
  }

  take(group: Changes): void {
    this.position = group.revision
    this.#groups.push(group)
    this.#characters += charactersOf(group)
    this.wake()
  }

  next(): Changes | undefined {
    const group = this.#groups.shift()
    if (group) this.#characters -= charactersOf(group)
    return group
  }

  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  /** Resolves when there is something, or somebody has to look. */
  woken(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }
}

function charactersOf({ changes }: Changes): number {
  let characters = 0
  for (const change of changes) if (change.kind === 'put') characters += change.entry.value.length
  return characters
}
