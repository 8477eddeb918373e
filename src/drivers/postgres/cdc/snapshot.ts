import type { Client } from 'pg'
import type { Row, SnapshotRows, SourceSnapshot, TableShape } from '../../../events/cdc/source.js'
import type { Catalog } from './catalog.js'
import { AS_TEXT, quoted, quotedTable } from './clients.js'
import { sourceError } from './faults.js'
import type { ValueParser } from './values.js'

/** About how much of a table is in memory at once. */
const CHUNK_BYTES = 1024 * 1024
const FIRST_ROWS = 20
const MOST_ROWS = 2000

/** Tables as a slot's first change finds them, read through the snapshot that it has exported. */
export class PostgresSnapshot implements SourceSnapshot {
  readonly lsn: bigint
  readonly #client: Client
  readonly #catalog: Catalog
  readonly #place: string
  readonly #partitioned: ReadonlySet<number>

  /**
   * @param client - with a transaction open in the snapshot
   * @param partitioned - of which tables the partitions are read, too
   */
  constructor(
    lsn: bigint,
    client: Client,
    catalog: Catalog,
    place: string,
    partitioned: ReadonlySet<number>,
  ) {
    this.lsn = lsn
    this.#client = client
    this.#catalog = catalog
    this.#place = place
    this.#partitioned = partitioned
  }

  async *rows(table: TableShape): AsyncGenerator<SnapshotRows, void, undefined> {
    const columns = table.columns.map((column) => quoted(column.name))
    const only = this.#partitioned.has(table.id) ? '' : 'ONLY '
    try {
      await this.#client.query(
        `DECLARE banyan_rows NO SCROLL CURSOR FOR SELECT ${columns.join(', ')} FROM ${only}${quotedTable(table.name)}`,
      )
      let count = FIRST_ROWS
      let chunk = await this.#fetch(count)
      const parsers = await this.#catalog.parsers(chunk.types)
      for (;;) {
        const { names, rows } = chunk
        const isLast = rows.length < count
        const bytes = bytesOf(rows)
        count = nextCount(bytes, rows.length)
        // The next ones are fetched while these are worked on.
        const ahead = isLast ? undefined : this.#fetch(count)
        // It may be given up before anybody waits for it.
        ahead?.catch(() => undefined)
        if (rows.length > 0) yield { rows: rows.map((row) => rowOf(names, parsers, row)), bytes }
        if (!ahead) break
        chunk = await ahead
      }
      await this.#client.query('CLOSE banyan_rows')
    } catch (error) {
      throw sourceError(error, this.#place)
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }

  async #fetch(count: number): Promise<Chunk> {
    const { fields, rows } = await this.#client.query<(string | null)[]>({
      text: `FETCH FORWARD ${count} FROM banyan_rows`,
      rowMode: 'array',
      types: AS_TEXT,
    })
    return { names: fields.map(({ name }) => name), types: fields.map(({ dataTypeID }) => dataTypeID), rows }
  }
}

interface Chunk {
  readonly names: readonly string[]
  readonly types: readonly number[]
  readonly rows: readonly (string | null)[][]
}

function bytesOf(rows: readonly (string | null)[][]): number {
  let bytes = 0
  for (const row of rows) for (const value of row) bytes += value?.length ?? 0
  return bytes
}

/** How many rows to fetch next, if those before are like them. */
function nextCount(bytes: number, rows: number): number {
  const each = Math.max(1, bytes / Math.max(1, rows))
  return Math.max(1, Math.min(MOST_ROWS, Math.floor(CHUNK_BYTES / each)))
}

function rowOf(names: readonly string[], parsers: readonly ValueParser[], values: (string | null)[]): Row {
  return Object.fromEntries(
    names.map((name, index) => {
      const text = values[index] ?? null
      return [name, text === null ? null : parsers[index]!(text)]
    }),
  )
}
