import type { Clock } from '../core/clock.js'
import type { EncodedCommit, Outcome } from './driver.js'
import type { Position } from './log.js'
import { formatPosition, parsePosition } from './position.js'
import { isSelected, type Part } from './query.js'

/** So many are remembered: who is further behind reads pages anyway. */
const MOST_COMMITS = 1024
/** For so long, in ms: followers are woken at once, and a server that has lost what it acknowledged, as a standby that is promoted may, gives positions anew. */
const REMEMBERED_MS = 1000
/** Of a larger commit it is not worth to remember what is in it. */
const MOST_EVENTS = 64

/** What is looked at to know whether a follower selects it. */
interface Shown {
  readonly stream: string
  readonly type: string
  readonly tags: readonly string[]
}

interface Passable {
  readonly end: Position
  readonly at: number
  readonly events: readonly Shown[]
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
    if (commit.events === 0 || commit.events > MOST_EVENTS) return
    const start = formatPosition(parsePosition(outcome.position) - commit.events)
    const events: Shown[] = []
    for (const { stream, events: own } of commit.streams)
      for (const { type, tags } of own) events.push({ stream, type, tags })
    this.#byStart.set(start, { end: outcome.position, at: this.#clock.now(), events })
    if (this.#byStart.size > MOST_COMMITS) this.#byStart.delete(this.#byStart.keys().next().value!)
  }

  /** The position up to which a follower that has reached another one knows that there is nothing for it. */
  passed(part: Part, position: Position): Position {
    const since = this.#clock.now() - REMEMBERED_MS
    for (let reached = position; ;) {
      const commit = this.#byStart.get(reached)
      if (!commit || commit.at < since || commit.events.some((event) => isSelected(part, event)))
        return reached
      reached = commit.end
    }
  }
}
