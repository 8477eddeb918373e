import type { Database, Statement } from 'better-sqlite3'
import type { Tail } from './tail.js'

/** What a writer has to know of a stream to append to it. */
export interface Head {
  readonly id: number
  readonly category: number
  /** Its last revision. */
  revision: number
}

/** How many streams are remembered. */
const LIMIT = 100_000

/** The last revisions of streams, those that were written last in memory. */
export class Heads {
  readonly #tail: Tail
  readonly #byName = new Map<string, Head>()
  readonly #byId = new Map<number, Head>()
  readonly #categories = new Map<string, number>()
  readonly #select: Statement<[string], [id: number, category: number, revision: number]>
  readonly #insert: Statement<[string, number]>
  readonly #selectCategory: Statement<[string], number>
  readonly #insertCategory: Statement<[string]>

  constructor(db: Database, tail: Tail) {
    this.#tail = tail
    this.#select = db
      .prepare<[string], [number, number, number]>(
        `SELECT id, category,
           coalesce((SELECT max(revision) FROM stream_index WHERE stream = streams.id), first_revision - 1)
         FROM streams WHERE name = ?`,
      )
      .raw()
    this.#insert = db.prepare('INSERT INTO streams (name, category) VALUES (?, ?)')
    this.#selectCategory = db.prepare<[string], number>('SELECT id FROM categories WHERE name = ?').pluck()
    this.#insertCategory = db.prepare('INSERT INTO categories (name) VALUES (?)')
  }

  /** Undefined if nothing was ever appended to it. */
  find(stream: string): Head | undefined {
    const known = this.#byName.get(stream)
    if (known) return known
    const row = this.#select.get(stream)
    if (!row) return undefined
    const [id, category, indexed] = row
    return this.#keep(stream, { id, category, revision: this.#tail.revisionOf(id) ?? indexed })
  }

  /** A stream that is not there yet. */
  add(stream: string, category: string): Head {
    const categoryId = this.#categoryOf(category)
    const id = Number(this.#insert.run(stream, categoryId).lastInsertRowid)
    return this.#keep(stream, { id, category: categoryId, revision: -1 })
  }

  /** Someone else has appended to a stream. */
  moved(id: number, revision: number): void {
    const head = this.#byId.get(id)
    if (head) head.revision = revision
  }

  /** Forgets everything: what was written was taken back. */
  clear(): void {
    this.#byName.clear()
    this.#byId.clear()
    this.#categories.clear()
  }

  #categoryOf(name: string): number {
    let id = this.#categories.get(name)
    if (id !== undefined) return id
    id = this.#selectCategory.get(name) ?? Number(this.#insertCategory.run(name).lastInsertRowid)
    if (this.#categories.size >= LIMIT) this.#categories.clear()
    this.#categories.set(name, id)
    return id
  }

  #keep(stream: string, head: Head): Head {
    if (this.#byName.size >= LIMIT) this.#forgetOldest()
    this.#byName.set(stream, head)
    this.#byId.set(head.id, head)
    return head
  }

  #forgetOldest(): void {
    let left = LIMIT / 10
    for (const [stream, { id }] of this.#byName) {
      this.#byName.delete(stream)
      this.#byId.delete(id)
      if (--left === 0) return
    }
  }
}
