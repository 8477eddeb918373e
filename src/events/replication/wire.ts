import type { Page, StoredEvent } from '../driver.js'
import { eventError } from '../errors.js'
import { isWhole } from '../checksum.js'
import type { Pulled } from './source.js'
import type { ShippedCommit } from '../replica.js'

/** An event on its way: what follows from others is left out. */
type WireEvent = readonly [
  stream: string,
  revision: number,
  position: string,
  ordinal: number,
  recorded: number,
  type: string,
  schemaVersion: number,
  time: number,
  checksum: number,
  id: string | null,
  tags: readonly string[] | null,
  metadata: string | null,
  /** JSON as a text, bytes as a list with their base64. */
  data: string | readonly [string] | null,
]

type WireCommit = Omit<ShippedCommit, 'events'> & { readonly events: readonly WireEvent[] }

export function packPulled({ commits, ...rest }: Pulled): string {
  const packed = commits.map(({ events, ...commit }) => ({ ...commit, events: events.map(packEvent) }))
  return JSON.stringify({ ...rest, commits: packed })
}

/** @throws `BANYAN_LOG_CORRUPT` if an event is not what was appended */
export function unpackPulled(text: string): Pulled {
  const { commits, ...rest } = JSON.parse(text) as Omit<Pulled, 'commits'> & {
    readonly commits: readonly WireCommit[]
  }
  const unpacked = commits.map(({ events, ...commit }) => ({
    ...commit,
    events: events.map((event) => unpackEvent(commit.id, event)),
  }))
  return { ...rest, commits: unpacked }
}

export function packPage({ events, ...rest }: Page): string {
  return JSON.stringify({ ...rest, events: events.map((event) => [event.commit, packEvent(event)]) })
}

/** @throws `BANYAN_LOG_CORRUPT` if an event is not what was appended */
export function unpackPage(text: string): Page {
  const { events, ...rest } = JSON.parse(text) as Omit<Page, 'events'> & {
    readonly events: readonly (readonly [string, WireEvent])[]
  }
  return { ...rest, events: events.map(([commit, event]) => unpackEvent(commit, event)) }
}

function packEvent(event: StoredEvent): WireEvent {
  const { stream, revision, position, ordinal, recorded, type, schemaVersion, time, checksum } = event
  const { id = null, tags, metadata, data } = event
  return [
    stream,
    revision,
    position,
    ordinal,
    recorded,
    type,
    schemaVersion,
    time,
    checksum,
    id,
    tags.length === 0 ? null : tags,
    metadata === '' ? null : metadata,
    data === undefined ? null : typeof data === 'string' ? data : [Buffer.from(data).toString('base64')],
  ]
}

function unpackEvent(commit: string, wire: WireEvent): StoredEvent {
  const [stream, revision, position, ordinal, recorded, type, schemaVersion, time, checksum] = wire
  const [, , , , , , , , , id, tags, metadata, data] = wire
  const event = {
    id: id ?? undefined,
    ordinal,
    type,
    data: data === null ? undefined : typeof data === 'string' ? data : bytesOf(data[0]),
    metadata: metadata ?? '',
    tags: tags ?? [],
    schemaVersion,
    time,
    checksum,
    commit,
    stream,
    revision,
    position,
    recorded,
  }
  checkWhole(event)
  return event
}

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

/** @throws `BANYAN_LOG_CORRUPT` */
export function checkWhole(event: StoredEvent): void {
  if (isWhole(event)) return
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `the event at position ${event.position}, ${event.stream}@${event.revision}, is not what was appended: its checksum is wrong. ` +
      'It was damaged at the leader or on its way; nothing of it was kept',
  )
}
