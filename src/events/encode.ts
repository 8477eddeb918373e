import type { Clock } from '../core/clock.js'
import { suggest } from '../core/suggest.js'
import { checksumOf, digestOf } from './checksum.js'
import { eventId, type EncodedCommit, type EncodedEvent, type EncodedStream } from './driver.js'
import { eventError } from './errors.js'
import { toJson } from './json.js'
import type { Commit, Expected, NewEvent, StreamAppend } from './log.js'
import { categoryOf, checkName, MAX_STREAM_BYTES } from './names.js'
import { uuid7 } from './uuid.js'

/** The largest things that are taken. */
export interface Limits {
  /** Bytes of data and metadata of one event. */
  readonly eventBytes: number
  /** Bytes of one commit. */
  readonly commitBytes: number
  /** Events of one commit, over all of its streams. */
  readonly commitEvents: number
}

const MAX_TAGS = 32
const NO_TAGS: readonly string[] = Object.freeze([])
const COMMIT_PARTS = ['id', 'streams', 'checks']
const STREAM_PARTS = ['stream', 'expected', 'events']
const CHECK_PARTS = ['stream', 'expected']
const EVENT_PARTS = ['id', 'type', 'data', 'metadata', 'tags', 'schemaVersion', 'time']
/** What events also have that were read, or came from elsewhere: they can be appended as they are. */
const READ_PARTS = ['stream', 'revision', 'position', 'commit', 'recorded', 'fault', 'ordinal', 'commitSize']
const TAKEN_PARTS = new Set([...EVENT_PARTS, ...READ_PARTS])
/** Larger than any category, so that one more byte a name is not counted wrong. */
const OVERHEAD_BYTES = 64

/**
 * Checks a commit and turns it into what drivers store.
 *
 * @throws `BANYAN_INVALID_COMMIT`, `BANYAN_INVALID_EVENT`, `BANYAN_EVENT_TOO_LARGE`
 */
export function encodeCommit(commit: Commit, limits: Limits, clock: Clock): EncodedCommit {
  checkParts(commit, 'a commit', COMMIT_PARTS)
  const { streams: appends = [], checks = [] } = commit
  checkList(appends, 'streams')
  checkList(checks, 'checks')
  const id = commit.id ?? defaultId(appends, clock)
  checkName(id, 'the id of a commit', 'BANYAN_INVALID_COMMIT')
  const recorded = Math.floor(clock.wall())
  const streams: EncodedStream[] = []
  let ordinal = 0
  let bytes = 0

  for (const append of appends) {
    checkParts(append, 'an entry of streams', STREAM_PARTS)
    const { stream, expected = 'any', events } = append
    checkStream(stream)
    checkExpected(stream, expected)
    if (!Array.isArray(events) || events.length === 0)
      throw eventError(
        'BANYAN_INVALID_COMMIT',
        `no events for stream ${stream}; to only look at it, use checks`,
      )
    const encoded: EncodedEvent[] = []
    for (const event of events as readonly NewEvent[]) {
      if (typeof event !== 'object' || (event as NewEvent | null) === null)
        throw eventError(
          'BANYAN_INVALID_EVENT',
          `event ${encoded.length} for stream ${stream} must be an object with a type, got ${described(event)}`,
        )
      const one = encodeEvent(stream, id, ordinal, event, recorded)
      const size = sizeOf(one)
      if (size > limits.eventBytes)
        throw eventError(
          'BANYAN_EVENT_TOO_LARGE',
          `event ${one.type} for stream ${stream} has ${size} bytes, more than ${limits.eventBytes} (eventBytes)`,
        )
      bytes += size + stream.length + id.length + OVERHEAD_BYTES
      encoded.push(one)
      ordinal++
    }
    streams.push({ stream, category: categoryOf(stream), expected, events: encoded })
  }
  if (ordinal > limits.commitEvents)
    throw eventError(
      'BANYAN_EVENT_TOO_LARGE',
      `commit ${id} has ${ordinal} events, more than ${limits.commitEvents} (commitEvents)`,
    )
  if (bytes > limits.commitBytes)
    throw eventError(
      'BANYAN_EVENT_TOO_LARGE',
      `commit ${id} has ${bytes} bytes, more than ${limits.commitBytes} (commitBytes)`,
    )

  for (const check of checks) {
    checkParts(check, 'an entry of checks', CHECK_PARTS)
    const { stream, expected } = check
    checkStream(stream)
    checkExpected(stream, expected)
  }
  if (appends.length + checks.length > 1) checkStreamsDiffer([...appends, ...checks])
  if (ordinal > 1) checkIdsDiffer(id, streams)
  return { id, digest: digestOf(id, streams), streams, checks, recorded, events: ordinal, bytes }
}

/** The id of a commit that was given none. */
export function defaultId(streams: readonly StreamAppend[], clock: Clock): string {
  // What is no stream or no event is told of later, where it stands.
  const given = streams as readonly (Partial<StreamAppend> | null)[]
  const first = (given[0]?.events?.[0] as NewEvent | null | undefined)?.id
  const all =
    first !== undefined &&
    given.every(
      (append) =>
        Array.isArray(append?.events) &&
        append.events.every((event: NewEvent | null) => event?.id !== undefined),
    )
  return all ? first : uuid7(clock.wall())
}

/** A name that is not known would be passed over in silence, with the events or the condition that it stands for. */
function checkParts(value: object, what: string, known: readonly string[]): void {
  if (typeof value !== 'object' || (value as object | null) === null)
    throw eventError(
      'BANYAN_INVALID_COMMIT',
      `${what} must be an object with ${known.join(', ')}, got ${described(value)}`,
    )
  for (const name of Object.keys(value))
    if (!known.includes(name))
      throw eventError('BANYAN_INVALID_COMMIT', `${what} has ${known.join(', ')}, not ${name}`)
}

function checkList(value: unknown, what: string): void {
  if (!Array.isArray(value))
    throw eventError('BANYAN_INVALID_COMMIT', `${what} of a commit must be a list, got ${described(value)}`)
}

function described(value: unknown): string {
  return (
    typeof value === 'bigint' ? `${value}n` : ((JSON.stringify(value) as string | undefined) ?? 'nothing')
  ).slice(0, 80)
}

function checkStream(stream: unknown): void {
  checkName(stream, 'the name of a stream', 'BANYAN_INVALID_COMMIT', MAX_STREAM_BYTES)
}

function checkStreamsDiffer(entries: readonly { stream: string }[]): void {
  const seen = new Set<string>()
  for (const { stream } of entries) {
    if (seen.has(stream))
      throw eventError(
        'BANYAN_INVALID_COMMIT',
        `stream ${stream} stands twice in one commit; put it all into one entry`,
      )
    seen.add(stream)
  }
}

function checkIdsDiffer(commit: string, streams: readonly EncodedStream[]): void {
  const seen = new Set<string>()
  for (const { events } of streams)
    for (const { id } of events) {
      if (id === undefined) continue
      if (seen.has(id))
        throw eventError('BANYAN_INVALID_COMMIT', `two events of commit ${commit} have the id ${id}`)
      seen.add(id)
    }
}

function checkExpected(stream: string, expected: Expected): void {
  if (expected === 'any' || expected === 'none' || expected === 'exists') return
  if (typeof expected === 'number' && Number.isSafeInteger(expected) && expected >= 0) return
  throw eventError(
    'BANYAN_INVALID_COMMIT',
    `the expected revision of ${stream} must be any, none, exists or a whole number from 0, got ${described(expected)}`,
  )
}

function encodeEvent(
  stream: string,
  commit: string,
  ordinal: number,
  event: NewEvent,
  recorded: number,
): EncodedEvent {
  const { id, type, data, metadata, tags = [], schemaVersion = 1, time = recorded } = event
  for (const name of Object.keys(event)) if (!TAKEN_PARTS.has(name)) throw unknownPart(stream, event, name)
  checkName(type, 'the type of an event')
  // The first event of a commit that took its id from it has that id already.
  if (id !== undefined) checkName(id, `the id of event ${type}`)
  if (!Number.isSafeInteger(schemaVersion) || schemaVersion < 1 || schemaVersion > 0x7fffffff)
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `the schemaVersion of ${type} must be a whole number from 1, got ${String(schemaVersion)}`,
    )
  if (!Number.isSafeInteger(time))
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `the time of ${type} must be whole ms since the epoch, got ${String(time)}`,
    )
  if (tags.length > 0) checkTags(type, tags)
  const encoded = {
    id: id === undefined || id === eventId(commit, ordinal) ? undefined : id,
    ordinal,
    type,
    data:
      data === undefined
        ? data
        : data instanceof Uint8Array
          ? new Uint8Array(data)
          : toJson(data, `data of ${type}`),
    metadata: encodeMetadata(type, metadata),
    // As bytes are, so that what the caller does to them later does not come to the log.
    tags: tags.length === 0 ? NO_TAGS : [...tags],
    schemaVersion,
    time,
    checksum: 0,
  }
  encoded.checksum = checksumOf(stream, commit, encoded)
  return encoded
}

/** What is not known would be gone when the event is read. */
function unknownPart(stream: string, { type }: { type: unknown }, name: string): Error {
  const near = suggest(name, EVENT_PARTS)
  return eventError(
    'BANYAN_INVALID_EVENT',
    `${typeof type === 'string' ? type : 'an event'} for stream ${stream} has ${name}, which would not be kept` +
      (near
        ? `; did you mean ${near}?`
        : `: an event has ${EVENT_PARTS.join(', ')}. What is known of it belongs into its data`),
  )
}

function encodeMetadata(type: string, metadata: NewEvent['metadata']): string {
  if (metadata === undefined) return ''
  const text = toJson(metadata, `metadata of ${type}`)
  if (!text.startsWith('{'))
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `metadata of ${type} must be an object, got ${text.slice(0, 40)}`,
    )
  return text === '{}' ? '' : text
}

function checkTags(type: string, tags: readonly string[]): void {
  if (!Array.isArray(tags))
    throw eventError('BANYAN_INVALID_EVENT', `the tags of ${type} must be a list, got ${described(tags)}`)
  if (tags.length > MAX_TAGS)
    throw eventError('BANYAN_INVALID_EVENT', `${type} has ${tags.length} tags, more than ${MAX_TAGS}`)
  for (const tag of tags) checkName(tag, `a tag of ${type}`)
  if (new Set(tags).size < tags.length)
    throw eventError('BANYAN_INVALID_EVENT', `${type} has a tag twice: ${tags.join(', ')}`)
}

/** Bytes of data and metadata. Text counts its UTF-8 only if it is near enough to matter. */
function sizeOf({ data, metadata }: EncodedEvent): number {
  if (data === undefined) return metadata.length
  if (typeof data !== 'string') return data.byteLength + metadata.length
  return (data.length > 65_536 ? Buffer.byteLength(data) : data.length) + metadata.length
}
