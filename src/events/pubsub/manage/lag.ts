import type { EventLog, RecordedEvent, Selector } from '../../log.js'
import { partitionOf, routeOf } from '../engine/route.js'
import { laneName } from '../lanes/lane.js'
import type { LaneRecord } from '../ledger/state.js'
import { settingsOf, type Settings } from '../options.js'
import type { SubscriptionDescription } from './description.js'
import { leastCursor, type Picture } from './picture.js'

/** A number that was counted up to a limit. */
export interface Counted {
  readonly count: number
  /** False: counting ended before the end, and there may be more. */
  readonly isComplete: boolean
}

/** What waits to be handled. */
export interface Lag {
  /** Messages that wait; not those that a parked lane holds back. */
  readonly waiting: Counted
  /** When the oldest of them was appended, ms since the epoch; undefined if none waits. */
  readonly oldest: number | undefined
}

/** Events that are looked at for each that may be counted: most of them may be done. */
const LOOKS = 10
/** Lanes whose messages are read one lane after the other. */
const LANES = 100

/**
 * Counts what waits. It is read from the log itself, so it needs no process that runs the subscription; what a `where` or
 * `key` function decides only such a process knows, and then it is the most that may wait.
 */
export class LagCount {
  readonly #log: EventLog
  readonly #picture: Picture
  readonly #settings: Settings
  readonly #byStream: boolean
  readonly #signal: { signal?: AbortSignal }
  /** Records of lanes that were found to have nothing: they go with the next step of whoever works on them. */
  readonly idle = new Set<LaneRecord>()

  constructor(
    log: EventLog,
    picture: Picture,
    description: SubscriptionDescription | undefined,
    signal?: AbortSignal,
  ) {
    const { name, group } = picture
    const { types, tags, key } = description ?? {}
    this.#log = log
    this.#picture = picture
    const { topic } = group
    const settings = settingsOf({ name, topic: '*', ...(types && { types }), ...(tags && { tags }) })
    // That of a pattern may be in a category of Banyan's own, which is no topic for anybody else.
    const selector = { ...settings.selector, ...(topic !== '*' && { category: topic }) }
    this.#settings = { ...settings, topic, selector, assignment: group.terms?.assignment }
    this.#byStream = key !== 'function'
    this.#signal = signal ? { signal } : {}
  }

  /** @param limit - how far to count */
  async lag(limit: number): Promise<Lag> {
    const { waiting, oldest } = await this.#behindCursor(limit)
    let { count, isComplete } = waiting
    let first = oldest
    if (count < limit && isComplete) {
      const ahead = await this.#beyondCursor(limit - count)
      count += ahead.waiting.count
      isComplete = ahead.waiting.isComplete
      if (first === undefined || (ahead.oldest ?? Infinity) < first) first = ahead.oldest
    }
    return { waiting: { count, isComplete }, oldest: first }
  }

  /**
   * How many messages wait behind the one that has failed; undefined if only processes know.
   *
   * @param limit - how far to count
   */
  async heldBack({ key, head }: LaneRecord, limit: number): Promise<Counted | undefined> {
    if (key === undefined) return { count: 0, isComplete: true }
    if (!this.#byStream || !head) return undefined
    const { waiting } = await this.#count(this.#ofStream(key), { from: head.position }, limit, () => true)
    return waiting
  }

  /** Messages that cursors have passed, as a record of their lane says that they are not settled. */
  async #behindCursor(limit: number): Promise<Lag> {
    let count = 0
    let oldest: number | undefined
    let lanes = 0
    for (const { cursor, lanes: records } of this.#picture.ledgers)
      for (const record of records.values()) {
        const { state, key, head, after } = record
        if (state === 'parked') continue
        if (count >= limit || lanes === LANES) return { waiting: { count, isComplete: false }, oldest }
        const isDone = key === undefined ? !head : after >= cursor
        if (isDone && state === 'behind') this.idle.add(record)
        if (key === undefined || !this.#byStream) {
          if (!head || head.position > cursor) continue
          count++
          oldest = Math.min(oldest ?? Infinity, head.recorded)
          continue
        }
        if (isDone) continue
        lanes++
        const part = { from: after, to: cursor }
        const { waiting, oldest: first } = await this.#count(
          this.#ofStream(key),
          part,
          limit - count,
          () => true,
        )
        if (waiting.count === 0 && state === 'behind') this.idle.add(record)
        count += waiting.count
        if (first !== undefined) oldest = Math.min(oldest ?? Infinity, first)
      }
    return { waiting: { count, isComplete: count < limit }, oldest }
  }

  #beyondCursor(limit: number): Promise<Lag> {
    const part = { from: leastCursor(this.#picture) }
    return this.#count(this.#settings.selector, part, limit, (event) => this.#waits(event))
  }

  /** Whether an event that some cursor has not passed waits. */
  #waits(event: RecordedEvent): boolean {
    const { ledgers } = this.#picture
    const { position } = event
    const route = routeOf(event, this.#settings)
    if (!route) return false
    if (!this.#byStream) return !ledgers.some(({ settled }) => settled.has(position))
    const { cursor, settled, lanes } =
      ledgers[partitionOf(route.key ?? event.id, ledgers.length, this.#settings)]!
    if (position <= cursor || settled.has(position)) return false
    const record = lanes.get(laneName(route.key, position))
    return record === undefined || (record.state !== 'parked' && position > record.after)
  }

  #ofStream(stream: string): Selector {
    const { types, tags } = this.#settings.selector
    return { stream, ...(types && { types }), ...(tags && { tags }) }
  }

  async #count(
    selector: Selector,
    part: { from: string; to?: string },
    limit: number,
    counts: (event: RecordedEvent) => boolean,
  ): Promise<Lag> {
    const most = limit * LOOKS
    let count = 0
    let looked = 0
    let oldest: number | undefined
    const options = { ...part, ...this.#signal, limit: most, faults: 'give' as const }
    for await (const event of this.#log.read(selector, options)) {
      looked++
      if (!counts(event)) continue
      oldest ??= event.recorded
      if (++count === limit) break
    }
    return { waiting: { count, isComplete: count < limit && looked < most }, oldest }
  }
}
