import type { Database, Statement } from 'better-sqlite3'
import { categoryNames, streamNames, type Names } from '../names.js'
import { categoryRow, sealRow, streamRow, type CategoryRow, type StreamRow } from '../rows.js'
import type { Tail } from './tail.js'

/** What a writer has to know of a stream to append to it. */
export interface Head {
  readonly id: number
  readonly category: number
  /** Its last revision. */
  revision: number
}

/** How many streams, and how many categories, are remembered. */
const LIMIT = 100_000

/** The last revisions of streams, those that were written last in memory. */
export class Heads {
  readonly #tail: Tail
  readonly #streams: Names<StreamRow>
  readonly #categories: Names<CategoryRow>
  readonly #byName = new Map<string, Head>()
  readonly #byId = new Map<number, Head>()
  readonly #categoryIds = new Map<string, number>()
  /** Number of the stream that was added last; undefined if someone else may have added one. */
  #lastStream: number | undefined
  readonly #insertStream: Statement<[StreamRow & { checksum: number }]>
  readonly #insertCategory: Statement<[CategoryRow & { checksum: number }]>
  readonly #selectLastStream: Statement<[], number>
  readonly #nextCategory: Statement<[], number>

  constructor(db: Database, file: string, tail: Tail) {
    this.#tail = tail
    this.#streams = streamNames(db, file)
    this.#categories = categoryNames(db, file)
    this.#insertStream = db.prepare(
      `INSERT INTO streams (id, name, category, last, first, truncated, checksum)
       VALUES (@id, @name, @category, @last, @first, @truncated, @checksum)`,
    )
    this.#insertCategory = db.prepare(
      'INSERT INTO categories (id, name, last, truncated, checksum) VALUES (@id, @name, @last, @truncated, @checksum)',
    )
    this.#selectLastStream = db.prepare<[], number>('SELECT coalesce(max(id), 0) FROM streams').pluck()
    this.#nextCategory = db.prepare<[], number>('SELECT coalesce(max(id), 0) + 1 FROM categories').pluck()
  }

  /** Undefined if nothing was ever appended to it. */
  find(name: string): Head | undefined {
    const known = this.#byName.get(name)
    if (known) return known
    const row = this.#streams.find(name)
    if (!row) return undefined
    const { id, category, last } = row
    return this.#keep(name, { id, category, revision: this.#tail.lastOfStream(id)?.revision ?? last })
  }

  /** A stream that is not there yet. */
  add(name: string, categoryName: string): Head {
    const id = (this.#lastStream ??= this.#selectLastStream.get()!) + 1
    this.#lastStream = id
    const category = this.#categoryOf(categoryName)
    const row = { id, name, category, last: -1, first: 0, truncated: 0 }
    this.#insertStream.run(sealRow(streamRow, row))
    return this.#keep(name, { id, category, revision: -1 })
  }

  /** Someone else has appended. */
  othersWrote(): void {
    this.#lastStream = undefined
  }

  /** Someone else has appended to a stream. */
  moved(stream: number, revision: number): void {
    const head = this.#byId.get(stream)
    if (head) head.revision = revision
  }

  /** Forgets everything: what was written was taken back, or what others wrote is not known. */
  clear(): void {
    this.#byName.clear()
    this.#byId.clear()
    this.#categoryIds.clear()
    this.#lastStream = undefined
  }

  #categoryOf(name: string): number {
    let id = this.#categoryIds.get(name)
    if (id !== undefined) return id
    id = this.#categories.find(name)?.id
    if (id === undefined) {
      id = this.#nextCategory.get()!
      this.#insertCategory.run(sealRow(categoryRow, { id, name, last: 0, truncated: 0 }))
    }
    if (this.#categoryIds.size >= LIMIT) this.#categoryIds.clear()
    this.#categoryIds.set(own(name), id)
    return id
  }

  #keep(stream: string, head: Head): Head {
    if (this.#byName.size >= LIMIT) this.#forgetOldest()
    this.#byName.set(own(stream), head)
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

/** A copy of a part of a longer text, which would keep all of that in memory. */
function own(text: string): string {
  return Buffer.from(text).toString()
}
