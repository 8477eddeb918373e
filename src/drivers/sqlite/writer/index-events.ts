import type { Database } from 'better-sqlite3'
import { LogTable } from '../log-table.js'
import { categoryNames, streamNames, tagNames } from '../names.js'
import { categoryRow, sealRow, streamRow, tagRow } from '../rows.js'

/**
 * Brings events into the indexes, in a transaction that is open: all from `log.indexed` to the end of the log. Each index
 * is filled in the order of its own keys, so that events of one stream come to one place together, and a page of an index
 * is written once for many of them.
 *
 * @returns the position of the last one
 */
export function indexEvents(db: Database, file: string): number {
  const table = new LogTable(db, file)
  const log = table.read()
  const { head, indexed } = log
  if (indexed === head) return head
  markStreams(db, file, indexed)
  markCategories(db, file, indexed)
  markTags(db, file, indexed)
  for (const sql of INDEXES) db.prepare<[number]>(sql).run(indexed)
  table.write({ ...log, indexed: head })
  return head
}

const INDEXES = [
  'INSERT INTO stream_index SELECT stream, revision, position FROM events WHERE position > ? ORDER BY 1, 2',
  'INSERT INTO category_index SELECT category, position FROM events WHERE position > ? ORDER BY 1, 2',
  `INSERT INTO tag_index SELECT t.id, e.position FROM events e, json_each(e.tags) j JOIN tags t ON t.name = j.value
   WHERE e.position > ? AND e.tags IS NOT NULL ORDER BY 1, 2`,
  'INSERT INTO id_index SELECT commit_id, position FROM events WHERE position > ? AND ordinal = 0 ORDER BY 1',
  `INSERT INTO id_index SELECT id, position FROM events
   WHERE position > ? AND id IS NOT NULL AND id <> commit_id ORDER BY 1`,
]

/** The last event of something among those that come into the indexes. */
interface Last<Of> {
  readonly of: Of
  readonly last: number
}

function markStreams(db: Database, file: string, indexed: number): void {
  const names = streamNames(db, file)
  const update = db.prepare('UPDATE streams SET last = @last, checksum = @checksum WHERE id = @id')
  const lasts = db
    .prepare<[number], Last<number>>(
      'SELECT stream AS "of", max(revision) AS last FROM events WHERE position > ? GROUP BY stream',
    )
    .all(indexed)
  for (const { of, last } of lasts) update.run(sealRow(streamRow, { ...names.get(of), last }))
}

function markCategories(db: Database, file: string, indexed: number): void {
  const names = categoryNames(db, file)
  const update = db.prepare('UPDATE categories SET last = @last, checksum = @checksum WHERE id = @id')
  const lasts = db
    .prepare<[number], Last<number>>(
      'SELECT category AS "of", max(position) AS last FROM events WHERE position > ? GROUP BY category',
    )
    .all(indexed)
  for (const { of, last } of lasts) update.run(sealRow(categoryRow, { ...names.get(of), last }))
}

function markTags(db: Database, file: string, indexed: number): void {
  const lasts = db
    .prepare<[number], Last<string>>(
      `SELECT j.value AS "of", max(e.position) AS last FROM events e, json_each(e.tags) j
       WHERE e.position > ? AND e.tags IS NOT NULL GROUP BY j.value`,
    )
    .all(indexed)
  if (lasts.length === 0) return
  const names = tagNames(db, file)
  const update = db.prepare('UPDATE tags SET last = @last, checksum = @checksum WHERE id = @id')
  const insert = db.prepare(
    'INSERT INTO tags (id, name, last, checksum) VALUES (@id, @name, @last, @checksum)',
  )
  let next = db.prepare<[], number>('SELECT coalesce(max(id), 0) + 1 FROM tags').pluck().get()!
  for (const { of: name, last } of lasts) {
    const known = names.find(name)
    if (known) update.run(sealRow(tagRow, { ...known, last }))
    else insert.run(sealRow(tagRow, { id: next++, name, last }))
  }
}
