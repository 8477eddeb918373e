import type { Change, Changes, Entry, Listing } from '../../../coordination/coordinator.js'
import { coordinationError } from '../../../coordination/errors.js'
import type { HistoryPage } from '../../../coordination/feed.js'
import type { Connections, Rows } from '../connections.js'
import { errorOf } from './errors.js'
import { rangeOf } from './range.js'

/** Whoever reads can ask again themselves, and may have lost interest. */
const RETRY_MS = 3000
/** Values of a page of changes go up to about this many bytes. */
const PAGE_BYTES = 8 * 1024 * 1024

/** Reads keys and their history, each with one statement: it sees one moment. A standby refuses. */
export class Reader {
  readonly #connections: Connections
  readonly #schema: string
  readonly #retryFor: number

  constructor(connections: Connections, schema: string, retryFor: number) {
    this.#connections = connections
    this.#schema = `"${schema}"`
    this.#retryFor = Math.min(retryFor, RETRY_MS)
  }

  async get(key: string): Promise<Entry | undefined> {
    const [row] = await this.#ask(
      `SELECT key, value, revision, created, lease
      FROM ${this.#schema}.be_primary() LEFT JOIN ${this.#schema}.keys ON key = $1`,
      [key],
    )
    return row![0] === null ? undefined : entryOf(row!)
  }

  async list(prefix: string): Promise<Listing> {
    const { condition, values } = conditionOf(prefix, 1)
    const rows = await this.#ask(
      `SELECT key, value, keys.revision, created, lease, reached.revision
      FROM ${this.#schema}.be_primary(), ${this.#schema}.reached
      LEFT JOIN ${this.#schema}.keys ON ${condition} ORDER BY key`,
      values,
    )
    return { entries: rows.filter(([key]) => key !== null).map(entryOf), revision: Number(rows[0]![5]) }
  }

  async head(): Promise<number> {
    const [row] = await this.#ask(
      `SELECT revision FROM ${this.#schema}.be_primary(), ${this.#schema}.reached`,
      [],
    )
    return Number(row![0])
  }

  /** See `History.page`. */
  async page(prefix: string, after: number, limit: number): Promise<HistoryPage> {
    const { condition, values } = conditionOf(prefix, 3)
    // A page has whole revisions only: those with a tie go along, and a window of RANGE ends with them.
    const rows = await this.#ask(
      `SELECT change.*, reached.revision, reached.compacted FROM ${this.#schema}.be_primary(), ${this.#schema}.reached
      LEFT JOIN LATERAL (
        SELECT key, value, revision, created, lease FROM (
          SELECT *, sum(octet_length(value)) OVER (ORDER BY revision RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS bytes_before FROM (
            SELECT * FROM ${this.#schema}.changes WHERE revision > $1 AND ${condition}
            ORDER BY revision FETCH FIRST $2 ROWS WITH TIES
          ) AS rows
        ) AS measured
        WHERE coalesce(bytes_before, 0) < ${PAGE_BYTES}
      ) AS change ON true
      ORDER BY change.revision, change.key`,
      [after, limit, ...values],
    )
    const head = Number(rows[0]![5])
    const compacted = Number(rows[0]![6])
    if (after < compacted)
      throw coordinationError(
        'BANYAN_COMPACTED',
        `changes behind revision ${after} are not kept any more, only those behind ${compacted}`,
      )
    if (after > head)
      throw coordinationError(
        'BANYAN_REVISION_AHEAD',
        `revision ${after} was not reached yet, the last one is ${head}: it is of another store`,
      )
    const changes = rows.filter(([key]) => key !== null)
    const groups = groupsOf(changes)
    // Fewer than were asked for are all, if they are not many bytes: then everything was read over.
    const bytes = changes.reduce((sum, [, value]) => sum + (value?.length ?? 0), 0)
    const all = changes.length < limit && bytes < PAGE_BYTES / 4
    return { groups, upTo: all ? head : groups.at(-1)!.revision }
  }

  async #ask(text: string, values: unknown[]): Promise<Rows> {
    return this.#connections.patiently(
      () => this.#connections.readOnce(text, values),
      (error) => errorOf(error, this.#connections.place),
      this.#retryFor,
    )
  }
}

/** A key with no lease or one, and the columns of it. */
function entryOf([key, value, revision, created, lease]: Rows[number]): Entry {
  return {
    key: key!,
    value: value!,
    revision: Number(revision),
    created: Number(created),
    ...(typeof lease === 'string' && { lease }),
  }
}

function groupsOf(rows: Rows): Changes[] {
  const groups: { revision: number; changes: Change[] }[] = []
  for (const row of rows) {
    const [key, value] = row
    const revision = Number(row[2])
    if (groups.at(-1)?.revision !== revision) groups.push({ revision, changes: [] })
    groups
      .at(-1)!
      .changes.push(
        typeof value === 'string' ? { kind: 'put', entry: entryOf(row) } : { kind: 'deleted', key: key! },
      )
  }
  return groups
}

/** A prefix as a condition, with its parameters from this number on. */
function conditionOf(prefix: string, first: number): { condition: string; values: string[] } {
  const { from, end } = rangeOf(prefix)
  if (from === '') return { condition: 'true', values: [] }
  if (end === undefined) return { condition: `key >= $${first}`, values: [from] }
  return { condition: `key >= $${first} AND key < $${first + 1}`, values: [from, end] }
}
