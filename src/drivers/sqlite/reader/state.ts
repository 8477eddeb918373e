import type { LogStats, StreamInfo } from '../../../events/log.js'
import { formatPosition } from '../../../events/position.js'
import type { NameQuery } from '../names.js'
import type { Reader } from './reader.js'
import { logWithTail } from './tail.js'

/**
 * Position of the last event that was recorded before a time: times never fall from one position to the next, so it is
 * found by halves.
 */
export function positionAt(reader: Reader, time: number): number {
  return reader.transaction(() => {
    let low = 1
    const { head } = reader.log()
    let high = head + 1
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
    return (firstFrom(reader, low) ?? head + 1) - 1
  })
}

function firstFrom(reader: Reader, position: number): number | undefined {
  return reader.value<number>(
    'SELECT position FROM events WHERE position >= ? ORDER BY position LIMIT 1',
    position,
  )
}

export function readStreams(reader: Reader, query: NameQuery): StreamInfo[] {
  return reader.transaction(() => {
    // Of what the indexes do not have yet.
    const ahead = new Map<number, number>()
    for (const { stream, last } of reader.rows<{ stream: number; last: number }>(
      'SELECT stream, max(revision) AS last FROM events WHERE position > ? GROUP BY stream',
      logWithTail(reader).indexed,
    ))
      ahead.set(stream, last)
    const streams = reader.streams.list(query)
    return streams.map(({ id, name, category, last, first }) => ({
      stream: name,
      category: query.category ?? reader.categories.get(category).name,
      revision: ahead.get(id) ?? last,
      firstRevision: first,
    }))
  })
}

export function readStats(reader: Reader): Omit<LogStats, 'bytes'> {
  return reader.transaction(() => {
    const log = reader.log()
    return {
      driver: 'sqlite',
      events: log.events,
      streams: reader.value<number | null>('SELECT max(id) FROM streams') ?? 0,
      commits: log.commits,
      head: formatPosition(log.head),
      first: formatPosition(firstFrom(reader, 1) ?? 0),
      format: reader.value<number>('PRAGMA user_version')!,
      holds: readHolds(reader),
    }
  })
}

/** By name. */
export function readHolds(reader: Reader): LogStats['holds'] {
  return reader
    .rows<{ name: string; position: number }>('SELECT name, position FROM holds ORDER BY name')
    .map(({ name, position }) => ({ name, position: formatPosition(position) }))
}
