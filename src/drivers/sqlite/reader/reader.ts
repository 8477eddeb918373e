import type { Database, Statement } from 'better-sqlite3'
import { eventError } from '../../../events/errors.js'
import { LogTable } from '../log-table.js'
import { categoryNames, streamNames, tagNames, type Names } from '../names.js'
import type { CategoryRow, LogRow, StreamRow, TagRow } from '../rows.js'

/** Names of streams that are remembered. */
const NAMES = 50_000

/** A connection that reads, with its statements, each prepared once. */
export class Reader {
  readonly db: Database
  readonly file: string
  readonly streams: Names<StreamRow>
  readonly categories: Names<CategoryRow>
  readonly tags: Names<TagRow>
  readonly #log: LogTable
  readonly #statements = new Map<string, Statement>()
  readonly #names = new Map<number, string>()

  constructor(db: Database, file: string) {
    this.db = db
    this.file = file
    this.streams = streamNames(db, file)
    this.categories = categoryNames(db, file)
    this.tags = tagNames(db, file)
    this.#log = new LogTable(db, file)
  }

  log(): LogRow {
    return this.#log.read()
  }

  /** Runs what must see the log at one moment. */
  transaction<T>(read: () => T): T {
    this.#statement('BEGIN').run()
    try {
      return read()
    } finally {
      this.#statement('COMMIT').run()
    }
  }

  /** The only column of the first row. */
  value<T>(sql: string, ...parameters: unknown[]): T | undefined {
    return this.#statement(sql, 'pluck').get(...parameters) as T | undefined
  }

  /** The first row. */
  row<Row>(sql: string, ...parameters: unknown[]): Row | undefined {
    return this.#statement(sql).get(...parameters) as Row | undefined
  }

  rows<Row>(sql: string, ...parameters: unknown[]): Row[] {
    return this.#statement(sql).all(...parameters) as Row[]
  }

  /** Rows as arrays. */
  raw<Row>(sql: string, ...parameters: unknown[]): Row[] {
    return this.#statement(sql, 'raw').all(...parameters) as Row[]
  }

  nameOf(stream: number): string {
    const known = this.#names.get(stream)
    if (known !== undefined) return known
    const { name } = this.streams.get(stream)
    if (this.#names.size >= NAMES) this.#names.clear()
    this.#names.set(stream, name)
    return name
  }

  lost(what: string): Error {
    return this.#corrupt(`${what} is missing, and no truncation has removed it`)
  }

  damaged(what: string): Error {
    return this.#corrupt(`${what}, is not what was appended: its checksum is wrong`)
  }

  #corrupt(what: string): Error {
    return eventError(
      'BANYAN_LOG_CORRUPT',
      `${this.file}: ${what}. \`banyan events verify\` lists all that is damaged; restore a backup`,
    )
  }

  #statement(sql: string, shape?: 'pluck' | 'raw'): Statement {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.db.prepare(sql)
      if (shape) statement[shape]()
      this.#statements.set(sql, statement)
    }
    return statement
  }
}
