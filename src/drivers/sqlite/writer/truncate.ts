import type { Database } from 'better-sqlite3'
import type { Truncation } from '../../../events/log.js'
import { parsePosition } from '../../../events/position.js'
import { LogTable } from '../log-table.js'
import { categoryNames, streamNames } from '../names.js'
import { categoryRow, sealRow, streamRow } from '../rows.js'
import { Ids } from './ids.js'

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
  readonly revision: number
  readonly category: number
  readonly commit: string
  readonly id: string | null
  readonly tags: string | null
}

interface Hold {
  readonly name: string
  readonly position: number
}

/**
 * Removes the first events of a truncation, in a transaction that is open and has brought all events into the indexes.
 * Holds are looked at each time: one that was set meanwhile counts.
 */
export function truncateSlice(db: Database, file: string, what: Truncation): Slice {
  const forget = 'stream' in what && (what.forget ?? false)
  const slice = removeSlice(db, file, what, forget ? undefined : firstHold(db))
  if (slice.streams.size > 0) number(db, slice.streams, forget)
  return slice
}

/**
 * Removes the first events of a stream that a leader has removed, holds or not.
 *
 * @returns whether nothing is left to remove
 */
export function truncateCopy(db: Database, file: string, what: Truncation & { stream: string }): boolean {
  return removeSlice(db, file, what, undefined).end
}

/** @param hold - what it may not remove */
function removeSlice(
  db: Database,
  file: string,
  what: Truncation,
  hold: Hold | undefined,
): Slice & { streams: ReadonlySet<number> } {
  const forget = 'stream' in what && (what.forget ?? false)
  const rows = firstOf(db, what)
  const free = hold ? rows.filter(({ position }) => position <= hold.position) : rows
  if (free.length > 0) {
    const forgotten = keepOutcomes(db, free, forget)
    remove(db, free)
    mark(db, file, free, { forget, forgotten })
  }
  const streams = new Set(free.map(({ stream }) => stream))
  if (hold && free.length < rows.length)
    return { removed: free.length, end: true, heldBy: hold.name, streams }
  return { removed: free.length, end: rows.length < EVENTS, streams }
}

/** Notes for followers of which streams something was removed. */
function number(db: Database, streams: ReadonlySet<number>, forget: boolean): void {
  const insert = db.prepare(
    `INSERT INTO truncations SELECT ?, coalesce(max(number), 0) + 1, ? FROM truncations WHERE true
     ON CONFLICT (stream) DO UPDATE SET number = excluded.number, forget = excluded.forget`,
  )
  for (const stream of streams) insert.run(stream, forget ? 1 : 0)
}

function firstHold(db: Database): Hold | undefined {
  return db.prepare<[], Hold>('SELECT name, position FROM holds ORDER BY position, name LIMIT 1').get()
}

/** The first events that are to go, in order of position. */
function firstOf(db: Database, what: Truncation): Row[] {
  const columns = 'e.position, e.stream, e.revision, e.category, e.commit_id AS "commit", e.id, e.tags'
  if ('stream' in what)
    return db
      .prepare<unknown[], Row>(
        `SELECT ${columns} FROM stream_index i JOIN events e ON e.position = i.position
         WHERE i.stream = (SELECT id FROM streams WHERE name = ?) AND i.revision < ? ORDER BY i.revision LIMIT ?`,
      )
      .all(what.stream, what.beforeRevision, EVENTS)
  if ('category' in what)
    return db
      .prepare<unknown[], Row>(
        `SELECT ${columns} FROM category_index i JOIN events e ON e.position = i.position
         WHERE i.category = (SELECT id FROM categories WHERE name = ?) AND i.position <= ? ORDER BY i.position LIMIT ?`,
      )
      .all(what.category, parsePosition(what.upTo), EVENTS)
  return db
    .prepare<unknown[], Row>(
      `SELECT ${columns} FROM events e WHERE e.position <= ? ORDER BY e.position LIMIT ?`,
    )
    .all(parsePosition(what.upTo), EVENTS)
}

/**
 * What was answered to commits is kept for those who ask again: it cannot be told from their events any more.
 *
 * @param forget - not of commits of which nothing is left: they are forgotten
 * @returns how many are forgotten
 */
function keepOutcomes(db: Database, rows: readonly Row[], forget: boolean): number {
  const last = rows.at(-1)!.revision
  let forgotten = 0
  const ids = new Ids(db)
  const insert = db.prepare<[string, number, number, string]>(
    'INSERT INTO truncated_commits VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const fromIds = db.prepare<[string]>('DELETE FROM id_index WHERE id = ?')
  const fromTruncated = db.prepare<[string]>('DELETE FROM truncated_commits WHERE id = ?')
  for (const id of new Set(rows.map(({ commit }) => commit))) {
    const taken = ids.taken(id)
    if (taken?.by !== 'commit') continue
    const [revision, ...others] = taken.revisions
    if (forget && others.length === 0 && revision! <= last) {
      fromIds.run(id)
      fromTruncated.run(id)
      forgotten++
    } else insert.run(id, taken.digest, taken.position, JSON.stringify(taken.revisions))
  }
  if (forget) for (const { id, commit } of rows) if (id !== null && id !== commit) fromIds.run(id)
  return forgotten
}

function remove(db: Database, rows: readonly Row[]): void {
  const fromEvents = db.prepare<[number]>('DELETE FROM events WHERE position = ?')
  const fromStreams = db.prepare<[number, number]>(
    'DELETE FROM stream_index WHERE stream = ? AND revision = ?',
  )
  const fromCategories = db.prepare<[number, number]>(
    'DELETE FROM category_index WHERE category = ? AND position = ?',
  )
  const fromTags = db.prepare<[string, number]>(
    'DELETE FROM tag_index WHERE tag = (SELECT id FROM tags WHERE name = ?) AND position = ?',
  )
  for (const { position, stream, revision, category, tags } of rows) {
    fromEvents.run(position)
    fromStreams.run(stream, revision)
    fromCategories.run(category, position)
    if (tags !== null) for (const tag of JSON.parse(tags) as string[]) fromTags.run(tag, position)
  }
}

/** Notes what is gone, so that readers can tell it from what is lost. */
function mark(
  db: Database,
  file: string,
  rows: readonly Row[],
  { forget, forgotten }: { forget: boolean; forgotten: number },
): void {
  const streams = streamNames(db, file)
  const markStream = db.prepare(
    'UPDATE streams SET first = @first, truncated = @truncated, checksum = @checksum WHERE id = @id',
  )
  for (const [id, { revision, position }] of new Map(rows.map((row) => [row.stream, row])))
    markStream.run(sealRow(streamRow, { ...streams.get(id), first: revision + 1, truncated: position }))

  const categories = categoryNames(db, file)
  const markCategory = db.prepare(
    'UPDATE categories SET truncated = @truncated, checksum = @checksum WHERE id = @id',
  )
  for (const [id, position] of new Map(rows.map((row) => [row.category, row.position]))) {
    const category = categories.get(id)
    const truncated = Math.max(category.truncated, position)
    markCategory.run(sealRow(categoryRow, { ...category, truncated }))
  }

  const table = new LogTable(db, file)
  const log = table.read()
  const truncated = Math.max(log.truncated, rows.at(-1)!.position)
  // Whoever looks for a tag compares what he finds with what should be there.
  const last = forget ? rows.findLast(({ tags }) => tags !== null) : rows.at(-1)
  const missed = Math.max(log.missed, last?.position ?? 0)
  table.write({
    ...log,
    events: log.events - rows.length,
    commits: log.commits - forgotten,
    truncated,
    missed,
  })
}
