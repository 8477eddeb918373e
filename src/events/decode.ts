import { isWhole } from './checksum.js'
import { eventId, type StoredEvent } from './driver.js'
import { eventError } from './errors.js'
import type { Metadata, RecordedEvent } from './log.js'

const NO_METADATA: Metadata = Object.freeze({})

/**
 * What a driver gave back, as it was appended.
 *
 * @throws `BANYAN_LOG_CORRUPT` if it is not what was appended
 */
export function decodeEvent(stored: StoredEvent): RecordedEvent {
  const { stream, commit, revision, position, data, metadata } = stored
  if (!isWhole(stored)) throw corrupt(stored)
  return {
    id: stored.id ?? eventId(commit, stored.ordinal),
    type: stored.type,
    // Bytes and tags are copied: what a reader does to them must not come to what the driver keeps.
    data: typeof data === 'string' ? (JSON.parse(data) as unknown) : data && new Uint8Array(data),
    metadata: metadata === '' ? NO_METADATA : (JSON.parse(metadata) as Metadata),
    tags: stored.tags.length === 0 ? stored.tags : [...stored.tags],
    schemaVersion: stored.schemaVersion,
    time: stored.time,
    recorded: stored.recorded,
    stream,
    revision,
    position,
    commit,
  }
}

function corrupt({ stream, revision, position }: StoredEvent): Error {
  return eventError(
    'BANYAN_LOG_CORRUPT',
    `the event at position ${position}, ${stream}@${revision}, is not what was appended: its checksum is wrong. ` +
      'Nothing behind it is read. `banyan events verify` lists all that is damaged; restore a backup',
  )
}
