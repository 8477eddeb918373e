import type { Database } from 'better-sqlite3'

/**
 * Brings events into the indexes, in a transaction that is open: all from `log.indexed` to the end of the log. Each index
 * is filled in the order of its own keys, so that events of one stream come to one place together, and a page of an index
 * is written once for many of them.
 *
 * @returns the position of the last one
 */
export function indexEvents(db: Database): number {
  const { head, indexed } = db
    .prepare<[], { head: number; indexed: number }>('SELECT head, indexed FROM log')
    .get()!
  for (const sql of INDEXES) db.prepare<[number]>(sql).run(indexed)
  db.prepare<[number]>('UPDATE log SET indexed = ?').run(head)
  return head
}

const INDEXES = [
  'INSERT INTO stream_index SELECT stream, revision, position FROM events WHERE position > ? ORDER BY 1, 2',
  'INSERT INTO category_index SELECT category, position FROM events WHERE position > ? ORDER BY 1, 2',
  `INSERT INTO tag_index SELECT value, position FROM events, json_each(tags)
   WHERE position > ? AND tags IS NOT NULL ORDER BY 1, 2`,
  'INSERT INTO id_index SELECT commit_id, position FROM events WHERE position > ? AND ordinal = 0 ORDER BY 1',
  `INSERT INTO id_index SELECT id, position FROM events
   WHERE position > ? AND id IS NOT NULL AND id <> commit_id ORDER BY 1`,
]
