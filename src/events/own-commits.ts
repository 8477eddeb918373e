import type { Clock } from '../core/clock.js'
import type { EncodedCommit, EncodedStream, Outcome } from './driver.js'
import type { Position } from './log.js'
import { formatPosition, parsePosition } from './position.js'
import { isSelected, type Part } from './query.js'

/** So many are remembered: who is further behind reads pages anyway. */
const MOST_COMMITS = 1024
/** For so long, in ms: followers are woken at once, and a server that has lost what it acknowledged, as a standby that is promoted may, gives positions anew. */
const REMEMBERED_MS = 1000
/** Larger commits are not kept in memory for that. */
const MOST_BYTES = 16 * 1024

interface Passable {
  readonly end: Position
  readonly at: number
  readonly streams: readonly EncodedStream[]
}

/**
 * What this process has appended last. All followers are woken when something was appended, and most select nothing of
 * it: those that stand right before a commit of this process can pass it without asking the engine.
 */
export class OwnCommits {
  readonly #clock: Clock
  readonly #byStart = new Map<Position, Passable>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param outcome - of a driver whose positions are consecutive */
  add(commit: EncodedCommit, outcome: Outcome): void {
    if (outcome.kind !== 'appended' || outcome.duplicate || outcome.position === undefined) return
    if (commit.events === 0 || commit.bytes > MOST_BYTES) return
    const { position: end } = outcome
    const start = formatPosition(parsePosition(end) - commit.events)
    this.#byStart.set(start, { end, at: this.#clock.now(), streams: commit.streams })
    if (this.#byStart.size > MOST_COMMITS) this.#byStart.delete(this.#byStart.keys().next().value!)
  }

  /** The position up to which a follower that has reached another one knows that there is nothing for it. */
  passed(part: Part, position: Position): Position {
    const since = this.#clock.now() - REMEMBERED_MS
    for (let reached = position; ;) {
      const commit = this.#byStart.get(reached)
      if (!commit || commit.at < since || isSelectedOf(commit.streams, part)) return reached
      reached = commit.end
    }
  }
}

/** Whether anything of a commit is selected. */
function isSelectedOf(streams: readonly EncodedStream[], part: Part): boolean {
  for (const { stream, category, events } of streams) {
    if (part.category !== undefined && part.category !== category) continue
    for (const { type, tags } of events) if (isSelected(part, { stream, type, tags })) return true
  }
  return false
}
