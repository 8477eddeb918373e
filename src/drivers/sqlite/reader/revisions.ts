import type { StreamRow } from '../rows.js'
import type { Reader } from './reader.js'
import { logWithTail } from './tail.js'

/** Of a stream, with what the indexes do not have yet. */
export function revisionOf(reader: Reader, name: string): number | 'none' {
  return reader.transaction(() => {
    const stream = reader.streams.find(name)
    if (!stream) return 'none'
    const ahead = reader.value<number | null>(
      'SELECT max(revision) FROM events WHERE position > ? AND stream = ?',
      logWithTail(reader).indexed,
      stream.id,
    )
    return ahead ?? stream.last
  })
}

/**
 * The first revision of a stream that is in the index and behind a position; one more than the last in the index if there
 * is none.
 */
export function revisionAfter(reader: Reader, stream: StreamRow, position: number): number {
  const { first, last } = stream
  if (position === 0) return first
  // Most who ask are near the end: back from there in steps that double, then by halves.
  let high = last + 1
  let low = high
  for (let step = 1; low > first; step *= 2) {
    low = Math.max(first, high - step)
    if (positionOf(reader, stream, low) <= position) break
    high = low
  }
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (positionOf(reader, stream, middle) <= position) low = middle + 1
    else high = middle
  }
  // What the index says of the one before decides what is left out.
  if (high > first) mustBeThere(reader, stream, high - 1)
  return high
}

function positionOf(reader: Reader, { id, name }: StreamRow, revision: number): number {
  const position = reader.value<number>(
    'SELECT position FROM stream_index WHERE stream = ? AND revision = ?',
    id,
    revision,
  )
  if (position === undefined) throw reader.lost(`revision ${revision} of stream ${name}`)
  return position
}

function mustBeThere(reader: Reader, stream: StreamRow, revision: number): void {
  const found = reader.value<number>(
    'SELECT count(*) FROM events WHERE position = ? AND stream = ? AND revision = ?',
    positionOf(reader, stream, revision),
    stream.id,
    revision,
  )
  if (found !== 1) throw reader.lost(`revision ${revision} of stream ${stream.name}`)
}
