import type { Page, Query, StoredEvent } from '../../../events/driver.js'
import { formatPosition, parsePosition } from '../../../events/position.js'
import type { Reader } from './reader.js'
import { revisionAfter } from './revisions.js'
import { COLUMNS, sizeOf, storedEvent, type EventRow } from './row.js'
import { alongEvents, alongIndex, filtersOf, type Filter, type Segment } from './segment.js'

/** Bytes of a page, about, if it has more than one event. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Events that are looked at for those that a filter selects, before the event loop has its turn. */
const STRETCH = 2048

/** The row of `log`, as far as it matters here. */
interface LogRow {
  readonly head: number
  readonly indexed: number
  readonly truncated: number
}

/** How a query is answered. */
interface Plan {
  readonly segments: readonly Segment[]
  /** What the stream, the category or the log has lost to truncations: up to here. */
  readonly truncated: number
  /** What is at the end of the way. */
  readonly end: string
  /** All events of one stream: their revisions rise by one. */
  readonly wholeStream: boolean
}

/**
 * Reads one page, all of it at one moment of the log. It may be empty and not the end: then as many events were looked at
 * as may be in one go.
 */
export function readPage(reader: Reader, query: Query): Page {
  return reader.transaction(() => {
    const plan = planOf(reader, query)
    return new PageBuilder(reader, query, plan).build()
  })
}

function planOf(reader: Reader, query: Query): Plan {
  const log = reader.row<LogRow>('SELECT head, indexed, truncated FROM log')!
  const after = parsePosition(query.after)
  const upTo = query.upTo === undefined ? Infinity : parsePosition(query.upTo)
  const before = query.before === undefined ? Infinity : parsePosition(query.before)
  const last = Math.min(upTo, before - 1, log.head)
  const end = query.backwards ? query.after : formatPosition(Math.max(last, after))
  const nothing = { segments: [], truncated: 0, end, wholeStream: false }
  const filters = filtersOf(query)
  const tail = (more: readonly Filter[]): Segment =>
    alongEvents(Math.max(after, log.indexed) + 1, last, log.truncated, [...more, ...filters])
  const indexed = Math.min(last, log.indexed)

  if (query.stream !== undefined) {
    const stream = reader.row<{ id: number; first: number; truncated: number }>(
      'SELECT id, first_revision AS first, truncated FROM streams WHERE name = ?',
      query.stream,
    )
    if (!stream) return nothing
    const { id, first, truncated } = stream
    reader.remember(id, query.stream)
    const { fromRevision = 0, toRevision = Number.MAX_SAFE_INTEGER } = query
    const low = Math.max(fromRevision, revisionAfter(reader, id, first, after))
    const high = Math.min(toRevision, revisionAfter(reader, id, first, indexed) - 1)
    const own = [
      { sql: 'e.stream = ?', parameters: [id] },
      { sql: 'e.revision BETWEEN ? AND ?', parameters: [fromRevision, toRevision] },
    ]
    const segments = [alongIndex('stream', id, low, high, filters), tail(own)]
    return { segments, truncated, end, wholeStream: filters.length === 0 }
  }

  const category =
    query.category === undefined
      ? undefined
      : reader.row<{ id: number; truncated: number }>(
          'SELECT id, truncated FROM categories WHERE name = ?',
          query.category,
        )
  if (query.category !== undefined && !category) return nothing
  const own = category ? [{ sql: 'e.category = ?', parameters: [category.id] }] : []
  const truncated = category?.truncated ?? log.truncated
  const common = { truncated, end, wholeStream: false }
  const [tag] = query.tags ?? []
  if (tag !== undefined) {
    // The index has the first tag; the filters look at it once more, and at the others.
    const byTag = alongIndex('tag', tag, after + 1, indexed, [...own, ...filters])
    return { ...common, segments: [byTag, tail(own)] }
  }
  if (category) {
    const byCategory = alongIndex('category', category.id, after + 1, indexed, filters)
    return { ...common, segments: [byCategory, tail(own)] }
  }
  return { ...common, segments: [alongEvents(after + 1, last, log.truncated, filters)] }
}

class PageBuilder {
  readonly #reader: Reader
  readonly #query: Query
  readonly #plan: Plan
  readonly #truncated: boolean
  readonly #step: 1 | -1
  readonly #events: StoredEvent[] = []
  #bytes = 0

  constructor(reader: Reader, query: Query, plan: Plan) {
    this.#reader = reader
    this.#query = query
    this.#plan = plan
    this.#truncated = plan.truncated > parsePosition(query.after)
    this.#step = query.backwards ? -1 : 1
  }

  build(): Page {
    const { segments, end } = this.#plan
    for (const segment of this.#query.backwards ? segments.toReversed() : segments) {
      if (segment.low > segment.high) continue
      const stop = this.#walk(segment)
      if (stop !== undefined) return this.#page(stop, false)
    }
    return this.#page(end, true)
  }

  #page(position: string, end: boolean): Page {
    return { events: this.#events, position, end, truncated: this.#truncated }
  }

  /** Goes along a segment. Returns the position where it had to stop before its end. */
  #walk(segment: Segment): string | undefined {
    const { backwards } = this.#query
    const filtered = segment.filters.length > 0
    const { low, high } = filtered ? this.#stretch(segment) : segment
    if (filtered && segment.contiguous) this.#mustBeWhole(segment, low, high)
    let next = backwards ? high : low
    for (const row of this.#rows(segment, low, high)) {
      if (this.#isFull()) return this.#events.at(-1)!.position
      if ((row[0] as number | null) === null) throw this.#reader.lost('an event that an index has')
      const key = segment.key === 'i.revision' ? row[2] : row[0]
      if (key !== next && ((segment.contiguous && !filtered) || (key - next) * this.#step < 0))
        this.#mustBeRemoved(segment, next, key - this.#step)
      next = key + this.#step
      this.#add(row)
    }
    const far = backwards ? low : high
    if (segment.contiguous && !filtered && (far - next) * this.#step >= 0)
      this.#mustBeRemoved(segment, next, far)
    if (far === (backwards ? segment.low : segment.high)) return undefined
    return formatPosition(segment.key === 'i.revision' ? this.#positionOf(segment, far) : far)
  }

  #rows({ key, from, where, parameters, filters }: Segment, low: number, high: number): Iterable<EventRow> {
    const { backwards, limit } = this.#query
    const selected = filters.map(({ sql }) => sql).join(' AND ')
    const sql = `SELECT ${COLUMNS} FROM ${from} WHERE ${where} AND ${key} BETWEEN ? AND ?
      ${selected === '' ? '' : `AND (e.position IS NULL OR (${selected}))`}
      ORDER BY ${key} ${backwards ? 'DESC' : 'ASC'} LIMIT ?`
    return this.#reader.iterate<EventRow>(
      sql,
      ...parameters,
      low,
      high,
      ...filters.flatMap((filter) => filter.parameters),
      // One more than is wanted tells whether this is the end.
      limit - this.#events.length + 1,
    )
  }

  #isFull(): boolean {
    const count = this.#events.length
    return count === this.#query.limit || (count > 0 && this.#bytes > PAGE_BYTES)
  }

  #add(row: EventRow): void {
    const event = storedEvent(row, this.#reader.nameOf(row[1]))
    if (!belongs(this.#query, event.stream))
      throw this.#reader.lost(`an event that an index has at position ${event.position}`)
    const previous = this.#events.at(-1)
    if (previous && this.#plan.wholeStream && event.revision !== previous.revision + this.#step)
      throw this.#reader.lost(`what is between ${event.stream}@${previous.revision} and @${event.revision}`)
    this.#bytes += sizeOf(row)
    this.#events.push(event)
  }

  /** The part of a segment that is looked at now: as many events as may be in one go. */
  #stretch({ key, from, where, parameters, contiguous, low, high }: Segment): { low: number; high: number } {
    const { backwards } = this.#query
    if (contiguous)
      return backwards
        ? { low: Math.max(low, high - STRETCH + 1), high }
        : { low, high: Math.min(high, low + STRETCH - 1) }
    const edge = this.#reader.value<number>(
      `SELECT ${key} FROM ${from} WHERE ${where} AND ${key} BETWEEN ? AND ?
       ORDER BY ${key} ${backwards ? 'DESC' : 'ASC'} LIMIT 1 OFFSET ?`,
      ...parameters,
      low,
      high,
      STRETCH - 1,
    )
    if (edge === undefined) return { low, high }
    return backwards ? { low: edge, high } : { low, high: edge }
  }

  /** Among events that a filter leaves out, a lost one would not be missed. */
  #mustBeWhole(segment: Segment, low: number, high: number): void {
    const { key, from, where, parameters, removed } = segment
    const first = Math.max(low, removed + 1)
    if (first > high) return
    const wanted = high - first + 1
    const count = this.#reader.value<number>(
      `SELECT count(*) FROM ${from} WHERE ${where} AND ${key} BETWEEN ? AND ?`,
      ...parameters,
      first,
      high,
    )!
    if (count !== wanted)
      throw this.#reader.lost(`one of the events with the ${key.slice(2)}s ${first} to ${high}`)
  }

  /** What a page did not find on its way, from one key to another in its direction. */
  #mustBeRemoved(segment: Segment, from: number, to: number): void {
    const last = Math.max(from, to)
    if (last <= segment.removed) return
    throw this.#reader.lost(
      segment.key === 'i.revision'
        ? `revision ${last} of stream ${this.#reader.nameOf(segment.parameters[0] as number)}`
        : `the event at position ${formatPosition(last)}`,
    )
  }

  #positionOf(segment: Segment, revision: number): number {
    return this.#reader.value<number>(
      'SELECT position FROM stream_index WHERE stream = ? AND revision = ?',
      segment.parameters[0],
      revision,
    )!
  }
}

/** Whether an index has led to an event that it should have. */
function belongs({ stream, category }: Query, of: string): boolean {
  if (stream !== undefined) return of === stream
  return category === undefined || of === category || of.startsWith(`${category}-`)
}
