import type { Database, Statement } from 'better-sqlite3'
import type { LogTable } from '../log-table.js'
import { tagNames, type Names } from '../names.js'
import {
  categoryRow,
  checksumWith,
  sealRow,
  streamRow,
  tagRow,
  type CategoryRow,
  type StreamRow,
  type TagRow,
} from '../rows.js'
import type { Tail } from './tail.js'

const MARK_STREAMS = `
  UPDATE streams SET last = mark, checksum = ${checksumWith<StreamRow>(streamRow, 'last', 'mark')}
  FROM (SELECT stream AS marked, max(revision) AS mark FROM events WHERE position > ? GROUP BY stream)
  WHERE id = marked`
const MARK_CATEGORIES = `
  UPDATE categories SET last = mark, checksum = ${checksumWith<CategoryRow>(categoryRow, 'last', 'mark')}
  FROM (SELECT category AS marked, max(position) AS mark FROM events WHERE position > ? GROUP BY category)
  WHERE id = marked`
const STREAMS = `
  INSERT INTO stream_index SELECT stream, revision, position FROM events WHERE position > ? ORDER BY 1, 2`
const CATEGORIES = `
  INSERT INTO category_index SELECT category, position FROM events WHERE position > ? ORDER BY 1, 2`
const TAGS = `
  INSERT INTO tag_index SELECT t.id, e.position FROM events e, json_each(e.tags) j JOIN tags t ON t.name = j.value
  WHERE e.position > ? AND e.tags IS NOT NULL ORDER BY 1, 2`
const COMMIT_IDS = `
  INSERT INTO id_index SELECT commit_id, position FROM events WHERE position > ? AND ordinal = 0 ORDER BY 1`
const EVENT_IDS = `
  INSERT INTO id_index SELECT id, position FROM events
  WHERE position > ? AND id IS NOT NULL AND id <> commit_id ORDER BY 1`

/**
 * Brings events into the indexes: all from `log.indexed` to the end of the log. Each index is filled in the order of its
 * own keys, so that events of one stream come to one place together, and a page of an index is written once for many of
 * them.
 */
export class Indexing {
  readonly #log: LogTable
  readonly #indexStreams: Statement<[number]>
  readonly #indexCategories: Statement<[number]>
  readonly #indexTags: Statement<[number]>
  readonly #indexCommitIds: Statement<[number]>
  readonly #indexEventIds: Statement<[number]>
  readonly #tags: Names<TagRow>
  readonly #markStreams: Statement<[number]>
  readonly #markCategories: Statement<[number]>
  readonly #updateTag: Statement<[object]>
  readonly #insertTag: Statement<[object]>
  readonly #nextTag: Statement<[], number>

  constructor(db: Database, file: string, log: LogTable) {
    this.#log = log
    this.#indexStreams = db.prepare(STREAMS)
    this.#indexCategories = db.prepare(CATEGORIES)
    this.#indexTags = db.prepare(TAGS)
    this.#indexCommitIds = db.prepare(COMMIT_IDS)
    this.#indexEventIds = db.prepare(EVENT_IDS)
    this.#tags = tagNames(db, file)
    this.#markStreams = db.prepare(MARK_STREAMS)
    this.#markCategories = db.prepare(MARK_CATEGORIES)
    this.#updateTag = db.prepare('UPDATE tags SET last = @last, checksum = @checksum WHERE id = @id')
    this.#insertTag = db.prepare(
      'INSERT INTO tags (id, name, last, checksum) VALUES (@id, @name, @last, @checksum)',
    )
    this.#nextTag = db.prepare<[], number>('SELECT coalesce(max(id), 0) + 1 FROM tags').pluck()
  }

  /** To be called in a transaction, with the events that are not in the indexes. */
  run(tail: Tail): void {
    const log = this.#log.read()
    const { head, indexed } = log
    if (indexed === head) return
    this.#markStreams.run(indexed)
    this.#markCategories.run(indexed)
    this.#indexStreams.run(indexed)
    this.#indexCategories.run(indexed)
    this.#indexCommitIds.run(indexed)
    if (tail.hasGivenIds) this.#indexEventIds.run(indexed)
    if (tail.tags.size > 0) {
      // Before the index, which has their numbers.
      for (const [name, { position }] of tail.tags) this.#markTag(name, position)
      this.#indexTags.run(indexed)
    }
    this.#log.write({ ...log, indexed: head })
  }

  #markTag(name: string, last: number): void {
    const known = this.#tags.find(name)
    if (known) this.#updateTag.run(sealRow(tagRow, { ...known, last }))
    else this.#insertTag.run(sealRow(tagRow, { id: this.#nextTag.get()!, name, last }))
  }
}
