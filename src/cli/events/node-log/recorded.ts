import { eventError } from '../../../events/errors.js'
import { fromCloudEvent, parseCloudEvent } from '../../../events/cloudevents/index.js'
import type { Commit, NewEvent, RecordedEvent } from '../../../events/index.js'

/** The event of the log that a CloudEvent of the node is. */
export function recordedOf(text: string): RecordedEvent {
  const { id, type, data, metadata, tags, schemaVersion, ...where } = fromCloudEvent(parseCloudEvent(text))
  const { time, recorded, stream, revision, position, commit } = where
  if (
    time === undefined ||
    recorded === undefined ||
    stream === undefined ||
    revision === undefined ||
    position === undefined ||
    commit === undefined
  )
    throw eventError('BANYAN_LOG_UNAVAILABLE', `the node gave an event that does not say where it is: ${id}`)
  return { id, type, data, metadata, tags, schemaVersion, time, recorded, stream, revision, position, commit }
}

/** A commit as JSON, as `POST /api/events` takes it. */
export function commitJson({ id, streams = [], checks }: Commit): string {
  // By name: the node refuses what it does not know, and events of an export say more than new ones do.
  return JSON.stringify({
    id,
    checks,
    streams: streams.map(({ stream, expected, events }) => ({
      stream,
      expected,
      events: events.map(eventJson),
    })),
  })
}

function eventJson({ id, type, data, metadata, tags, schemaVersion, time }: NewEvent): object {
  const event = { id, type, metadata, tags, schemaVersion, time }
  return data instanceof Uint8Array
    ? { ...event, dataBase64: Buffer.from(data).toString('base64') }
    : { ...event, data }
}
