import type { Position, RecordedEvent } from '../../log.js'
import { START } from '../../position.js'

/**
 * What is known of a lane that does not simply go on: its messages up to `after` are settled, all behind it are not,
 * wherever the cursor is.
 */
export interface LaneRecord {
  /** Name of the lane: its key, or `@position` of a message without a key. */
  readonly lane: string
  readonly key?: string
  /** `behind`: its messages are read from the log when its turn comes; `retrying`: at `due`; `parked`: not by itself. */
  state: 'behind' | 'retrying' | 'parked'
  after: Position
  /** The message that failed. */
  head?: Head
  /** How often it was tried without success. */
  attempts: number
  /** When it is tried again, ms since the epoch. */
  due?: number
  /** Why it failed the last time. */
  reason?: string
  /** When it failed the last time, ms since the epoch. */
  failed?: number
}

/** Where a message is. */
export interface Head {
  readonly id: string
  readonly type: string
  readonly stream: string
  readonly revision: number
  readonly position: Position
  readonly recorded: number
}

/** What a step has changed. */
export interface Progress {
  /** Everything up to here is settled, or belongs to a lane that has a record. */
  readonly cursor: Position
  /** Settled beyond the cursor. */
  readonly settled?: readonly Position[]
  readonly lanes?: readonly LaneRecord[]
  /** Lanes whose records are not needed any more. */
  readonly gone?: readonly string[]
  /**
   * About to be handled. Should the process end before they do, each is suspected of that; the number says how often it was
   * in flight alone then, counting this time if it is.
   */
  readonly started?: readonly (readonly [Position, number])[]
  /** Not begun, or ended: not suspected of anything. */
  readonly unstarted?: readonly Position[]
}

/** Everything, in place of all steps before it. */
export interface Kept extends Progress {
  readonly owner?: string
}

/** What stands in the stream of a ledger. */
export type LedgerEvent =
  | { type: 'Claimed'; data: { owner: string } }
  | { type: 'Released'; data: { owner: string } }
  | { type: 'Progressed'; data: Progress }
  | { type: 'Kept'; data: Kept }
  | { type: 'Sought'; data: { to: Position } }
  | { type: 'Redriven'; data: { lanes: readonly string[] } }
  | { type: 'Skipped'; data: { lane: string; position: Position } }

/** How far a partition of a subscription is, made of the events of its ledger. */
export class LedgerState {
  /** Who works on it; undefined if it was released. */
  owner: string | undefined
  cursor: Position
  readonly settled = new Set<Position>()
  readonly lanes = new Map<string, LaneRecord>()
  readonly started = new Map<Position, number>()
  /** The last event that is in it. */
  revision: number | 'none' = 'none'

  /** @param from - where the subscription begins */
  constructor(from: Position = START) {
    this.cursor = from
  }

  apply(event: LedgerEvent & Pick<RecordedEvent, 'revision'>): void {
    this.revision = event.revision
    switch (event.type) {
      case 'Claimed':
        this.owner = event.data.owner
        return
      case 'Released':
        this.owner = undefined
        return
      case 'Kept':
        this.owner = event.data.owner
        this.settled.clear()
        this.lanes.clear()
        this.started.clear()
        this.#progress(event.data)
        return
      case 'Progressed':
        this.#progress(event.data)
        return
      case 'Sought':
        this.#seek(event.data.to)
        return
      case 'Redriven':
        for (const lane of event.data.lanes) redrive(this.lanes.get(lane))
        return
      case 'Skipped':
        skip(this.lanes.get(event.data.lane), event.data.position)
    }
  }

  #progress({ cursor, settled = [], lanes = [], gone = [], started = [], unstarted = [] }: Progress): void {
    if (cursor !== this.cursor) {
      this.cursor = cursor
      for (const position of this.settled) if (position <= cursor) this.settled.delete(position)
    }
    for (const position of settled) {
      this.settled.add(position)
      this.started.delete(position)
    }
    for (const position of unstarted) this.started.delete(position)
    for (const record of lanes) {
      this.lanes.set(record.lane, { ...record })
      // Its attempts are counted there.
      if (record.head) this.started.delete(record.head.position)
    }
    for (const [position, count] of started) this.started.set(position, count)
    for (const lane of gone) this.lanes.delete(lane)
  }

  #seek(to: Position): void {
    this.cursor = to
    this.settled.clear()
    this.started.clear()
    // What comes again needs no record; a dead letter from before stays one.
    for (const [lane, { state, head }] of this.lanes)
      if (state !== 'parked' || !head || head.position > to) this.lanes.delete(lane)
  }
}

/** A parked lane goes on with the message that failed. */
export function redrive(record: LaneRecord | undefined): boolean {
  if (record?.state !== 'parked') return false
  record.state = 'behind'
  record.attempts = 0
  return true
}

/** A parked lane goes on behind the message that failed. */
export function skip(record: LaneRecord | undefined, position: Position): boolean {
  if (record?.state !== 'parked' || record.head?.position !== position) return false
  record.state = 'behind'
  record.attempts = 0
  record.after = position
  delete record.head
  delete record.reason
  return true
}
