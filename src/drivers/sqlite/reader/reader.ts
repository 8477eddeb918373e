import type { Database, Statement } from 'better-sqlite3'
import { eventError } from '../../../events/errors.js'
import type { Page, Query, StoredEvent } from '../../../events/driver.js'
import { formatPosition, parsePosition } from '../../../events/position.js'
import { COLUMNS, sizeOf, storedEvent, type EventRow } from './row.js'
import { walkOf, type Walk } from './walk.js'

/** Bytes of a page, about, if it has more than one event. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Events that are looked at for those that a filter selects, before the event loop has its turn. */
const STRETCH = 2048
/** Names of streams that are remembered. */
const NAMES = 50_000

/** Where the log ends, and up to where a hole in it is no damage. */
interface Ends {
  readonly head: number
  readonly truncated: number
}

/** A part of a walk: keys from one to another, both with it. */
interface Stretch {
  low: number
  high: number
}

/** Reads pages. Everything that belongs to one page is read in one transaction. */
export class Reader {
  readonly #db: Database
  readonly #file: string
  readonly #statements = new Map<string, Statement>()
  readonly #names = new Map<number, string>()

  constructor(db: Database, file: string) {
    this.#db = db
    this.#file = file
  }

  get db(): Database {
    return this.#db
  }

  head(): number {
    return this.value<number>('SELECT head FROM log')!
  }

  /** One page, or an empty stretch of the way to it. */
  page(query: Query): Page {
    return this.transaction(() => this.#page(query))
  }

  /** Runs what must see the log at one moment. */
  transaction<T>(read: () => T): T {
    this.statement('BEGIN').run()
    try {
      return read()
    } finally {
      this.statement('COMMIT').run()
    }
  }

  /** The only column of the only row. */
  value<T>(sql: string, ...parameters: unknown[]): T | undefined {
    return this.statement(sql, (statement) => statement.pluck()).get(...parameters) as T | undefined
  }

  row<Row>(sql: string, ...parameters: unknown[]): Row | undefined {
    return this.statement(sql).get(...parameters) as Row | undefined
  }

  statement(sql: string, as: (statement: Statement) => Statement = (statement) => statement): Statement {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = as(this.#db.prepare(sql))))
    return statement
  }

  #page(query: Query): Page {
    const ends = this.row<Ends>('SELECT head, truncated FROM log')!
    const after = parsePosition(query.after)
    const upTo = query.upTo === undefined ? Infinity : parsePosition(query.upTo)
    const before = query.before === undefined ? Infinity : parsePosition(query.before)
    const last = Math.min(upTo, before - 1, ends.head)
    const end = query.backwards ? query.after : formatPosition(Math.max(last, after))

    if (query.stream !== undefined) return this.#streamPage(query, after, last, end)
    if (query.category === undefined)
      return this.#walk(query, walkOf(query, {}), { low: after + 1, high: last }, ends.truncated, {
        position: end,
        truncated: ends.truncated > after,
      })
    const category = this.row<{ id: number; truncated: number }>(
      'SELECT id, truncated FROM categories WHERE name = ?',
      query.category,
    )
    if (!category) return { events: [], position: end, end: true, truncated: false }
    const walk = walkOf(query, { category: category.id })
    return this.#walk(query, walk, { low: after + 1, high: last }, 0, {
      position: end,
      truncated: category.truncated > after,
    })
  }

  #streamPage(query: Query, after: number, last: number, end: string): Page {
    const stream = this.row<{ id: number; first: number; truncated: number }>(
      'SELECT id, first_revision AS first, truncated FROM streams WHERE name = ?',
      query.stream,
    )
    if (!stream) return { events: [], position: end, end: true, truncated: false }
    const { id, first, truncated } = stream
    const low = Math.max(query.fromRevision ?? 0, this.#revisionAfter(id, first, after))
    const high = Math.min(query.toRevision ?? Infinity, this.#revisionAfter(id, first, last) - 1)
    const walk = walkOf(query, { stream: id })
    return this.#walk(query, walk, { low, high }, 0, { position: end, truncated: truncated > after })
  }

  /** The first revision of a stream behind a position; one more than its last if there is none. */
  #revisionAfter(stream: number, first: number, position: number): number {
    if (position === 0) return first
    const here = this.value<number>(
      'SELECT revision FROM events WHERE position = ? AND stream = ?',
      position,
      stream,
    )
    if (here !== undefined) return here + 1
    const last =
      this.value<number | null>('SELECT max(revision) FROM events WHERE stream = ?', stream) ?? first - 1
    // Most who ask are near the end: back from there in steps that double, then by halves.
    let high = last + 1
    let low = high
    for (let step = 1; low > first; step *= 2) {
      low = Math.max(first, high - step)
      if (this.#positionOf(stream, low) <= position) break
      high = low
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#positionOf(stream, middle) <= position) low = middle + 1
      else high = middle
    }
    return high
  }

  #positionOf(stream: number, revision: number): number {
    const position = this.value<number>(
      'SELECT position FROM events WHERE stream = ? AND revision = ?',
      stream,
      revision,
    )
    if (position === undefined) throw this.#lost(`revision ${revision} of stream ${this.#nameOf(stream)}`)
    return position
  }

  /**
   * Goes along a walk from one end of it.
   *
   * @param removed - keys up to this one may be missing
   * @param atEnd - what the page says if it reaches the other end
   */
  #walk(
    query: Query,
    walk: Walk,
    all: Stretch,
    removed: number,
    atEnd: { position: string; truncated: boolean },
  ): Page {
    const { backwards, limit } = query
    if (all.low > all.high) return { events: [], end: true, ...atEnd }
    const stretch = walk.filters.length > 0 ? this.#firstStretch(walk, all, backwards) : all
    if (walk.filters.length > 0 && walk.contiguous) this.#mustBeWhole(walk, stretch, removed)

    const filter = walk.filters.length > 0 ? ` AND (e.position IS NULL OR ${walk.filters.join(' AND ')})` : ''
    const sql = `SELECT ${COLUMNS} FROM ${walk.from} WHERE ${walk.where} AND ${walk.key} BETWEEN ? AND ?${filter}
      ORDER BY ${walk.key} ${backwards ? 'DESC' : 'ASC'} LIMIT ?`
    const rows = this.statement(sql, (statement) => statement.raw()).iterate(
      ...walk.parameters,
      stretch.low,
      stretch.high,
      ...walk.filterParameters,
      // One more than asked for tells whether this is the end.
      limit + 1,
    ) as IterableIterator<EventRow>

    const events: StoredEvent[] = []
    const step = backwards ? -1 : 1
    const byRevision = walk.key === 'e.revision'
    const checked = walk.contiguous && walk.filters.length === 0
    let next = backwards ? stretch.high : stretch.low
    let bytes = 0
    for (const row of rows) {
      if (events.length === limit || (bytes > PAGE_BYTES && events.length > 0))
        return { events, position: events.at(-1)!.position, end: false, truncated: atEnd.truncated }
      if ((row[0] as number | null) === null) throw this.#lost(`an event with the tag ${query.tags![0]!}`)
      const key = byRevision ? row[2] : row[0]
      if (key !== next && (checked || (key - next) * step < 0))
        this.#mustBeRemoved(walk, next, key - step, removed)
      next = key + step
      bytes += sizeOf(row)
      events.push(storedEvent(row, this.#nameOf(row[1])))
    }
    if (checked && (stretch.high - next) * step >= 0)
      this.#mustBeRemoved(walk, next, backwards ? stretch.low : stretch.high, removed)
    if (stretch.low === all.low && stretch.high === all.high) return { events, end: true, ...atEnd }
    const edge = backwards ? stretch.low : stretch.high
    const position = formatPosition(byRevision ? this.#positionOf(walk.parameters[0] as number, edge) : edge)
    return { events, position, end: false, truncated: atEnd.truncated }
  }

  /** The part of a walk that is looked at now: as many events as a filter may look at in one go. */
  #firstStretch(
    { key, from, where, parameters, contiguous }: Walk,
    { low, high }: Stretch,
    backwards: boolean,
  ): Stretch {
    if (contiguous)
      return backwards
        ? { low: Math.max(low, high - STRETCH + 1), high }
        : { low, high: Math.min(high, low + STRETCH - 1) }
    const edge = this.value<number>(
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

  /** Between events that a filter leaves out a lost one would not be missed. */
  #mustBeWhole({ key, from, where, parameters }: Walk, { low, high }: Stretch, removed: number): void {
    const first = Math.max(low, removed + 1)
    if (first > high) return
    const count = this.value<number>(
      `SELECT count(*) FROM ${from} WHERE ${where} AND ${key} BETWEEN ? AND ?`,
      ...parameters,
      first,
      high,
    )!
    if (count !== high - first + 1)
      throw this.#lost(`${high - first + 1 - count} of the events with ${key.slice(2)} ${first} to ${high}`)
  }

  #mustBeRemoved(walk: Walk, from: number, to: number, removed: number): void {
    if (Math.max(from, to) <= removed) return
    const what = walk.key === 'e.revision' ? 'revision' : 'position'
    const of = walk.key === 'e.revision' ? ` of stream ${this.#nameOf(walk.parameters[0] as number)}` : ''
    throw this.#lost(`what has the ${what} ${Math.max(from, Math.min(from, to))}${of}`)
  }

  #nameOf(stream: number): string {
    const known = this.#names.get(stream)
    if (known !== undefined) return known
    const name = this.value<string>('SELECT name FROM streams WHERE id = ?', stream)
    if (name === undefined) throw this.#lost(`the name of stream number ${stream}`)
    if (this.#names.size >= NAMES) this.#names.clear()
    this.#names.set(stream, name)
    return name
  }

  #lost(what: string): Error {
    return eventError(
      'BANYAN_LOG_CORRUPT',
      `${this.#file}: ${what} is missing, and was not removed by a truncation. ` +
        '`banyan events verify` lists all that is damaged; restore a backup',
    )
  }
}
