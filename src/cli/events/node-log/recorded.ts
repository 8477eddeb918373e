import { eventError } from '../../../events/errors.js'
import { fromCloudEvent, parseCloudEvent } from '../../../events/cloudevents/index.js'
import type { Commit, RecordedEvent } from '../../../events/index.js'

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
export function commitJson({ streams = [], ...commit }: Commit): string {
  return JSON.stringify({
    ...commit,
    streams: streams.map(({ events, ...append }) => ({
      ...append,
      events: events.map(({ data, ...event }) =>
        data instanceof Uint8Array
          ? { ...event, dataBase64: Buffer.from(data).toString('base64') }
          : { ...event, data },
      ),
    })),
  })
}
