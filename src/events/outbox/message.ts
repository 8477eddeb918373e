import { duration } from '../../core/duration.js'
import { andThen, isPromise, type Maybe } from '../../core/maybe.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { encodeCommit, type Limits } from '../encode.js'
import { eventError } from '../errors.js'
import type { NewEvent } from '../log.js'
import { appendsOf, checkTopic, type NewMessage } from '../pubsub/topic.js'
import type { EventTransform } from '../transform.js'
import { uuid7 } from '../uuid.js'
import type { OutboxRow } from './store.js'

/** What decides whether a message can be relayed. */
export interface Checks {
  readonly limits: Limits
  readonly types: EventTransform | undefined
  readonly runtime: Runtime
}

/**
 * Messages as they are kept, each checked as `publish` of a topic would: what a log refuses is refused before it is in the
 * outbox.
 *
 * @param isSynchronous - nothing may be waited for
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_EVENT`, `BANYAN_EVENT_TOO_LARGE`, `BANYAN_INVALID_COMMIT`,
 *   `BANYAN_UNKNOWN_EVENT_TYPE`
 */
export function rowsOf(
  topic: string,
  messages: readonly NewMessage[],
  checks: Checks,
  isSynchronous: boolean,
): Maybe<OutboxRow[]> {
  checkTopic(topic)
  const rows = messages.map((message) => rowOf(topic, message, checks, isSynchronous))
  return rows.some(isPromise) ? Promise.all(rows.map(async (row) => row)) : (rows as OutboxRow[])
}

function rowOf(
  topic: string,
  message: NewMessage,
  { limits, types, runtime }: Checks,
  isSynchronous: boolean,
): Maybe<OutboxRow> {
  const streams = appendsOf(topic, [message], runtime)
  const now = Math.floor(runtime.clock.wall())
  const { key, delay, deliverAt, ...event } = message
  const id = event.id ?? uuid7(now)
  const due = deliverAt ?? (delay === undefined ? undefined : now + duration(delay, 'delay'))
  // Where it is kept until it is due, its id is longer.
  if (due !== undefined) encodeCommit({ streams }, limits, runtime.clock)
  const stream = key === undefined ? topic : `${topic}-${key}`
  const row = ({ schemaVersion }: NewEvent): OutboxRow => {
    const encoded = encodeCommit({ streams: [{ stream, events: [{ ...event, id }] }] }, limits, runtime.clock)
    const { data, metadata, time } = encoded.streams[0]!.events[0]!
    const isBinary = data instanceof Uint8Array
    return {
      id,
      topic,
      key: key ?? null,
      type: event.type,
      data: isBinary ? null : (data ?? null),
      bytes: isBinary ? data : null,
      metadata: metadata === '' ? null : metadata,
      tags: event.tags && event.tags.length > 0 ? JSON.stringify(event.tags) : null,
      schemaVersion: schemaVersion ?? null,
      time,
      deliverAt: due === undefined ? null : Math.ceil(due),
      published: now,
      size: Buffer.byteLength(data ?? '') + metadata.length,
    }
  }
  if (!types?.write) return row(event)
  const checked = types.write({ ...event, id }, stream)
  if (isSynchronous && isPromise(checked)) {
    checked.catch(() => undefined)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the schema of ${event.type} checks asynchronously, and a transaction of SQLite does not wait: give it one that answers at once`,
    )
  }
  return andThen(checked, row)
}

/**
 * A message as it was published.
 *
 * @throws `BANYAN_INVALID_EVENT` for what SQL has written that is no message; a `SyntaxError` for what is no JSON
 */
export function messageOf(row: OutboxRow): NewMessage {
  const { id, key, type, data, bytes, metadata, schemaVersion, time, deliverAt, published } = row
  if (data !== null && bytes !== null)
    throw eventError('BANYAN_INVALID_EVENT', `${type} has data and bytes, of which an event has one`)
  const tags: unknown = row.tags === null ? null : JSON.parse(row.tags)
  if (tags !== null && !Array.isArray(tags))
    throw eventError('BANYAN_INVALID_EVENT', `the tags of ${type} must be a JSON list, got ${row.tags}`)
  return {
    id,
    type,
    ...(key !== null && { key }),
    ...(bytes !== null
      ? { data: new Uint8Array(bytes) }
      : data !== null && { data: JSON.parse(data) as unknown }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) as NonNullable<NewEvent['metadata']> }),
    ...(tags !== null && { tags: tags as string[] }),
    ...(schemaVersion !== null && { schemaVersion }),
    // When it happened is when it was published, however long it has waited.
    time: time ?? published,
    ...(deliverAt !== null && { deliverAt }),
  }
}
