import type { Query } from '../../../events/driver.js'
import { parsePosition } from '../../../events/position.js'
import type { LogRow } from '../rows.js'
import type { Reader } from './reader.js'
import { revisionAfter } from './revisions.js'
import { COLUMNS, type EventRow } from './row.js'

/**
 * The way through the log to what a query asks for. Along it keys rise: positions, or revisions of a stream. Each event
 * says which key comes before its own; so it is found out when one was left out, be it by a damaged index.
 */
export interface Trail {
  /** Its parts, in order. */
  readonly segments: readonly Segment[]
  readonly keyOf: (row: EventRow) => number
  readonly previousOf: (row: EventRow) => number
  /** A column more that `previousOf` needs; the last of a row. */
  readonly link?: string
  /** No key up to this one is on it; undefined if that cannot be told. */
  readonly before: number | undefined
  /** What has a key up to this one may have been removed. */
  readonly removed: number
  /** Up to this position events of what was asked for may have been removed. */
  readonly truncated: number
  /** What is missing where a key is. */
  readonly at: (key: number) => string
}

/** A part of a trail: along an index, or, behind what is indexed, along the events themselves. */
export interface Segment {
  readonly from: string
  readonly where: string
  readonly parameters: readonly unknown[]
  /** The column that rises, and between what. */
  readonly column: string
  readonly low: number
  readonly high: number
  /** The last key; undefined if that cannot be told. */
  readonly last: number | undefined
}

/** Where a query begins and ends: both are positions, the first is not in it. */
interface Bounds {
  readonly after: number
  readonly last: number
}

/** The trail of a query; undefined if there is nothing of what it asks for. */
export function trailOf(reader: Reader, query: Query, log: LogRow): Trail | undefined {
  const upTo = query.upTo === undefined ? Infinity : parsePosition(query.upTo)
  const before = query.before === undefined ? Infinity : parsePosition(query.before)
  const bounds = { after: parsePosition(query.after), last: Math.min(upTo, before - 1, log.head) }
  if (query.stream !== undefined) return streamTrail(reader, query, query.stream, bounds, log)
  const [tag] = query.tags ?? []
  if (tag !== undefined) return tagTrail(reader, tag, bounds, log)
  if (query.category !== undefined) return categoryTrail(reader, query.category, bounds, log)
  return {
    segments: [
      {
        from: 'events e',
        where: 'true',
        parameters: [],
        column: 'e.position',
        low: bounds.after + 1,
        high: bounds.last,
        last: bounds.last,
      },
    ],
    keyOf: positionOf,
    previousOf: (row) => row[0] - 1,
    before: bounds.after,
    removed: log.truncated,
    truncated: log.missed,
    at: atPosition,
  }
}

function streamTrail(
  reader: Reader,
  { fromRevision = 0, toRevision = Number.MAX_SAFE_INTEGER }: Query,
  name: string,
  { after, last }: Bounds,
  { indexed }: LogRow,
): Trail | undefined {
  const stream = reader.streams.find(name)
  if (!stream) return undefined
  const low = Math.max(fromRevision, revisionAfter(reader, stream, after))
  const high = Math.min(toRevision, revisionAfter(reader, stream, Math.min(last, indexed)) - 1)
  return {
    segments: [
      { ...alongIndex('stream', stream.id), column: 'i.revision', low, high, last: high },
      {
        from: 'events e',
        where: 'e.stream = ? AND e.revision BETWEEN ? AND ?',
        parameters: [stream.id, fromRevision, toRevision],
        ...behindIndex(after, last, indexed),
      },
    ],
    keyOf: (row) => row[2],
    previousOf: (row) => row[2] - 1,
    before: after > indexed ? undefined : low - 1,
    removed: -1,
    truncated: stream.truncated,
    at: (revision) => `revision ${revision} of stream ${name}`,
  }
}

function categoryTrail(
  reader: Reader,
  name: string,
  { after, last }: Bounds,
  { indexed }: LogRow,
): Trail | undefined {
  const category = reader.categories.find(name)
  if (!category) return undefined
  const index = alongIndex('category', category.id)
  const link = 'e.category_previous'
  const previousOf = (row: EventRow): number => row[14] as number
  const high = Math.min(last, indexed)
  return {
    segments: [
      {
        ...index,
        column: 'i.position',
        low: after + 1,
        high,
        last: lastUpTo(reader, index, { high, indexed, link, previousOf }) ?? category.last,
      },
      {
        from: 'events e',
        where: 'e.category = ?',
        parameters: [category.id],
        ...behindIndex(after, last, indexed),
      },
    ],
    keyOf: positionOf,
    previousOf,
    link,
    before: after,
    removed: category.truncated,
    truncated: category.truncated,
    at: atPosition,
  }
}

function tagTrail(reader: Reader, name: string, { after, last }: Bounds, log: LogRow): Trail {
  const { indexed, missed } = log
  const tag = reader.tags.find(name)
  const link = 'e.tags_previous'
  const previousOf = (row: EventRow): number => previousOfTag(row, name)
  const high = Math.min(last, indexed)
  const tail = {
    from: 'events e',
    where: 'EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)',
    parameters: [name],
    ...behindIndex(after, last, indexed),
  }
  const segments: Segment[] = [tail]
  if (tag) {
    const index = alongIndex('tag', tag.id)
    const lastKey = lastUpTo(reader, index, { high, indexed, link, previousOf }) ?? tag.last
    segments.unshift({ ...index, column: 'i.position', low: after + 1, high, last: lastKey })
  }
  return {
    segments,
    keyOf: positionOf,
    previousOf,
    link,
    before: after,
    removed: missed,
    truncated: missed,
    at: atPosition,
  }
}

const positionOf = (row: EventRow): number => row[0]
const atPosition = (position: number): string => `the event at position ${position}`

/** What an index has and the events have not was lost, and must not be left out in silence: so it is a left join. */
function alongIndex(
  index: 'stream' | 'category' | 'tag',
  of: number,
): Pick<Segment, 'from' | 'where' | 'parameters'> {
  return {
    from: `${index}_index i LEFT JOIN events e ON e.position = i.position`,
    where: `i.${index} = ?`,
    parameters: [of],
  }
}

function behindIndex(
  after: number,
  last: number,
  indexed: number,
): Pick<Segment, 'column' | 'low' | 'high' | 'last'> {
  return { column: 'e.position', low: Math.max(after, indexed) + 1, high: last, last: undefined }
}

/** The last position of an index up to one, as the event behind it says; undefined if there is none behind it. */
function lastUpTo(
  reader: Reader,
  { from, where, parameters }: Pick<Segment, 'from' | 'where' | 'parameters'>,
  {
    high,
    indexed,
    link,
    previousOf,
  }: { high: number; indexed: number } & Pick<Trail, 'previousOf'> & { link: string },
): number | undefined {
  if (high >= indexed) return undefined
  const sql = `SELECT ${COLUMNS}, ${link} FROM ${from} WHERE ${where} AND i.position > ? ORDER BY i.position LIMIT 1`
  for (const row of reader.raw<EventRow>(sql, ...parameters, high)) {
    if ((row[0] as number | null) === null) throw reader.lost('an event that an index has')
    return previousOf(row)
  }
  return undefined
}

/** Position of the event before one that has a tag. */
function previousOfTag(row: EventRow, tag: string): number {
  try {
    const tags = JSON.parse(row[10] ?? '[]') as string[]
    return (JSON.parse(row[14] as string) as number[])[tags.indexOf(tag)] ?? Infinity
  } catch {
    // Damaged: whatever is before it may be missing.
    return Infinity
  }
}
