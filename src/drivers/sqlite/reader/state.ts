import type { LogStats, StreamInfo } from '../../../events/log.js'
import { formatPosition } from '../../../events/position.js'
import type { Reader } from './reader.js'

/** The last revision of a stream, whose row is `s`. */
const LAST_REVISION = 'coalesce((SELECT max(revision) FROM events WHERE stream = s.id), s.first_revision - 1)'

export function revisionOf(reader: Reader, stream: string): number | 'none' {
  return reader.value<number>(`SELECT ${LAST_REVISION} FROM streams s WHERE name = ?`, stream) ?? 'none'
}

/**
 * Position of the last event that was recorded before a time: times never fall from one position to the next, so it is
 * found by halves.
 */
export function positionAt(reader: Reader, time: number): number {
  return reader.transaction(() => {
    let low = 1
    let high = reader.head() + 1
    // The first event at or behind `middle` that is still there decides for all between.
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const recorded = reader.value<number>(
        'SELECT recorded FROM events WHERE position >= ? ORDER BY position LIMIT 1',
        middle,
      )
      if (recorded !== undefined && recorded < time) low = middle + 1
      else high = middle
    }
    return firstAtOrBehind(reader, low) - 1
  })
}

/** Position of the first event from one on, or one behind the end. */
function firstAtOrBehind(reader: Reader, position: number): number {
  const first = reader.value<number>(
    'SELECT position FROM events WHERE position >= ? ORDER BY position LIMIT 1',
    position,
  )
  return first ?? reader.head() + 1
}

export function readStreams(
  reader: Reader,
  { category, after = '', limit }: { category?: string; after?: string; limit: number },
): StreamInfo[] {
  const select = `SELECT s.name AS stream, c.name AS category, ${LAST_REVISION} AS revision,
      s.first_revision AS firstRevision
    FROM streams s JOIN categories c ON c.id = s.category WHERE s.name > ?`
  if (category === undefined)
    return reader.statement(`${select} ORDER BY s.name LIMIT ?`).all(after, limit) as StreamInfo[]
  // Of a category are the stream of its name, and those whose names go on with a dash; they are neighbours in the index.
  return reader
    .statement(`${select} AND s.name >= ? AND s.name < ? AND c.name = ? ORDER BY s.name LIMIT ?`)
    .all(after, category, `${category}.`, category, limit) as StreamInfo[]
}

export function readStats(reader: Reader): Omit<LogStats, 'bytes'> {
  return reader.transaction(() => {
    const log = reader.row<{ head: number; events: number; commits: number }>(
      'SELECT head, events, commits FROM log',
    )!
    const holds = reader.statement('SELECT name, position FROM holds ORDER BY name').all() as {
      name: string
      position: number
    }[]
    return {
      driver: 'sqlite',
      events: log.events,
      streams: reader.value<number | null>('SELECT max(id) FROM streams') ?? 0,
      commits: log.commits,
      head: formatPosition(log.head),
      first: formatPosition(reader.value<number | null>('SELECT min(position) FROM events') ?? 0),
      format: reader.value<number>('PRAGMA user_version')!,
      holds: holds.map(({ name, position }) => ({ name, position: formatPosition(position) })),
    }
  })
}
