import type { Page, Query, StoredEvent } from '../../events/driver.js'
import { formatPosition, parsePosition } from '../../events/position.js'
import type { Position } from '../../events/log.js'
import type { Connections, Rows } from './connections.js'
import { sqlState } from './faults.js'
import { unseal } from './seal.js'
import { pageStatement } from './page.js'

/** Reads the log. What has been committed in transactions of applications gets its positions before. */
export class Reader {
  readonly #connections: Connections
  readonly #schema: string

  constructor(connections: Connections, schema: string) {
    this.#connections = connections
    this.#schema = schema
  }

  /** See `LogDriver.read`. */
  async page(query: Query): Promise<Page> {
    let { after, before } = query
    let truncated = false
    // What is not selected is read over in parts: no statement takes long.
    for (;;) {
      const page = await this.#part({ ...query, after, ...(before !== undefined && { before }) })
      truncated ||= page.truncated
      if (page.events.length > 0 || page.end) return { ...page, truncated }
      if (query.backwards) before = page.position
      else after = page.position
    }
  }

  /** Where the log ends. */
  async head(): Promise<Position> {
    const [row] = await this.settled(`SELECT pending, position FROM "${this.#schema}".head`, [])
    return formatPosition(Number(row![1]))
  }

  /**
   * Asks, and asks again if there is something pending: whoever has committed a transaction finds in the log what was
   * appended in it.
   *
   * @param text - a statement whose first column says in each row whether something is pending
   */
  async settled(text: string, values: unknown[]): Promise<Rows> {
    const rows = await this.#connections.read(text, values)
    if (rows[0]?.[0] !== 't') return rows
    const settle = `SELECT "${this.#schema}".settle()`
    try {
      await this.#connections.readOnce(settle, [])
    } catch (error) {
      // Who may only read, or reads a standby, sees it when somebody else has given it its positions.
      if (READ_ONLY.has(sqlState(error) ?? '')) return rows
      await this.#connections.read(settle, [])
    }
    return this.#connections.read(text, values)
  }

  async #part(query: Query): Promise<Page> {
    const { text, values, most } = pageStatement(query, this.#schema)
    const rows = await this.settled(text, values)
    const [, head, truncated, scanned, last, matched] = rows[0]!.map((column) => Number(column))
    const events = rows[0]![PAGE_COLUMNS] === null ? [] : rows.map(eventOf)
    const after = parsePosition(query.after)
    const place = (): { position: Position; end: boolean } => {
      if (events.length < (matched ?? 0)) return { position: events.at(-1)!.position, end: false }
      if (scanned! >= most) return { position: formatPosition(last!), end: false }
      if (query.backwards) return { position: query.after, end: true }
      const upTo = Math.min(head!, query.upTo === undefined ? Infinity : parsePosition(query.upTo))
      return { position: formatPosition(Math.max(upTo, after)), end: true }
    }
    return { events, ...place(), truncated: truncated! > after }
  }
}

/** Columns that are the same in all rows of a page. */
const PAGE_COLUMNS = 6

function eventOf(row: Rows[number]): StoredEvent {
  const column = (index: number): string => row[PAGE_COLUMNS + index]!
  const position = Number(column(0))
  const revision = Number(column(1))
  const recorded = Number(column(3))
  const bytes = row[PAGE_COLUMNS + 12]
  const data = row[PAGE_COLUMNS + 11]
  const tags = row[PAGE_COLUMNS + 14]
  return {
    position: formatPosition(position),
    revision,
    time: Number(column(2)),
    recorded,
    ordinal: Number(column(4)),
    schemaVersion: Number(column(5)),
    checksum: unseal(Number(column(6)), position, revision, recorded),
    stream: column(7),
    commit: column(8),
    id: row[PAGE_COLUMNS + 9] ?? undefined,
    type: column(10),
    data: typeof bytes === 'string' ? Buffer.from(bytes.slice(2), 'hex') : (data ?? undefined),
    metadata: row[PAGE_COLUMNS + 13] ?? '',
    tags: typeof tags === 'string' ? (JSON.parse(tags) as string[]) : NO_TAGS,
  }
}

const NO_TAGS: readonly string[] = []

/** Not allowed; not in a transaction that only reads. */
const READ_ONLY = new Set(['42501', '25006'])
