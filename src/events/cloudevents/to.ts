import type { RecordedEvent } from '../log.js'
import {
  isAttributeValue,
  isFilledText,
  isJsonType,
  isMediaType,
  isText,
  isUri,
  isUriReference,
  jsonText,
  NAME,
  notCloudEvent,
  quoted,
  shown,
} from './attributes.js'
import type { CloudEvent } from './cloud-event.js'
import { EXTENSION, isElsewhere, isReserved, type Exact } from './names.js'
import { formatTime, parseTime } from './time.js'

/** How an event goes out. */
export interface CloudEventOptions {
  /** The log that it comes from: a URI reference. Events that came in as CloudEvents go out with the source they had. */
  source: string
  /** Which of how many events of its commit it is, from 0, where they are kept together. */
  part?: { ordinal: number; of: number }
}

/**
 * An event as a CloudEvent 1.0. Nothing is lost: `fromCloudEvent` gives the same event, also after JSON.
 *
 * @throws `BANYAN_INVALID_EVENT` if the source is not a URI reference
 */
export function toCloudEvent(event: RecordedEvent, { source, part }: CloudEventOptions): CloudEvent {
  if (!isUriReference(source))
    throw notCloudEvent(`source must be a URI reference that is not empty, got ${quoted(source)}`)
  const { stream, position, revision, commit, tags, schemaVersion, metadata } = event
  const origin = originOf(metadata['cloudevent'])
  const exact: Exact = {}

  const cloud: CloudEvent = {
    specversion: '1.0',
    id: (origin && originText(origin, 'id')) ?? name(event.id, 'id', exact),
    source: origin && isUriReference(origin['source']) ? origin['source'] : source,
    type: name(event.type, 'type', exact),
  }
  if (origin && cloud.id !== event.id) exact.id = event.id
  const subject = origin ? originText(origin, 'subject') : shown(stream)
  if (subject !== undefined) cloud.subject = subject
  const time = timeOf(event.time, origin)
  if (time === undefined) exact.time = event.time
  else cloud.time = time
  if (origin && isUri(origin['dataschema'])) cloud.dataschema = origin['dataschema']
  cloud[EXTENSION.stream] = name(stream, 'stream', exact)
  cloud[EXTENSION.revision] = revision < 2 ** 31 ? revision : String(revision)
  cloud[EXTENSION.position] = position
  cloud[EXTENSION.commit] = name(commit, 'commit', exact)
  if (part) {
    cloud[EXTENSION.ordinal] = part.ordinal
    cloud[EXTENSION.commitSize] = part.of
  }
  const recorded = formatTime(event.recorded)
  if (recorded === undefined) exact.recorded = event.recorded
  else cloud[EXTENSION.recorded] = recorded
  if (schemaVersion !== 1) cloud[EXTENSION.schemaVersion] = schemaVersion
  if (tags.length > 0) cloud[EXTENSION.tags] = jsonText(tags)
  cloud['partitionkey'] = shown(stream)
  cloud['sequence'] = position
  if (origin) addOrigin(cloud, origin)
  addMetadata(cloud, metadata)
  if (Object.keys(exact).length > 0) cloud[EXTENSION.exact] = jsonText(exact)
  addData(cloud, event.data, origin)
  return cloud
}

/** What a CloudEvent from elsewhere was, if the event came in as one. */
function originOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function originText(origin: Record<string, unknown>, attribute: string): string | undefined {
  const value = origin[attribute]
  return isFilledText(value) ? value : undefined
}

/** A name of the log as an attribute; kept in `exact` too if an attribute cannot hold it. */
function name(value: string, field: 'id' | 'type' | 'stream' | 'commit', exact: Exact): string {
  if (isText(value)) return value
  exact[field] = value
  return shown(value)
}

/** The text in which the time came, if it still says the same. */
function timeOf(time: number, origin: Record<string, unknown> | undefined): string | undefined {
  const text = origin?.['time']
  return typeof text === 'string' && parseTime(text) === time ? text : formatTime(time)
}

/** Attributes of a CloudEvent from elsewhere that mean something else here, as they came. */
function addOrigin(cloud: CloudEvent, origin: Record<string, unknown>): void {
  for (const [attribute, value] of Object.entries(origin))
    if (isElsewhere(attribute) && isAttributeValue(value)) cloud[attribute] = value
}

/** Metadata that an attribute can hold is one; the rest is JSON. */
function addMetadata(cloud: CloudEvent, metadata: RecordedEvent['metadata']): void {
  let rest: [string, unknown][] | undefined
  for (const [key, value] of Object.entries(metadata)) {
    if (value === undefined) continue
    if (key === 'correlationId' && isText(value)) cloud['correlationid'] = value
    else if (key === 'causationId' && isText(value)) cloud['causationid'] = value
    else if (NAME.test(key) && !isReserved(key) && isAttributeValue(value)) cloud[key] = value
    else (rest ??= []).push([key, value])
  }
  // An object made of entries keeps a key like __proto__.
  if (rest) cloud[EXTENSION.metadata] = jsonText(Object.fromEntries(rest))
}

function addData(cloud: CloudEvent, data: unknown, origin: Record<string, unknown> | undefined): void {
  const came = origin && isMediaType(origin['datacontenttype']) ? origin['datacontenttype'] : undefined
  if (data instanceof Uint8Array) {
    const type = came ?? (origin ? undefined : 'application/octet-stream')
    if (type !== undefined) cloud.datacontenttype = type
    cloud.data_base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
    return
  }
  const fits = came !== undefined && (typeof data === 'string' || data === undefined || isJsonType(came))
  const type = fits ? came : origin || data === undefined ? undefined : 'application/json'
  if (type !== undefined) cloud.datacontenttype = type
  if (data !== undefined) cloud.data = data
}
