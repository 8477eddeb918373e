import type { LogStats, StreamInfo } from '../../../events/log.js'
import { formatPosition } from '../../../events/position.js'
import type { Reader } from './reader.js'
import { INDEXED_REVISION } from './revisions.js'

/**
 * Position of the last event that was recorded before a time: times never fall from one position to the next, so it is
 * found by halves.
 */
export function positionAt(reader: Reader, time: number): number {
  return reader.transaction(() => {
    let low = 1
    let high = reader.head() + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      // Where some were removed, the first behind them decides.
      const recorded = reader.value<number>(
        'SELECT recorded FROM events WHERE position >= ? ORDER BY position LIMIT 1',
        middle,
      )
      if (recorded !== undefined && recorded < time) low = middle + 1
      else high = middle
    }
    return (firstFrom(reader, low) ?? reader.head() + 1) - 1
  })
}

function firstFrom(reader: Reader, position: number): number | undefined {
  return reader.value<number>(
    'SELECT position FROM events WHERE position >= ? ORDER BY position LIMIT 1',
    position,
  )
}

/** Which streams, as `LogDriver.streams` is asked. */
export interface StreamQuery {
  readonly category?: string
  readonly after?: string
  readonly limit: number
}

export function readStreams(reader: Reader, query: StreamQuery): StreamInfo[] {
  return reader.transaction(() => {
    // Of what the indexes do not have yet.
    const ahead = new Map<number, number>()
    for (const { stream, revision } of reader.rows<{ stream: number; revision: number }>(
      `SELECT stream, max(revision) AS revision FROM events
       WHERE position > (SELECT indexed FROM log) GROUP BY stream`,
    ))
      ahead.set(stream, revision)
    return selectStreams(reader, query).map(({ id, ...info }) => ({
      ...info,
      revision: ahead.get(id) ?? info.revision,
    }))
  })
}

function selectStreams(
  reader: Reader,
  { category, after = '', limit }: StreamQuery,
): (StreamInfo & { id: number })[] {
  const select = `SELECT s.id, s.name AS stream, c.name AS category, ${INDEXED_REVISION} AS revision,
      s.first_revision AS firstRevision
    FROM streams s JOIN categories c ON c.id = s.category WHERE s.name > ?`
  if (category === undefined) return reader.rows(`${select} ORDER BY s.name LIMIT ?`, after, limit)
  // Of a category are the stream of its name, and those whose names go on with a dash: neighbours in the index.
  return reader.rows(
    `${select} AND s.name >= ? AND s.name < ? AND c.name = ? ORDER BY s.name LIMIT ?`,
    after,
    category,
    `${category}.`,
    category,
    limit,
  )
}

export function readStats(reader: Reader): Omit<LogStats, 'bytes'> {
  return reader.transaction(() => {
    const log = reader.row<{ head: number; events: number; commits: number }>(
      'SELECT head, events, commits FROM log',
    )!
    const holds = reader.rows<{ name: string; position: number }>(
      'SELECT name, position FROM holds ORDER BY name',
    )
    return {
      driver: 'sqlite',
      events: log.events,
      streams: reader.value<number | null>('SELECT max(id) FROM streams') ?? 0,
      commits: log.commits,
      head: formatPosition(log.head),
      first: formatPosition(firstFrom(reader, 1) ?? 0),
      format: reader.value<number>('PRAGMA user_version')!,
      holds: holds.map(({ name, position }) => ({ name, position: formatPosition(position) })),
    }
  })
}
