import { watch, type FSWatcher } from 'node:fs'
import type { Clock, Timer } from '../../core/clock.js'
import { headFileOf } from './head-file.js'

/** Between looks of a follower that waits, in ms: the first after it has begun to wait, and the longest. */
const LOOK_FIRST_MS = 5
const LOOK_LAST_MS = 500
/** The longest if the head file cannot be watched. */
const LOOK_UNWATCHED_MS = 25

interface Waiter {
  readonly position: number
  readonly wake: () => void
}

/**
 * Wakes those who wait for new events: at once when this process has appended, when another one writes to the
 * head file, and, as that may be missed, whenever a look at the log shows it. Only the look at the log decides.
 */
export class Wakeups {
  readonly #file: string
  readonly #clock: Clock
  readonly #head: () => number
  readonly #waiters = new Set<Waiter>()
  #watcher: FSWatcher | undefined
  #timer: Timer | undefined
  #pause = LOOK_FIRST_MS

  /** @param head - where the log ends; throws if that cannot be told now */
  constructor(file: string, clock: Clock, head: () => number) {
    this.#file = file
    this.#clock = clock
    this.#head = head
  }

  /** Resolves when there is something behind a position, or when there is no telling. */
  wait(position: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve()
        return
      }
      const wake = (): void => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', wake)
        if (this.#waiters.size === 0) this.#stopLooking()
        resolve()
      }
      const waiter = { position, wake }
      this.#waiters.add(waiter)
      signal.addEventListener('abort', wake, { once: true })
      this.#startWatching()
      this.#pause = LOOK_FIRST_MS
      // After the watch is there: whatever was appended before it is seen by this look.
      this.#look()
    })
  }

  /** The log is known to end there. */
  reached(head: number): void {
    for (const { position, wake } of this.#waiters) if (position < head) wake()
  }

  close(): void {
    for (const { wake } of this.#waiters) wake()
    this.#watcher?.close()
    this.#watcher = undefined
  }

  readonly #look = (): void => {
    if (this.#waiters.size === 0) return
    try {
      this.reached(this.#head())
    } catch {
      // Those who wait will meet the same when they read, and say so.
      this.reached(Infinity)
    }
    if (this.#waiters.size > 0) this.#lookLater()
  }

  #lookLater(): void {
    this.#stopLooking()
    this.#timer = this.#clock.schedule(this.#clock.now() + this.#pause, this.#look)
    this.#pause = Math.min(this.#pause * 2, this.#watcher ? LOOK_LAST_MS : LOOK_UNWATCHED_MS)
  }

  #stopLooking(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #startWatching(): void {
    if (this.#watcher) return
    try {
      const watcher = watch(headFileOf(this.#file), { persistent: false }, (event) => {
        if (this.#waiters.size > 0) this.#look()
        // Someone has removed the file; the next who waits watches the new one.
        if (event === 'rename') this.#stopWatching(watcher)
      })
      watcher.on('error', () => this.#stopWatching(watcher))
      this.#watcher = watcher
    } catch {
      // No watching here, or too much is watched already: looks alone find it.
    }
  }

  #stopWatching(watcher: FSWatcher): void {
    watcher.close()
    if (this.#watcher === watcher) this.#watcher = undefined
  }
}
