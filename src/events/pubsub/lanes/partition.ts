import type { Clock } from '../../../core/clock.js'
import type { Position, RecordedEvent } from '../../log.js'
import {
  redrive,
  skip,
  type Kept,
  type LaneRecord,
  type LedgerState,
  type Progress,
} from '../ledger/state.js'
import { Fifo } from './fifo.js'
import { Lane, laneName, type Entry } from './lane.js'

/** What becomes of a message that was not handled. */
export interface Failure {
  readonly reason: string
  /** Whether this was another try. Default true. */
  readonly isTry?: boolean
  /** When it is tried again, ms from now; or it is parked, alone or with all that follow in its lane. */
  readonly then: number | 'park-key' | 'park-message'
}

/** A message as it was read. */
export interface LogMessage {
  readonly event: RecordedEvent
  /** All messages of its lane up to here come before it. */
  readonly before: Position
  /** Why it cannot be delivered. */
  readonly fault: string | undefined
}

/** Who looks after the lanes. */
export interface LaneKeeper {
  /** A lane has a message that may be delivered. */
  ready(lane: Lane): void
  /** The messages of a lane are to be read from the log. */
  hungry(lane: Lane): void
}

/**
 * The lanes of one partition, and how far they are. Knows no I/O: it is offered messages in the order of the log, says
 * which lanes are ready, is told what became of each message, and says what has to be written.
 *
 * A message that waits for its lane must not keep the cursor, or one key would keep the log from being shortened, and
 * memory from being freed: such a lane gets a record that says from where on it is not settled.
 */
export class Partition {
  readonly #clock: Clock
  readonly #keeper: LaneKeeper
  readonly #lanes = new Map<string, Lane>()
  /** Messages that the cursor has not passed, in their order. */
  readonly #open = new Fifo<Entry>()
  /** Beyond the cursor, and written. */
  readonly #settled: Set<Position>
  /** Were in flight when an owner ended without a word; so often alone. */
  readonly #started: Map<Position, number>
  /** Of messages in flight, counting this time if they are alone. */
  readonly #marks = new Map<Position, number>()
  /** Lanes whose record may not be needed any more. */
  readonly #fading = new Set<Lane>()
  #fetched: Position
  #cursor: Position
  #held = 0
  #stalled = 0
  #newlySettled: Position[] = []
  #newMarks = new Map<Position, number>()
  #unstarted: Position[] = []
  #dirty = new Set<Lane>()
  #gone: string[] = []
  #isTouched = false

  constructor(state: LedgerState, clock: Clock, keeper: LaneKeeper) {
    this.#clock = clock
    this.#keeper = keeper
    this.#cursor = this.#fetched = state.cursor
    this.#settled = new Set(state.settled)
    this.#started = new Map(state.started)
    for (const record of state.lanes.values()) {
      const lane = new Lane(record.lane, record.key)
      lane.record = { ...record }
      lane.isBehind = true
      this.#stalled++
      this.#lanes.set(lane.name, lane)
    }
  }

  /** Lanes that were stalled go on. */
  begin(): void {
    for (const lane of this.#lanes.values())
      if (lane.record?.state === 'retrying') this.#wait(lane)
      else this.#goOn(lane)
  }

  /** Forgets everything that waits. */
  end(): void {
    for (const { timer } of this.#lanes.values()) timer?.cancel()
    this.#lanes.clear()
  }

  /** Everything up to here has been offered. */
  get fetched(): Position {
    return this.#fetched
  }

  /** Everything up to here is settled, or belongs to a lane that has a record. */
  get cursor(): Position {
    return this.#cursor
  }

  /** Messages in memory that are not settled for good. */
  get held(): number {
    return this.#held + this.#newlySettled.length
  }

  /** Lanes that have a record. */
  get stalled(): number {
    return this.#stalled
  }

  /**
   * A message of this partition.
   *
   * @param fault - why it cannot be delivered
   */
  offer(event: RecordedEvent, key: string | undefined, fault?: string): void {
    const { position } = event
    const before = this.#fetched
    if (position <= before) return
    this.#fetched = position
    if (this.#settled.has(position)) return
    const name = laneName(key, position)
    let lane = this.#lanes.get(name)
    if (!lane) this.#lanes.set(name, (lane = new Lane(name, key)))
    if (lane.record && position <= lane.record.after) return
    if (lane.isBehind) lane.hasMissed = true
    else this.#enqueue(lane, { event, before, fault })
  }

  /** Everything up to here has been offered. */
  reached(position: Position): void {
    if (position > this.#fetched) this.#fetched = position
    this.#advance()
  }

  /** A hungry lane is about to be read. */
  feeding(lane: Lane): void {
    lane.hasMissed = false
  }

  /** What was read for a hungry lane, and whether there is more behind it. */
  fed(lane: Lane, messages: readonly LogMessage[], isMore: boolean): void {
    lane.isHungry = false
    if (this.#lanes.get(lane.name) !== lane) return
    for (const message of messages) this.#enqueue(lane, message)
    lane.isBehind = isMore || lane.hasMissed
    this.#goOn(lane)
  }

  /** The next message of a lane that was ready, now in flight; undefined if it is not ready any more. */
  take(lane: Lane): Entry | undefined {
    lane.isListed = false
    if (!lane.isFree) return undefined
    const entry = lane.queue.peek()
    if (entry) lane.isBusy = true
    return entry
  }

  /** The next message of a lane that was ready, without taking it. */
  peek(lane: Lane): Entry | undefined {
    return lane.isFree ? lane.queue.peek() : undefined
  }

  /** How often the process has ended while a message was handled alone; undefined if it is not suspected of that. */
  crashesOf({ event }: Entry): number | undefined {
    return this.#started.get(event.position)
  }

  /** How often a message was tried before. */
  attemptsOf({ lane, event }: Entry): number {
    return (lane.record?.attempts ?? 0) + (this.#started.get(event.position) ?? 0)
  }

  /**
   * A message is about to be handled; once that is written it is known, should this end the process.
   *
   * @param isAlone - no other one is: then it counts
   */
  mark({ event: { position } }: Entry, isAlone: boolean): void {
    const count = (this.#started.get(position) ?? 0) + (isAlone ? 1 : 0)
    this.#marks.set(position, count)
    this.#newMarks.set(position, count)
  }

  /** A message has not ended the process, whatever else became of it. */
  acquit({ event: { position } }: Entry): void {
    const isKnown = this.#started.delete(position)
    this.#newMarks.delete(position)
    if (this.#marks.delete(position) || isKnown) this.#unstarted.push(position)
  }

  /** Nothing is in flight any more. What it was suspected of before, it still is. */
  rest(): void {
    for (const position of [...this.#marks.keys()]) this.#unmark(position)
  }

  /** A message is done with. */
  settle(entry: Entry): void {
    this.acknowledge(entry)
    this.free(entry)
  }

  /** A message will not be delivered again, but its lane does not go on yet. */
  acknowledge(entry: Entry): void {
    const { lane, event } = entry
    this.#leave(entry)
    entry.before = event.position
    if (lane.record) this.#progressed(lane, lane.record, event.position)
    this.#newlySettled.push(event.position)
    this.#advance()
  }

  /** The lane of a message that was acknowledged goes on. */
  free({ lane }: Entry): void {
    this.#held--
    lane.queue.shift()
    lane.isBusy = false
    this.#goOn(lane)
  }

  /** A message was not handled. */
  fail(entry: Entry, { reason, then, isTry = true }: Failure): void {
    const { lane, event } = entry
    const attempts = this.attemptsOf(entry) + (isTry ? 1 : 0)
    const failed = this.#clock.wall()
    const { id, type, stream, revision, position, recorded } = event
    const head = { id, type, stream, revision, position, recorded }
    if (then === 'park-message' && lane.key !== undefined) {
      const aside = new Lane(laneName(undefined, position), undefined)
      const { before: after } = entry
      aside.record = { lane: aside.name, state: 'parked', after, head, attempts, reason, failed }
      aside.isBehind = true
      this.#lanes.set(aside.name, aside)
      this.#stalled++
      this.#dirty.add(aside)
      this.settle(entry)
      return
    }
    this.#leave(entry)
    entry.releases = 0
    lane.isBusy = false
    const record = this.#recordOf(lane)
    Object.assign(record, { head, attempts, reason, failed })
    if (typeof then === 'number') {
      record.state = 'retrying'
      record.due = failed + then
      this.#wait(lane)
    } else {
      record.state = 'parked'
      delete record.due
      this.#forget(lane)
    }
    this.#dirty.add(lane)
    this.#advance()
  }

  /** Nobody has begun with a message: it is next again. */
  putBack(entry: Entry): void {
    const { position } = entry.event
    entry.releases++
    entry.lane.isBusy = false
    this.#unmark(position)
    this.#goOn(entry.lane)
  }

  /**
   * Makes room: what waits to be tried again is read anew when its time has come, and of the longest lane only the first
   * message stays.
   *
   * @returns whether there was anything to let go
   */
  spill(): boolean {
    let longest: Lane | undefined
    const held = this.#held
    for (const lane of this.#lanes.values())
      if (lane.record?.state === 'retrying') this.#forget(lane)
      else if (lane.queue.length > Math.max(1, longest?.queue.length ?? 0)) longest = lane
    if (this.#held === held && longest) {
      this.#recordOf(longest)
      this.#dirty.add(longest)
      const first = longest.queue.peek()!
      this.#forget(longest)
      longest.queue.push(first)
      this.#held++
      this.#advance()
    }
    return this.#held < held
  }

  /** Parked lanes go on with the message that failed. */
  redriven(names: readonly string[]): void {
    for (const name of names) {
      const lane = this.#lanes.get(name)
      if (!lane || !redrive(lane.record)) continue
      this.#dirty.add(lane)
      this.#goOn(lane)
    }
  }

  /** A parked lane goes on behind the message that failed. */
  skipped(name: string, position: Position): void {
    const lane = this.#lanes.get(name)
    if (!lane || !skip(lane.record, position)) return
    if (this.#started.delete(position)) this.#unstarted.push(position)
    this.#dirty.add(lane)
    this.#goOn(lane)
  }

  /** The cursor is to be written although nothing was settled. */
  touch(): void {
    this.#isTouched = true
  }

  /** What is to be written; undefined if there is nothing. */
  change(): Progress | undefined {
    for (const lane of this.#fading) this.#fade(lane)
    const cursor = this.#cursor
    const marks = this.#newMarks.size + this.#unstarted.length
    const isNew = this.#newlySettled.length + marks + this.#gone.length + this.#dirty.size > 0
    if (!isNew && !this.#isTouched) return undefined
    for (const position of this.#settled) if (position <= cursor) this.#settled.delete(position)
    const settled = this.#newlySettled.filter((position) => position > cursor)
    for (const position of settled) this.#settled.add(position)
    const lanes = [...this.#dirty].flatMap(({ record }) => (record ? [{ ...record }] : []))
    const gone = this.#gone
    const started = [...this.#newMarks]
    const unstarted = this.#unstarted
    this.#newlySettled = []
    this.#newMarks.clear()
    this.#unstarted = []
    this.#gone = []
    this.#dirty.clear()
    this.#isTouched = false
    return {
      cursor,
      ...(settled.length > 0 && { settled }),
      ...(lanes.length > 0 && { lanes }),
      ...(gone.length > 0 && { gone }),
      ...(started.length > 0 && { started }),
      ...(unstarted.length > 0 && { unstarted }),
    }
  }

  /** Everything, as it is now. */
  everything(): Kept {
    return {
      cursor: this.#cursor,
      settled: [...this.#settled].filter((position) => position > this.#cursor),
      started: [...new Map([...this.#started, ...this.#marks])],
      lanes: [...this.records()],
    }
  }

  /** Copies of the records of lanes. */
  *records(): Generator<LaneRecord> {
    for (const { record } of this.#lanes.values()) if (record) yield { ...record }
  }

  #enqueue(lane: Lane, { event, before, fault }: LogMessage): void {
    const entry: Entry = { event, lane, before, fault, passed: lane.record !== undefined, releases: 0 }
    lane.queue.push(entry)
    this.#held++
    if (!entry.passed) this.#open.push(entry)
    this.#goOn(lane)
  }

  /** The first message of a lane is not tried any more. */
  #leave(entry: Entry): void {
    this.acquit(entry)
    entry.passed = true
  }

  /** It was written down as begun, and is not any more. */
  #unmark(position: Position): void {
    if (!this.#marks.delete(position)) return
    const before = this.#started.get(position)
    if (before === undefined) {
      this.#newMarks.delete(position)
      this.#unstarted.push(position)
    } else this.#newMarks.set(position, before)
  }

  #progressed(lane: Lane, record: LaneRecord, position: Position): void {
    record.after = position
    record.state = 'behind'
    record.attempts = 0
    delete record.head
    delete record.due
    delete record.reason
    delete record.failed
    this.#dirty.add(lane)
  }

  /** The record of a lane; a new one says that all its messages in memory are not settled. */
  #recordOf(lane: Lane): LaneRecord {
    if (lane.record) return lane.record
    const after = lane.queue.peek()!.before
    lane.record = {
      lane: lane.name,
      ...(lane.key !== undefined && { key: lane.key }),
      state: 'behind',
      after,
      attempts: 0,
    }
    this.#stalled++
    for (const entry of lane.queue) entry.passed = true
    return lane.record
  }

  /** Until it is time to try again. */
  #wait(lane: Lane): void {
    const record = lane.record!
    const delay = Math.max(0, record.due! - this.#clock.wall())
    lane.timer = this.#clock.schedule(this.#clock.now() + delay, () => {
      lane.timer = undefined
      record.state = 'behind'
      this.#goOn(lane)
    })
  }

  #forget(lane: Lane): void {
    this.#held -= lane.queue.length
    lane.queue.clear()
    lane.isBehind = true
  }

  #goOn(lane: Lane): void {
    if (!lane.isFree) return
    if (lane.queue.length > 0) {
      if (lane.isListed) return
      lane.isListed = true
      this.#keeper.ready(lane)
    } else if (lane.isBehind) {
      if (lane.isHungry) return
      lane.isHungry = true
      this.#keeper.hungry(lane)
    } else if (lane.record) this.#fading.add(lane)
    else this.#lanes.delete(lane.name)
  }

  /** A record is needed until the cursor has passed everything that it says is settled. */
  #fade(lane: Lane): void {
    const isIdle = lane.isFree && lane.queue.length === 0 && !lane.isBehind
    if (isIdle && lane.record && lane.record.after > this.#cursor) return
    this.#fading.delete(lane)
    if (!isIdle || !lane.record) return
    this.#lanes.delete(lane.name)
    this.#dirty.delete(lane)
    this.#stalled--
    this.#gone.push(lane.name)
  }

  #advance(): void {
    while (this.#open.peek()?.passed) this.#open.shift()
    this.#cursor = this.#open.peek()?.before ?? this.#fetched
  }
}
