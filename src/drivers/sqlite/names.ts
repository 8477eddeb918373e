import type { Database, Statement } from 'better-sqlite3'
import { eventError } from '../../events/errors.js'
import {
  categoryRow,
  checksumOfRow,
  streamRow,
  tagRow,
  type CategoryRow,
  type StreamRow,
  type TagRow,
} from './rows.js'

/** The name as the index has it, the columns of the row, and its checksum. */
type Raw = [key: string, ...values: unknown[]]

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
  readonly #byId: Statement<[number], Raw>
  readonly #before: Statement<[string], Raw>
  readonly #after: Statement<[string], Raw>
  readonly #from: Statement<[string], Raw>
  readonly #list: Statement<[object], Raw>
  readonly #all: Statement<[], Raw>

  constructor(db: Database, file: string, table: string, columns: readonly (keyof Row & string)[]) {
    this.#table = table
    this.#file = file
    this.#columns = columns
    // The name of `i` comes from the index, all else from the row; one that is not found must not hide the name.
    const all = [...columns, 'checksum'].map((column) => `t.${column}`).join(', ')
    const select = `SELECT i.name, ${all} FROM ${table} i LEFT JOIN ${table} t ON t.id = i.id`
    this.#byId = prepare(`SELECT t.name, ${all} FROM ${table} t WHERE t.id = ?`)
    this.#before = prepare(`${select} WHERE i.name < ? ORDER BY i.name DESC LIMIT 2`)
    this.#after = prepare(`${select} WHERE i.name > ? ORDER BY i.name LIMIT 2`)
    this.#from = prepare(`${select} WHERE i.name >= ? ORDER BY i.name LIMIT 1`)
    this.#all = prepare(select)
    this.#list = prepare(
      `${select} WHERE i.name >= @from AND i.name < @to AND i.name > @after
         AND (i.name = @category OR substr(i.name, 1, length(@prefix)) = @prefix)
       ORDER BY i.name LIMIT @limit`,
    )

    function prepare<Parameters extends unknown[]>(sql: string): Statement<Parameters, Raw> {
      return db.prepare<Parameters, Raw>(sql).raw()
    }
  }

  find(name: string): Row | undefined {
    const raw = this.#from.get(name)
    const row = raw && this.#check(raw)
    if (row?.name === name) return row
    this.#mustBeNone(name)
    return undefined
  }

  /**
   * A damaged page leads astray whoever looks for a name. So its neighbours are looked at: the two before it and the two
   * behind it must be what was written, and stand in their order.
   */
  #mustBeNone(name: string): void {
    const before = this.#before.all(name).reverse()
    const around = [...before.map((raw) => this.#check(raw).name), name]
    for (const raw of this.#after.all(name)) around.push(this.#check(raw).name)
    for (let index = 1; index < around.length; index++)
      if (Buffer.compare(Buffer.from(around[index - 1]!), Buffer.from(around[index]!)) >= 0)
        throw this.#corrupt(`${JSON.stringify(around[index])} does not stand in its place`)
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

  #check(raw: Raw): Row {
    if (!this.#isWhole(raw)) throw this.#damaged(raw)
    const row: Record<string, unknown> = {}
    for (let index = 0; index < this.#columns.length; index++) row[this.#columns[index]!] = raw[index + 1]
    return row as Row
  }

  #isWhole(raw: Raw): boolean {
    const values = raw.slice(1, -1)
    return raw[0] === values[1] && checksumOfRow(values) === raw.at(-1)
  }

  #damaged(raw: Raw): Error {
    return this.#corrupt(`${JSON.stringify(raw[0])}, number ${String(raw[1])}, is not what was written`)
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
