import type { Database } from 'better-sqlite3'
import type { Truncation } from '../../../events/log.js'
import { parsePosition } from '../../../events/position.js'

/** Events that are removed in one transaction: others can append between two of them. */
const EVENTS = 1000

/** What one transaction of a truncation did. */
export interface Slice {
  readonly removed: number
  /** Nothing is left to remove. */
  readonly end: boolean
  /** The hold that keeps others. */
  readonly heldBy?: string
}

interface Row {
  readonly position: number
  readonly stream: number
  readonly category: number
  readonly revision: number
  readonly tags: string | null
}

interface Hold {
  readonly name: string
  readonly position: number
}

/**
 * Removes the first events of a truncation, in a transaction that is open. Holds are looked at each time: one that was
 * set meanwhile counts.
 */
export function truncateSlice(db: Database, what: Truncation): Slice {
  const hold = db.prepare<[], Hold>('SELECT name, position FROM holds ORDER BY position, name LIMIT 1').get()
  const rows = firstOf(db, what)
  const free = hold ? rows.filter(({ position }) => position <= hold.position) : rows
  if (free.length > 0) remove(db, free)
  if (hold && free.length < rows.length) return { removed: free.length, end: true, heldBy: hold.name }
  return { removed: free.length, end: rows.length < EVENTS }
}

const COLUMNS = 'position, stream, category, revision, tags'

/** The first events that are to go, in order of position. */
function firstOf(db: Database, what: Truncation): Row[] {
  if ('stream' in what)
    return db
      .prepare<unknown[], Row>(
        `SELECT ${COLUMNS} FROM events
         WHERE stream = (SELECT id FROM streams WHERE name = ?) AND revision < ? ORDER BY revision LIMIT ?`,
      )
      .all(what.stream, what.beforeRevision, EVENTS)
  if ('category' in what)
    return db
      .prepare<unknown[], Row>(
        `SELECT ${COLUMNS} FROM events
         WHERE category = (SELECT id FROM categories WHERE name = ?) AND position <= ? ORDER BY position LIMIT ?`,
      )
      .all(what.category, parsePosition(what.upTo), EVENTS)
  return db
    .prepare<unknown[], Row>(`SELECT ${COLUMNS} FROM events WHERE position <= ? ORDER BY position LIMIT ?`)
    .all(parsePosition(what.upTo), EVENTS)
}

function remove(db: Database, rows: readonly Row[]): void {
  const deleteEvent = db.prepare<[number]>('DELETE FROM events WHERE position = ?')
  const deleteTag = db.prepare<[string, number]>('DELETE FROM tags WHERE tag = ? AND position = ?')
  const streams = new Map<number, Row>()
  const categories = new Map<number, number>()
  for (const row of rows) {
    deleteEvent.run(row.position)
    if (row.tags !== null)
      for (const tag of JSON.parse(row.tags) as string[]) deleteTag.run(tag, row.position)
    streams.set(row.stream, row)
    categories.set(row.category, row.position)
  }
  const markStream = db.prepare<[number, number, number]>(
    'UPDATE streams SET first_revision = ?, truncated = ? WHERE id = ?',
  )
  for (const [id, { revision, position }] of streams) markStream.run(revision + 1, position, id)
  const markCategory = db.prepare<[number, number]>(
    'UPDATE categories SET truncated = max(truncated, ?) WHERE id = ?',
  )
  for (const [id, position] of categories) markCategory.run(position, id)
  db.prepare<[number, number]>('UPDATE log SET events = events - ?, truncated = max(truncated, ?)').run(
    rows.length,
    rows.at(-1)!.position,
  )
}
