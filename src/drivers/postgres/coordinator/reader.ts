import type { Change, Changes, Entry, Listing } from '../../../coordination/coordinator.js'
import { coordinationError } from '../../../coordination/errors.js'
import type { HistoryPage } from '../../../coordination/feed.js'
import type { Connections, Rows } from '../connections.js'
import { errorOf } from './errors.js'

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
    const range = rangeOf(prefix)
    const rows = await this.#ask(
      `SELECT key, value, keys.revision, created, lease, reached.revision
      FROM ${this.#schema}.be_primary(), ${this.#schema}.reached
      LEFT JOIN ${this.#schema}.keys ON ${range.condition('$1', '$2')} ORDER BY key`,
      range.values,
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
    const range = rangeOf(prefix)
    // A page has whole revisions only: those with a tie go along, and a window of RANGE ends with them.
    const rows = await this.#ask(
      `SELECT change.*, reached.revision, reached.compacted FROM ${this.#schema}.be_primary(), ${this.#schema}.reached
      LEFT JOIN LATERAL (
        SELECT key, value, revision, created, lease FROM (
          SELECT *, sum(octet_length(value)) OVER (ORDER BY revision RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS bytes_before FROM (
            SELECT * FROM ${this.#schema}.changes WHERE revision > $1 AND ${range.condition('$3', '$4')}
            ORDER BY revision FETCH FIRST $2 ROWS WITH TIES
          ) AS rows
        ) AS measured
        WHERE coalesce(bytes_before, 0) < ${PAGE_BYTES}
      ) AS change ON true
      ORDER BY change.revision, change.key`,
      [after, limit, ...range.values],
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

/** The keys that begin with a prefix, as a range: an index finds it, which it does not for every LIKE. */
function rangeOf(prefix: string): { values: string[]; condition(from: string, below: string): string } {
  if (prefix === '') return { values: [], condition: () => 'true' }
  const end = successor(prefix)
  if (end === undefined) return { values: [prefix], condition: (from) => `key >= ${from}` }
  return { values: [prefix, end], condition: (from, below) => `key >= ${from} AND key < ${below}` }
}

const LAST = 0x10ffff
/** Between the two are surrogates, which are no characters. */
const BEFORE_SURROGATES = 0xd7ff
const AFTER_SURROGATES = 0xe000

/** The first text, in the order of bytes of UTF-8, above all that begin with a prefix; undefined if there is none. */
export function successor(prefix: string): string | undefined {
  const characters = Array.from(prefix, (character) => character.codePointAt(0)!)
  while (characters.at(-1) === LAST) characters.pop()
  const last = characters.pop()
  if (last === undefined) return undefined
  return String.fromCodePoint(...characters, last === BEFORE_SURROGATES ? AFTER_SURROGATES : last + 1)
}
