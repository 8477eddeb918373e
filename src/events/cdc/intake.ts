import { eventError } from '../errors.js'
import type { NewEvent, StreamAppend } from '../log.js'
import type { RowChange } from './change.js'
import type { CaptureInstruments } from './instruments.js'
import { eventsOf, streamOf, type Binding } from './mapping.js'
import { keyText, type ParkedData, type Parking } from './parking.js'
import { isRefusal, type CaptureState, type StateStream } from './state.js'

/** About how much a commit of the log holds, in bytes of what came from the source. */
const COMMIT_BYTES = 4 * 1024 * 1024
/** A row may become many events. */
const COMMIT_EVENTS = 2000

const BEHIND = 'waits behind a parked row'

/** A change on its way into the log. */
interface Item {
  readonly binding: Binding
  readonly change: RowChange
  readonly stream: string
  readonly events: readonly NewEvent[]
  /** Set aside instead of being appended. */
  parked: ParkedData | undefined
}

/**
 * Where changes become events and wait to be appended together. What cannot become one is parked, and what comes behind it for
 * the same stream, too.
 */
export class Intake {
  readonly #name: string
  readonly #batch: number
  readonly #maxParked: number
  readonly #state: StateStream
  readonly #parking: Parking
  readonly #instruments: CaptureInstruments
  /** Of transactions that are complete. */
  #items: Item[] = []
  /** Of the one that is coming in. */
  #open: Item[] = []
  #bytes = 0
  #events = 0

  constructor(
    settings: { readonly name: string; readonly batch: number; readonly maxParked: number },
    state: StateStream,
    parking: Parking,
    instruments: CaptureInstruments,
  ) {
    this.#name = settings.name
    this.#batch = settings.batch
    this.#maxParked = settings.maxParked
    this.#state = state
    this.#parking = parking
    this.#instruments = instruments
  }

  /** Changes of complete transactions. */
  get complete(): number {
    return this.#items.length
  }

  get open(): number {
    return this.#open.length
  }

  get isFull(): boolean {
    return (
      this.#items.length + this.#open.length >= this.#batch ||
      this.#bytes >= COMMIT_BYTES ||
      this.#events >= COMMIT_EVENTS ||
      // What is parked is in the log before somebody is to look at it.
      (this.#parking.coming > 0 && this.#parking.rows + this.#parking.coming >= this.#maxParked)
    )
  }

  /** When the first of what waits was committed at the source, in ms since the epoch. */
  get oldest(): number | undefined {
    return (this.#items[0] ?? this.#open[0])?.change.committed
  }

  /**
   * Takes a change.
   *
   * @param problem - why its key cannot be told, if it cannot
   */
  add(binding: Binding, change: RowChange, bytes: number, problem?: string): void {
    const item = this.#itemOf(binding, change, problem)
    this.#open.push(item)
    this.#bytes += bytes
    this.#events += item.events.length
  }

  /** The transaction that was coming in is complete. */
  finish(): void {
    if (this.#items.length === 0) this.#items = this.#open
    else this.#items.push(...this.#open)
    this.#open = []
  }

  /**
   * Appends what is complete, with where that brings the capture.
   *
   * @param extra - an event of a topic, behind everything
   */
  async flush(next: CaptureState, extra: readonly StreamAppend[] = []): Promise<void> {
    const items = this.#items
    if (items.some(({ parked }) => parked)) await this.#parking.keep()
    for (;;)
      try {
        await this.#state.commit(this.#streamsOf(items, extra), next)
        break
      } catch (error) {
        if (!isRefusal(error) || !(await this.#parkRefused(items))) throw error
        await this.#parking.keep()
      }
    this.#parking.arrived(this.#open.filter(({ parked }) => parked).length)
    this.#items = []
    this.#bytes = 0
    this.#events = this.#open.reduce((sum, { events }) => sum + events.length, 0)
    for (const { binding, change } of items) this.#instruments.captured(binding.name, change)
  }

  #itemOf(binding: Binding, change: RowChange, problem: string | undefined): Item {
    const { topic } = binding
    const stream = problem === undefined ? streamOf(topic, change.key) : topic
    const item: Item = { binding, change, stream, events: [], parked: undefined }
    const lane = this.#parking.laneOf(topic, problem === undefined ? stream : undefined)
    if (lane !== undefined && (problem === undefined || lane !== topic))
      return this.#parked(item, lane, BEHIND)
    if (problem !== undefined) return this.#parked(item, topic, problem)
    try {
      return { ...item, events: eventsOf(this.#name, binding, change) }
    } catch (error) {
      return this.#parked(item, stream, `map has failed: ${messageOf(error)}`)
    }
  }

  /** @throws `BANYAN_TOO_MANY_PARKED` */
  #parked(item: Item, stream: string, error: string): Item {
    const { name: table } = item.binding
    if (this.#parking.rows >= this.#maxParked)
      throw eventError(
        'BANYAN_TOO_MANY_PARKED',
        `capture ${this.#name} has parked ${this.#parking.rows} rows (maxParked); the last: ${table}, ${error}. ` +
          'It goes on when they are mended and retried: mend `map`, then `banyan cdc retry` or retryParked(). The server keeps its write-ahead log until then',
      )
    item.parked = { stream, table, error, change: item.change }
    this.#parking.park(item.parked)
    this.#instruments.parked(table, `${keyText(item.change.key)}: ${error}`)
    return item
  }

  /** Finds out which rows the log does not take, and parks them. */
  async #parkRefused(items: readonly Item[]): Promise<boolean> {
    const refused = new Set<string>()
    for (const item of items) {
      const { stream, events } = item
      if (item.parked || events.length === 0) continue
      if (refused.has(stream)) {
        this.#parked(item, stream, BEHIND)
        continue
      }
      const refusal = await this.#state.probe([{ stream, events }])
      if (!refusal) continue
      refused.add(stream)
      this.#parked(item, stream, `the log does not take it: ${refusal.message}`)
    }
    return refused.size > 0
  }

  #streamsOf(items: readonly Item[], extra: readonly StreamAppend[]): StreamAppend[] {
    const streams = new Map<string, NewEvent[]>()
    const add = (stream: string, events: readonly NewEvent[]): void => {
      const known = streams.get(stream)
      if (known) known.push(...events)
      else if (events.length > 0) streams.set(stream, [...events])
    }
    for (const { stream, events, parked } of items)
      if (parked) add(this.#parking.stream, [this.#parking.event(parked)])
      else add(stream, events)
    for (const { stream, events } of extra) add(stream, events)
    return Array.from(streams, ([stream, events]) => ({ stream, events }))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
