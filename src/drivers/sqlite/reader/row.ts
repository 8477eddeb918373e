import type { StoredEvent } from '../../../events/driver.js'
import { formatPosition } from '../../../events/position.js'
import { seal } from '../seal.js'

/** Columns of an event, in the order of {@link EventRow}; its last is one more. */
export const COLUMNS = `e.position, e.stream, e.revision, e.commit_id, e.ordinal, e.id, e.type, e.schema_version,
  e.time, e.recorded, e.tags, e.metadata, e.checksum, e.data`

export type EventRow = [
  position: number,
  stream: number,
  revision: number,
  commit: string,
  ordinal: number,
  id: string | null,
  type: string,
  schemaVersion: number,
  time: number,
  recorded: number,
  tags: string | null,
  metadata: string | null,
  checksum: number,
  data: string | Buffer | number | null,
  link: string | number | null,
]

const NO_TAGS: readonly string[] = []
/** What a row takes besides its data and metadata, about. */
const ROW_BYTES = 256

/** What is stored, as whoever checks it wants it. */
export function storedEvent(row: EventRow, stream: string): StoredEvent {
  const [position, , revision, commit, ordinal, id, type, schemaVersion, time, recorded] = row
  const tags = row[10]
  const data = row[13]
  return {
    id: id === null ? undefined : textOf(id),
    ordinal,
    type: textOf(type),
    data: typeof data === 'string' ? data : bytesOf(data),
    metadata: row[11] === null ? '' : textOf(row[11]),
    tags: tags === null ? NO_TAGS : tagsOf(textOf(tags)),
    schemaVersion,
    time,
    checksum: seal(row[12], position, revision, recorded),
    commit: textOf(commit),
    stream,
    revision,
    position: formatPosition(position),
    recorded,
  }
}

export function sizeOf(row: EventRow): number {
  const data = row[13]
  return ROW_BYTES + (row[11]?.length ?? 0) + (data === null || typeof data === 'number' ? 0 : data.length)
}

/** One bit makes bytes of a text, which would read the same. They become a text that no checksum is of. */
function textOf(value: string): string {
  return typeof value === 'string' ? value : `\0${String(value)}`
}

/** What is damaged becomes something that its checksum is not of; whoever compares it says where. */
function bytesOf(data: Exclude<EventRow[13], string>): Uint8Array | string | undefined {
  if (data === null) return undefined
  if (typeof data === 'number') return String(data)
  // The empty array that SQLite gives has no memory, which makes zlib forget the checksum it goes on from.
  return data.length === 0 ? new Uint8Array() : new Uint8Array(data.buffer, data.byteOffset, data.length)
}

function tagsOf(tags: string): readonly string[] {
  try {
    return JSON.parse(tags) as string[]
  } catch {
    return [tags]
  }
}
