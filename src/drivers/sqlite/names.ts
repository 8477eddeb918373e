import type { Database, Statement } from 'better-sqlite3'
import { eventError } from '../../events/errors.js'
import {
  categoryRow,
  isSealed,
  streamRow,
  tagRow,
  type CategoryRow,
  type StreamRow,
  type TagRow,
} from './rows.js'

type Sealed<Row> = Row & { readonly key: string; readonly checksum: number }

/** To SQLite, bytes come behind any text. */
const BEHIND_ALL = Buffer.of(0)

/** Which names, as `LogDriver.streams` is asked. */
export interface NameQuery {
  readonly category?: string
  readonly after?: string
  readonly limit: number
}

/**
 * A table of names, read so that damage to it is found: each row has a checksum, and where a name is not found, its
 * neighbours in the index are looked at. An entry whose name has changed stands where it did; whoever looks for it ends up
 * beside it.
 */
class Names<Row extends { readonly id: number; readonly name: string }> {
  readonly #table: string
  readonly #file: string
  readonly #columns: readonly (keyof Row & string)[]
  readonly #byName: Statement<[string], Sealed<Row>>
  readonly #byId: Statement<[number], Sealed<Row>>
  readonly #before: Statement<[string], Sealed<Row>>
  readonly #behind: Statement<[string], Sealed<Row>>
  readonly #list: Statement<[object], Sealed<Row>>
  readonly #all: Statement<[], Sealed<Row>>

  constructor(db: Database, file: string, table: string, columns: readonly (keyof Row & string)[]) {
    this.#table = table
    this.#file = file
    this.#columns = columns
    // The name of `i` comes from the index, all else from the row.
    const select = `SELECT i.name AS key, t.* FROM ${table} i CROSS JOIN ${table} t ON t.id = i.id`
    this.#byName = db.prepare(`${select} WHERE i.name = ?`)
    this.#byId = db.prepare(`SELECT name AS key, * FROM ${table} WHERE id = ?`)
    this.#before = db.prepare(`${select} WHERE i.name < ? ORDER BY i.name DESC LIMIT 1`)
    this.#behind = db.prepare(`${select} WHERE i.name > ? ORDER BY i.name LIMIT 1`)
    this.#all = db.prepare(select)
    this.#list = db.prepare(
      `${select} WHERE i.name >= @from AND i.name < @to AND i.name > @after
         AND (i.name = @category OR substr(i.name, 1, length(@prefix)) = @prefix)
       ORDER BY i.name LIMIT @limit`,
    )
  }

  find(name: string): Row | undefined {
    const row = this.#byName.get(name)
    if (row) return this.#check(row)
    for (const neighbour of [this.#before.get(name), this.#behind.get(name)])
      if (neighbour) this.#check(neighbour)
    return undefined
  }

  get(id: number): Row {
    const row = this.#byId.get(id)
    if (row) return this.#check(row)
    throw this.#corrupt(`number ${id} is missing`)
  }

  /** In order of the names. */
  list({ category = '', after = '', limit }: NameQuery): Row[] {
    // Of a category are the stream of its name, and those whose names go on with a dash: neighbours in the index.
    const prefix = category === '' ? '' : `${category}-`
    const to = category === '' ? BEHIND_ALL : `${category}.`
    const from = Buffer.compare(Buffer.from(after), Buffer.from(category)) > 0 ? after : category
    return this.#list.all({ from, to, after, category, prefix, limit }).map((row) => this.#check(row))
  }

  /** Rows that are not as they were written. */
  *damaged(): Generator<Error, void, undefined> {
    for (const row of this.#all.iterate()) if (!this.#isWhole(row)) yield this.#damaged(row)
  }

  #check(row: Sealed<Row>): Row {
    if (this.#isWhole(row)) return row
    throw this.#damaged(row)
  }

  #isWhole(row: Sealed<Row>): boolean {
    return row.key === row.name && isSealed(this.#columns, row)
  }

  #damaged({ key, id }: Sealed<Row>): Error {
    return this.#corrupt(`${JSON.stringify(key)}, number ${id}, is not what was written`)
  }

  #corrupt(what: string): Error {
    return eventError(
      'BANYAN_LOG_CORRUPT',
      `${this.#file} is damaged: of its ${this.#table}, ${what}. ` +
        '`banyan events verify` lists all that is damaged; restore a backup',
    )
  }
}

export type { Names }

export function streamNames(db: Database, file: string): Names<StreamRow> {
  return new Names<StreamRow>(db, file, 'streams', streamRow)
}

export function categoryNames(db: Database, file: string): Names<CategoryRow> {
  return new Names<CategoryRow>(db, file, 'categories', categoryRow)
}

export function tagNames(db: Database, file: string): Names<TagRow> {
  return new Names<TagRow>(db, file, 'tags', tagRow)
}
