import type { Database, Statement } from 'better-sqlite3'

/** What a writer has to know of a stream to append to it. */
export interface Head {
  readonly id: number
  readonly category: number
  /** Its last revision. */
  revision: number
}

/** How many streams are remembered. */
const LIMIT = 100_000

/** The last revisions of the streams that were written last. True as long as nobody else has written. */
export class Heads {
  readonly #heads = new Map<string, Head>()
  readonly #categories = new Map<string, number>()
  readonly #select: Statement<[string], [number, number, number]>
  readonly #insert: Statement<[string, number]>
  readonly #selectCategory: Statement<[string], number>
  readonly #insertCategory: Statement<[string]>

  constructor(db: Database) {
    this.#select = db
      .prepare<[string], [number, number, number]>(
        `SELECT id, category, coalesce((SELECT max(revision) FROM events WHERE stream = streams.id), first_revision - 1)
         FROM streams WHERE name = ?`,
      )
      .raw()
    this.#insert = db.prepare('INSERT INTO streams (name, category) VALUES (?, ?)')
    this.#selectCategory = db.prepare<[string], number>('SELECT id FROM categories WHERE name = ?').pluck()
    this.#insertCategory = db.prepare('INSERT INTO categories (name) VALUES (?)')
  }

  /** Undefined if nothing was ever appended to it. */
  find(stream: string): Head | undefined {
    const known = this.#heads.get(stream)
    if (known) return known
    const row = this.#select.get(stream)
    if (!row) return undefined
    const [id, category, revision] = row
    return this.#keep(stream, { id, category, revision })
  }

  /** A stream that is not there yet. */
  add(stream: string, category: string): Head {
    let categoryId = this.#categories.get(category) ?? this.#selectCategory.get(category)
    categoryId ??= Number(this.#insertCategory.run(category).lastInsertRowid)
    if (this.#categories.size >= LIMIT) this.#categories.clear()
    this.#categories.set(category, categoryId)
    const id = Number(this.#insert.run(stream, categoryId).lastInsertRowid)
    return this.#keep(stream, { id, category: categoryId, revision: -1 })
  }

  /** Forgets everything: someone else has written, or what was written was taken back. */
  clear(): void {
    this.#heads.clear()
    this.#categories.clear()
  }

  #keep(stream: string, head: Head): Head {
    if (this.#heads.size >= LIMIT) this.#forgetOldest()
    this.#heads.set(stream, head)
    return head
  }

  #forgetOldest(): void {
    let left = LIMIT / 10
    for (const stream of this.#heads.keys()) {
      this.#heads.delete(stream)
      if (--left === 0) return
    }
  }
}
