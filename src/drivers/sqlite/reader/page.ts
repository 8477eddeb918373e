import { isWhole } from '../../../events/checksum.js'
import type { Page, Query, StoredEvent } from '../../../events/driver.js'
import { formatPosition, parsePosition } from '../../../events/position.js'
import type { LogRow } from '../rows.js'
import type { Reader } from './reader.js'
import { COLUMNS, sizeOf, storedEvent, type EventRow } from './row.js'
import { logWithTail } from './tail.js'
import { trailOf, type Segment, type Trail } from './trail.js'

/** Bytes of a page, about, if it has more than one event. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Rows that are taken at a time: the first ones, when nothing is known of them, and the most; and their bytes, about. */
const CHUNK_FIRST = 16
const CHUNK_MOST = 64
const CHUNK_BYTES = 1024 * 1024
/** Events that are looked at for those that a filter selects, before the event loop has its turn. */
const LOOKED_AT = 1000

/**
 * Reads one page, all of it at one moment of the log. It may be empty and not the end: then as many events were looked at
 * as may be in one go.
 *
 * @throws `BANYAN_LOG_CORRUPT` if an event is missing that no truncation has removed
 */
export function readPage(reader: Reader, query: Query): Page {
  return reader.transaction(() => {
    const { stream, category, tags } = query
    const isPart = (stream ?? category ?? tags) !== undefined
    const log = isPart ? logWithTail(reader) : reader.log()
    const end = endOf(query, log)
    const trail = trailOf(reader, query, log)
    if (!trail) return { events: [], position: end, end: true, truncated: false }
    const walk = new Walk(reader, query, trail)
    const stop = query.backwards ? walk.backwards() : walk.forwards()
    const truncated = trail.truncated > parsePosition(query.after)
    return { events: walk.events, position: stop ?? end, end: stop === undefined, truncated }
  })
}

function endOf({ after, upTo, backwards }: Query, { head }: LogRow): string {
  if (backwards) return after
  const last = formatPosition(head)
  const end = upTo !== undefined && upTo < last ? upTo : last
  return end > after ? end : after
}

/** Goes along a trail, and gathers what the filters of the query select. */
class Walk {
  readonly events: StoredEvent[] = []
  readonly #reader: Reader
  readonly #query: Query
  readonly #trail: Trail
  readonly #types: ReadonlySet<string> | undefined
  readonly #filtered: boolean
  #lookedAt = 0
  #bytes = 0
  /** Position of the last event that was looked at. */
  #at = 0

  constructor(reader: Reader, query: Query, trail: Trail) {
    this.#reader = reader
    this.#query = query
    this.#trail = trail
    this.#types = query.types && new Set(query.types)
    const { types, tags = [], category } = query
    this.#filtered = types !== undefined || tags.length > (query.stream === undefined ? 1 : 0)
    this.#filtered ||= tags.length > 0 && category !== undefined
  }

  /** @returns where it had to stop; undefined at the end */
  forwards(): string | undefined {
    const { segments, keyOf, previousOf, before } = this.#trail
    let behind = before
    for (const segment of segments) {
      for (const rows of this.#chunks(segment))
        for (const row of rows) {
          if (this.#isFull()) return formatPosition(this.#at)
          if ((row[0] as number | null) === null) throw this.#reader.lost('an event that an index has')
          const key = keyOf(row)
          if (behind !== undefined) {
            if (key <= behind) throw this.#lost(behind + 1)
            this.#mustBeNone(behind, previousOf(row))
          }
          behind = key
          this.#look(row)
        }
      if (behind === undefined || segment.last === undefined) continue
      this.#mustBeNone(behind, segment.last)
      behind = Math.max(behind, segment.last)
    }
    return undefined
  }

  /** @returns where it had to stop; undefined at the end */
  backwards(): string | undefined {
    const { segments, keyOf, previousOf, before } = this.#trail
    let ahead: number | undefined
    for (const segment of segments.toReversed()) {
      ahead ??= segment.last
      for (const rows of this.#chunks(segment))
        for (const row of rows) {
          if (this.#isFull()) return formatPosition(this.#at)
          if ((row[0] as number | null) === null) throw this.#reader.lost('an event that an index has')
          const key = keyOf(row)
          if (ahead !== undefined) {
            if (key > ahead) throw this.#lost(ahead)
            this.#mustBeNone(key, ahead)
          }
          ahead = previousOf(row)
          this.#look(row)
        }
    }
    if (ahead !== undefined && before !== undefined) this.#mustBeNone(before, ahead)
    return undefined
  }

  /** Some at a time: taking rows one by one costs more, and all at once may be too much for the memory. */
  *#chunks({ from, where, parameters, column, low, high }: Segment): Generator<readonly EventRow[]> {
    const { backwards, limit } = this.#query
    const { link } = this.#trail
    const sql = `SELECT ${COLUMNS}${link === undefined ? '' : `, ${link}`} FROM ${from}
      WHERE ${where} AND ${column} BETWEEN ? AND ? ORDER BY ${column} ${backwards ? 'DESC' : 'ASC'} LIMIT ?`
    const key = column === 'i.revision' ? 2 : 0
    while (low <= high) {
      // One more than is wanted tells whether this is the end.
      const wanted = (this.#filtered ? LOOKED_AT - this.#lookedAt : limit - this.events.length) + 1
      const most = Math.min(wanted, this.#chunkSize())
      const rows = this.#reader.raw<EventRow>(sql, ...parameters, low, high, most)
      yield rows
      if (rows.length < most) return
      const last = rows.at(-1)![key]
      if (backwards) high = last - 1
      else low = last + 1
    }
  }

  /** How many rows are taken at a time, by what those before were like. */
  #chunkSize(): number {
    if (this.#lookedAt === 0) return CHUNK_FIRST
    const rows = CHUNK_BYTES / (this.#bytes / this.#lookedAt)
    return Math.max(1, Math.min(Math.floor(rows), CHUNK_MOST))
  }

  #isFull(): boolean {
    if (this.#lookedAt === 0) return false
    if (this.events.length >= this.#query.limit || this.#bytes > PAGE_BYTES) return true
    return this.#filtered && this.#lookedAt >= LOOKED_AT
  }

  #look(row: EventRow): void {
    const event = storedEvent(row, this.#reader.nameOf(row[1]))
    this.#lookedAt++
    this.#bytes += sizeOf(row)
    this.#at = row[0]
    if (!this.#filtered) {
      this.#mustBelong(event)
      this.events.push(event)
      return
    }
    // What is left out is seen by nobody else.
    if (!isWhole(event))
      throw this.#reader.damaged(`the event at position ${event.position}, ${event.stream}@${event.revision}`)
    this.#mustBelong(event)
    if (this.#selects(event)) this.events.push(event)
  }

  #selects({ type, tags, stream }: StoredEvent): boolean {
    if (this.#types && !this.#types.has(type)) return false
    if (this.#query.tags?.some((tag) => !tags.includes(tag))) return false
    return isOfCategory(stream, this.#query.category)
  }

  /** An index may lead to an event of others. */
  #mustBelong({ stream, tags, position }: StoredEvent): void {
    const { stream: wanted, category, tags: [tag] = [] } = this.#query
    const belongs =
      wanted !== undefined
        ? stream === wanted
        : tag !== undefined
          ? tags.includes(tag)
          : isOfCategory(stream, category)
    if (!belongs) throw this.#reader.lost(`what an index has at position ${position}`)
  }

  /** Between two keys, the second of which is of an event, nothing may be left out. */
  #mustBeNone(behind: number, key: number): void {
    if (key > behind && key > this.#trail.removed) throw this.#lost(key)
  }

  #lost(key: number): Error {
    return this.#reader.lost(this.#trail.at(key))
  }
}

function isOfCategory(stream: string, category: string | undefined): boolean {
  return category === undefined || stream === category || stream.startsWith(`${category}-`)
}
