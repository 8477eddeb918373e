import type { EventLog, NewEvent, Position } from '../log.js'
import { categoryOf } from '../names.js'
import type { RowChange } from './change.js'
import type { Row } from './source.js'
import { stateStreamOf } from './state.js'

/** Which parked rows are meant: one by its id, or all of a key. */
export type ParkedSelection =
  | { readonly id: string }
  /** @param table - as configured; `key` - its columns, as {@link RowChange.key} has them */
  | { readonly table: string; readonly key: Row }

/** A change whose events could not be made or appended, or that waits behind one. */
export interface ParkedChange {
  /** Of no other that this capture has parked, nor will. */
  readonly id: string
  /** Its place in the log: rows are retried in this order. */
  readonly position: Position
  /** The stream that waits for it; the topic alone, if its key cannot be told. */
  readonly stream: string
  /** As configured. */
  readonly table: string
  /** Why it was parked. */
  readonly error: string
  readonly change: RowChange
}

/** What the log has of it. */
export interface ParkedData {
  readonly stream: string
  readonly table: string
  readonly error: string
  readonly change: RowChange
}

const PARKED = 'RowParked'
const RELEASED = 'RowReleased'
const DISCARDED = 'RowsDiscarded'
/** One event says of so many rows that they were discarded. */
const DISCARDED_AT_ONCE = 1000

/** Rows that wait for one stream. */
interface Lane {
  rows: number
  /** The newest of them. */
  last: RowChange
}

/** Rows that are let go without being taken. */
export interface Dropped {
  /** What is appended for it. */
  readonly events: readonly NewEvent[]
  /** How many of each table. */
  readonly tables: ReadonlyMap<string, number>
  /** Those that had waited for them. */
  readonly streams: ReadonlySet<string>
}

/**
 * Rows that were set aside, in a stream beside the state: a row that cannot be taken holds up those behind it that belong to
 * the same stream, and nothing else.
 */
export class Parking {
  readonly stream: string
  readonly #log: EventLog
  readonly #hold: string
  #lanes = new Map<string, Lane>()
  #rows = 0
  /** Of them, those that are not appended yet. */
  #coming = 0
  #isKept = false

  private constructor(name: string, log: EventLog) {
    this.stream = `${stateStreamOf(name)}-parked`
    this.#log = log
    this.#hold = `cdc-${name}`
  }

  static async load(name: string, log: EventLog): Promise<Parking> {
    const parking = new Parking(name, log)
    for await (const row of parking.list()) parking.#add(row)
    parking.#isKept = parking.#rows > 0
    return parking
  }

  /** Rows that are in the log. */
  get rows(): number {
    return this.#rows - this.#coming
  }

  /** Rows that are about to be. */
  get coming(): number {
    return this.#coming
  }

  get lanes(): number {
    return this.#lanes.size
  }

  /** Which lane a stream waits in, if it does: its own, or that of its whole topic. */
  laneOf(topic: string, stream: string | undefined): string | undefined {
    if (stream === undefined || this.#lanes.has(topic)) return topic
    return this.#lanes.has(stream) ? stream : undefined
  }

  /** The newest change that waits for a stream. */
  lastOf(stream: string): RowChange | undefined {
    return this.#lanes.get(stream)?.last
  }

  /** Streams of rows of a topic that wait. */
  *waiting(topic: string): Generator<{ stream: string; last: RowChange }> {
    for (const [stream, { last }] of this.#lanes)
      if (stream !== topic && categoryOf(stream) === topic) yield { stream, last }
  }

  /** Counts a row that is about to be appended, see {@link Parking.event}. */
  park(data: ParkedData): void {
    this.#coming++
    this.#add(data)
  }

  /** What was about to be appended is, but for so many rows. */
  arrived(coming: number): void {
    this.#coming = coming
  }

  /** What is appended for it. */
  event(data: ParkedData): NewEvent {
    return { type: PARKED, data }
  }

  /** What is appended when a row has gone where it belongs. */
  release(revision: number): NewEvent {
    return { type: RELEASED, data: { revision } }
  }

  /** A row was let go. */
  released(stream: string): void {
    const lane = this.#lanes.get(stream)
    if (!lane) return
    this.#rows--
    lane.rows--
    if (lane.rows === 0) this.#lanes.delete(stream)
  }

  /** What waits, in order. */
  async *list(): AsyncGenerator<ParkedChange & { revision: number }, void, undefined> {
    const gone = await this.#gone()
    for await (const event of this.#log.read({ stream: this.stream, types: [PARKED] })) {
      const { position, revision } = event
      if (!gone.has(revision))
        yield { id: String(revision), position, revision, ...(event.data as ParkedData) }
    }
  }

  /** Lets rows go without taking them. Everything that was parked must be in the log. */
  async drop(isMeant: (row: ParkedChange) => boolean): Promise<Dropped> {
    const revisions: number[] = []
    const tables = new Map<string, number>()
    const streams = new Set<string>()
    this.#lanes = new Map()
    this.#rows = 0
    for await (const row of this.list())
      if (isMeant(row)) {
        revisions.push(row.revision)
        tables.set(row.table, (tables.get(row.table) ?? 0) + 1)
        streams.add(row.stream)
      } else this.#add(row)
    const events: NewEvent[] = []
    for (let at = 0; at < revisions.length; at += DISCARDED_AT_ONCE)
      events.push({ type: DISCARDED, data: { revisions: revisions.slice(at, at + DISCARDED_AT_ONCE) } })
    return { events, tables, streams }
  }

  /** Keeps what is about to be parked from being truncated with the rest of the log. */
  async keep(): Promise<void> {
    if (this.#isKept) return
    this.#isKept = true
    await this.#log.hold(this.#hold, await this.#log.head())
  }

  /** Forgets what was released or discarded, once nothing waits any more. */
  async tidy(): Promise<void> {
    if (this.#rows > 0) return
    const revision = await this.#log.revision(this.stream)
    if (revision === 'none') return
    await this.#log.truncate({ stream: this.stream, beforeRevision: revision + 1, forget: true })
    await this.#log.release(this.#hold)
    this.#isKept = false
  }

  /** Forgets everything that waits. */
  async forget(): Promise<void> {
    this.#lanes.clear()
    this.#rows = 0
    await this.tidy()
  }

  /** Revisions of rows that do not wait any more. */
  async #gone(): Promise<Set<number>> {
    const gone = new Set<number>()
    for await (const { type, data } of this.#log.read({ stream: this.stream, types: [RELEASED, DISCARDED] }))
      if (type === RELEASED) gone.add((data as { revision: number }).revision)
      else for (const revision of (data as { revisions: number[] }).revisions) gone.add(revision)
    return gone
  }

  #add({ stream, change }: ParkedData): void {
    this.#rows++
    const lane = this.#lanes.get(stream)
    if (lane) {
      lane.rows++
      lane.last = change
    } else this.#lanes.set(stream, { rows: 1, last: change })
  }
}

/** A key for people. */
export function keyText(key: Row): string {
  return Object.entries(key)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
    .join(', ')
}
