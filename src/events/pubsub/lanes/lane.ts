import type { Timer } from '../../../core/clock.js'
import type { Position, RecordedEvent } from '../../log.js'
import type { LaneRecord } from '../ledger/state.js'
import { Fifo } from './fifo.js'

/** A message on its way. */
export interface Entry {
  readonly event: RecordedEvent
  readonly lane: Lane
  /** All messages of its lane up to here come before it. */
  before: Position
  /** Why it cannot be delivered. */
  readonly fault: string | undefined
  /** Whether the cursor may pass it: it is settled, or its lane has a record. */
  passed: boolean
  /** How often in a row it was released. */
  releases: number
  /** It could not be tried alone in time, and is tried along with others. */
  isTriedAlong?: boolean
}

/** The messages of one key, in order, one of them in flight at most. */
export class Lane {
  /** See {@link laneName}. */
  readonly name: string
  readonly key: string | undefined
  /** Its messages in memory; the first is the one in flight, if one is. */
  readonly queue = new Fifo<Entry>()
  isBusy = false
  /** More of its messages follow in the log, behind those in memory. */
  isBehind = false
  /** It is to be read from the log, or is being read. */
  isHungry = false
  /** A message came by while it was being read. */
  hasMissed = false
  /** It stands in the list of those that are ready. */
  isListed = false
  /** If it does not simply go on. */
  record: LaneRecord | undefined
  /** Until it is tried again. */
  timer: Timer | undefined

  constructor(name: string, key: string | undefined) {
    this.name = name
    this.key = key
  }

  /** Nothing keeps its next message, if it has one. */
  get isFree(): boolean {
    return !this.isBusy && (this.record === undefined || this.record.state === 'behind')
  }
}

/**
 * The name of the lane of a message: its key, or `@position` if it has none. A key that begins with `@` gets another one in
 * front, so that it is nobody's position.
 */
export function laneName(key: string | undefined, position: Position): string {
  if (key === undefined) return `@${position}`
  return key.startsWith('@') ? `@${key}` : key
}
