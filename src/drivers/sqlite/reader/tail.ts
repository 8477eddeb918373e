import { isWhole } from '../../../events/checksum.js'
import type { LogRow } from '../rows.js'
import type { Reader } from './reader.js'
import { COLUMNS, storedEvent, type EventRow } from './row.js'

/** Rows at a time. */
const CHUNK = 16

/** Those who have looked; what they write themselves, or see written, they need not check again. */
const checked = new WeakSet<Reader>()

/**
 * `Reader.log` for those who look through the events that are not in the indexes, as a process that did not close the log
 * has left them. Nothing else says which of them a stream or a category has: one whose number of the stream is damaged
 * would be left out in silence. So they are checked once.
 *
 * @throws `BANYAN_LOG_CORRUPT`
 */
export function logWithTail(reader: Reader): LogRow {
  const log = reader.log()
  if (!checked.has(reader)) checkTail(reader, log)
  checked.add(reader)
  return log
}

function checkTail(reader: Reader, { indexed, head, truncated }: LogRow): void {
  const sql = `SELECT ${COLUMNS}, e.category FROM events e WHERE e.position > ? AND e.position <= ? ORDER BY e.position LIMIT ?`
  let at = indexed
  while (at < head) {
    const rows = reader.raw<EventRow>(sql, at, head, CHUNK)
    for (const row of rows) {
      const position = row[0]
      if (position > at + 1 && position > truncated + 1) throw missing(reader, at + 1)
      checkEvent(reader, row)
      at = position
    }
    if (rows.length < CHUNK) break
  }
  if (at < head && head > truncated) throw missing(reader, at + 1)
}

function checkEvent(reader: Reader, row: EventRow): void {
  const stream = row[1]
  const event = storedEvent(row, reader.nameOf(stream))
  if (!isWhole(event) || reader.streams.get(stream).category !== row[14])
    throw reader.damaged(`the event at position ${event.position}, ${event.stream}@${event.revision}`)
}

function missing(reader: Reader, position: number): Error {
  return reader.lost(`the event at position ${position}`)
}
