import type { Coordinator } from './coordinator.js'
import { KEYSPACE } from './keyspace.js'

/** How many are kept, unless said otherwise. */
const KEPT = 20
/** How often it is tried while others write the same history. */
const TRIES = 5

/**
 * Adds to what has happened to something, for operators: the last 20 are kept, unless said otherwise. Best effort: it never fails, and what cannot be
 * written now is left out.
 *
 * @param path - below `banyan/history/`: `elections/NAME`
 * @param happening - JSON
 * @param kept - how many
 */
export function remember(
  coordinator: Coordinator,
  path: string,
  happening: object,
  kept = KEPT,
): Promise<void> {
  return rewriteHistory(coordinator, path, (happenings) => [...happenings, happening].slice(-kept), kept)
}

/**
 * Changes what has happened to something, such as how it ended. Best effort, as {@link remember}.
 *
 * @param change - asked again if others write the same history
 * @param kept - how many
 */
export function rewriteHistory(
  coordinator: Coordinator,
  path: string,
  change: Rewrite,
  kept = KEPT,
): Promise<void> {
  let writers = writersOf.get(coordinator)
  if (!writers) writersOf.set(coordinator, (writers = new Map<string, HistoryWriter>()))
  const key = KEYSPACE.history + path
  let writer = writers.get(key)
  if (!writer)
    writers.set(key, (writer = new HistoryWriter(coordinator, key, kept, () => writers.delete(key))))
  return writer.write(change)
}

type Rewrite = (happenings: readonly object[]) => readonly object[]

const writersOf = new WeakMap<Coordinator, Map<string, HistoryWriter>>()

/**
 * Writes one history, one write at a time: thousands of instances that a process registers would race with each other, and what
 * they want to say now would wait behind that.
 */
class HistoryWriter {
  readonly #coordinator: Coordinator
  readonly #key: string
  readonly #kept: number
  readonly #idle: () => void
  #waiting: Rewrite[] = []
  /** Of those that wait; undefined if nobody does. */
  #turn: Promise<void> | undefined
  #before: Promise<void> = Promise.resolve()

  constructor(coordinator: Coordinator, key: string, kept: number, idle: () => void) {
    this.#coordinator = coordinator
    this.#key = key
    this.#kept = kept
    this.#idle = idle
  }

  write(change: Rewrite): Promise<void> {
    this.#waiting.push(change)
    return (this.#turn ??= this.#before.then(() => this.#write()))
  }

  async #write(): Promise<void> {
    const changes = this.#waiting
    this.#waiting = []
    this.#turn = undefined
    this.#before = this.#apply(changes)
    await this.#before
    if (this.#waiting.length === 0) this.#idle()
  }

  async #apply(changes: readonly Rewrite[]): Promise<void> {
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const entry = await this.#coordinator.get(this.#key)
        const happenings = changes.reduce((found, change) => change(found), happeningsIn(entry?.value))
        const value = JSON.stringify(happenings.slice(-this.#kept))
        const expected = entry?.revision ?? 'absent'
        const result = await this.#coordinator.put(this.#key, value, { expected })
        if (result.ok) return
      }
    } catch (error) {
      this.#coordinator.runtime.telemetry.log(
        'debug',
        `the history ${this.#key} was not written: ${String(error)}`,
      )
    }
  }
}

/** What has happened, oldest first; nothing if that cannot be read. */
export function happeningsIn(value: string | undefined): readonly object[] {
  if (value === undefined) return []
  try {
    const happenings: unknown = JSON.parse(value)
    return Array.isArray(happenings)
      ? happenings.filter((each): each is object => typeof each === 'object' && each !== null)
      : []
  } catch {
    return []
  }
}
