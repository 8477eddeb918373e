import { createHash } from 'node:crypto'
import type { Metadata, NewEvent, Position } from '../log.js'
import { isInteger, notCloudEvent, quoted } from './attributes.js'
import { checkCloudEvent, type CloudEvent } from './cloud-event.js'
import { EXTENSION, isElsewhere, isReserved, type Exact } from './names.js'
import { formatTime, parseTime } from './time.js'

/** An event that came as a CloudEvent: what can be appended, and where it was if it comes from a log of Banyan. */
export interface ReceivedEvent extends NewEvent {
  id: string
  data: unknown
  metadata: Metadata
  tags: readonly string[]
  schemaVersion: number
  /** Of the log that it comes from, as is everything below; all are missing if another producer made the event. */
  stream?: string
  revision?: number
  position?: Position
  commit?: string
  recorded?: number
  /** Its number among the events of its commit that were kept together, from 0. */
  ordinal?: number
  /** How many events of its commit were kept together. */
  commitSize?: number
}

/** Longest id that a log takes, in bytes. */
const MAX_ID_BYTES = 255

/**
 * A CloudEvent 1.0 as an event.
 *
 * One that `toCloudEvent` made gives the same event again. One of another producer loses nothing: its extension
 * attributes become metadata of the same names; `source`, `subject`, `dataschema`, `datacontenttype`, `id`, and the text of its
 * time are kept under `metadata.cloudevent`, and `toCloudEvent` gives them back. As other producers may use the same
 * ids, its `id` becomes `<source> <id>`: appended twice, it is in the log once, for ever.
 *
 * @param cloudEvent - as JSON gives it, or a `CloudEvent` of the official package
 * @throws `BANYAN_INVALID_EVENT` that says which attribute is wrong, and what it must be
 */
export function fromCloudEvent(cloudEvent: unknown): ReceivedEvent {
  const cloud = checkCloudEvent(cloudEvent)
  // Only what was in a log has a revision.
  return cloud[EXTENSION.revision] === undefined ? fromElsewhere(cloud) : fromLog(cloud)
}

function fromLog(cloud: CloudEvent): ReceivedEvent {
  const exact = (jsonOf(cloud, 'exact', isExact) ?? {}) as Exact
  const recorded =
    cloud[EXTENSION.recorded] === undefined ? exact.recorded : timeOf(cloud, EXTENSION.recorded)
  const position = cloud[EXTENSION.position]
  const revision = numberOf(cloud, 'revision')
  const time = cloud.time === undefined ? exact.time : parseTime(cloud.time)
  const stream = exact.stream ?? textOf(cloud, 'stream')
  const commit = exact.commit ?? textOf(cloud, 'commit')
  return {
    id: exact.id ?? cloud.id,
    type: exact.type ?? cloud.type,
    ...common(cloud),
    ...(time !== undefined && { time }),
    ...(recorded !== undefined && { recorded }),
    ...(stream !== undefined && { stream }),
    ...(revision !== undefined && { revision }),
    ...(typeof position === 'string' && { position }),
    ...(commit !== undefined && { commit }),
    ...partOf(cloud),
    metadata: metadataOf(cloud),
  }
}

function fromElsewhere(cloud: CloudEvent): ReceivedEvent {
  const origin: Record<string, unknown> = { id: cloud.id, source: cloud.source }
  for (const name of ['subject', 'datacontenttype', 'dataschema'] as const)
    if (cloud[name] !== undefined) origin[name] = cloud[name]
  const time = cloud.time === undefined ? undefined : parseTime(cloud.time)
  if (time !== undefined && formatTime(time) !== cloud.time) origin['time'] = cloud.time
  for (const [name, value] of Object.entries(cloud)) if (isElsewhere(name)) origin[name] = value
  const stream = textOf(cloud, 'stream')
  const commit = textOf(cloud, 'commit')
  return {
    id: idOf(cloud.source, cloud.id),
    type: cloud.type,
    ...common(cloud),
    ...(time !== undefined && { time }),
    ...(stream !== undefined && { stream }),
    ...(commit !== undefined && { commit }),
    metadata: { ...metadataOf(cloud), cloudevent: origin },
  }
}

/** Ids are unique for their source, which has no spaces. */
function idOf(source: string, id: string): string {
  const unique = `${source} ${id}`
  if (Buffer.byteLength(unique) <= MAX_ID_BYTES) return unique
  return `sha256 ${createHash('sha256').update(unique).digest('hex')}`
}

function common(cloud: CloudEvent): Pick<ReceivedEvent, 'data' | 'tags' | 'schemaVersion'> {
  return {
    data: dataOf(cloud),
    tags: (jsonOf(cloud, 'tags', isListOfText) as string[] | undefined) ?? [],
    schemaVersion: numberOf(cloud, 'schemaVersion') ?? 1,
  }
}

function dataOf({ data, data_base64: base64 }: CloudEvent): unknown {
  if (base64 !== undefined) return new Uint8Array(Buffer.from(base64, 'base64'))
  if (ArrayBuffer.isView(data))
    return data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return data
}

function metadataOf(cloud: CloudEvent): Metadata {
  const metadata: Metadata = {}
  for (const name in cloud) {
    const value = cloud[name]
    if (name === 'correlationid') metadata.correlationId = value as string
    else if (name === 'causationid') metadata.causationId = value as string
    else if (!isReserved(name) && name !== 'data_base64') metadata[name] = value
  }
  const rest = jsonOf(cloud, 'metadata', isObject)
  return rest ? { ...metadata, ...rest } : metadata
}

function partOf(cloud: CloudEvent): Pick<ReceivedEvent, 'ordinal' | 'commitSize'> {
  const ordinal = numberOf(cloud, 'ordinal')
  const commitSize = numberOf(cloud, 'commitSize')
  return { ...(ordinal !== undefined && { ordinal }), ...(commitSize !== undefined && { commitSize }) }
}

type Extension = keyof typeof EXTENSION

function textOf(cloud: CloudEvent, extension: Extension): string | undefined {
  const value = cloud[EXTENSION[extension]]
  if (value === undefined) return undefined
  if (typeof value === 'string' && value !== '') return value
  throw wrong(cloud, extension, 'text that is not empty')
}

/** A whole number from 0; as text where attributes are text, as in headers, or above 32 bits. */
function numberOf(cloud: CloudEvent, extension: Extension): number | undefined {
  const value = cloud[EXTENSION[extension]]
  if (value === undefined) return undefined
  if (isInteger(value) && value >= 0) return value
  if (typeof value === 'string' && /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value)))
    return Number(value)
  throw wrong(cloud, extension, 'a whole number from 0')
}

function timeOf(cloud: CloudEvent, name: string): number {
  const time = parseTime(cloud[name])
  if (time === undefined)
    throw notCloudEvent(`${name} must be a time as in RFC 3339, got ${quoted(cloud[name])}`)
  return time
}

function jsonOf(
  cloud: CloudEvent,
  extension: Extension,
  fits: { (value: unknown): boolean; must: string },
): object | undefined {
  const value = cloud[EXTENSION[extension]]
  if (value === undefined) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(value as string)
  } catch {
    throw wrong(cloud, extension, fits.must)
  }
  if (fits(parsed)) return parsed as object
  throw wrong(cloud, extension, fits.must)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
isObject.must = 'the JSON text of an object'

function isExact(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.entries(value as object).every(([name, entry]) =>
      name === 'time' || name === 'recorded' ? Number.isSafeInteger(entry) : typeof entry === 'string',
    )
  )
}
isExact.must = 'the JSON text of an object of names and times'

function isListOfText(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
}
isListOfText.must = 'the JSON text of a list of texts'

function wrong(cloud: CloudEvent, extension: Extension, must: string): Error {
  const name = EXTENSION[extension]
  return notCloudEvent(`${name} must be ${must}, got ${quoted(cloud[name])}`)
}

/**
 * The stream of an event that came as a CloudEvent: the one it was in; for one of another producer its `subject`, else its
 * `source`.
 */
export function streamOf({ stream, metadata }: ReceivedEvent): string {
  if (stream !== undefined) return stream
  const { subject, source } = metadata['cloudevent'] as { subject?: string; source: string }
  return subject ?? source
}
