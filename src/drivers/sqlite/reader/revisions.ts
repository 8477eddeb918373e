import type { Reader } from './reader.js'

/** The last revision of a stream, whose row is `s`, as the indexes have it. */
export const INDEXED_REVISION =
  'coalesce((SELECT max(revision) FROM stream_index WHERE stream = s.id), s.first_revision - 1)'

export function revisionOf(reader: Reader, stream: string): number | 'none' {
  const sql = `SELECT coalesce(
      (SELECT max(revision) FROM events WHERE position > (SELECT indexed FROM log) AND stream = s.id),
      ${INDEXED_REVISION})
    FROM streams s WHERE name = ?`
  return reader.value<number>(sql, stream) ?? 'none'
}

/**
 * The first revision of a stream that is in the index and behind a position; one more than the last in the index if there
 * is none.
 *
 * @param first - the first that was not removed
 */
export function revisionAfter(reader: Reader, stream: number, first: number, position: number): number {
  if (position === 0) return first
  const last =
    reader.value<number | null>('SELECT max(revision) FROM stream_index WHERE stream = ?', stream) ??
    first - 1
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
  return high
}

function positionOf(reader: Reader, stream: number, revision: number): number {
  const position = reader.value<number>(
    'SELECT position FROM stream_index WHERE stream = ? AND revision = ?',
    stream,
    revision,
  )
  if (position === undefined) throw reader.lost(`revision ${revision} of stream ${reader.nameOf(stream)}`)
  return position
}
