import {
  isAttributeValue,
  isFilledText,
  isJsonType,
  isMediaType,
  isUri,
  isUriReference,
  NAME,
  notCloudEvent,
  quoted,
} from './attributes.js'
import { parseTime } from './time.js'

/** A CloudEvent 1.0 in the form of its JSON format, in memory. */
export interface CloudEvent {
  specversion: '1.0'
  /** Unique for its source. */
  id: string
  /** Who says so: a URI reference. */
  source: string
  type: string
  /** What it is about, for its source. */
  subject?: string
  /** RFC 3339. */
  time?: string
  /** Media type of the data; JSON if it is left out. */
  datacontenttype?: string
  /** URI of the schema that the data follows. */
  dataschema?: string
  data?: unknown
  /** Data that is bytes. */
  data_base64?: string
  /** Extension attributes: text, whole numbers of 32 bits, booleans. */
  [extension: string]: unknown
}

const CHECKS: Record<string, { fits: (value: unknown) => boolean; must: string }> = {
  specversion: { fits: (value) => value === '1.0', must: '"1.0"' },
  id: { fits: isFilledText, must: 'text that is not empty' },
  source: { fits: isUriReference, must: 'a URI reference that is not empty' },
  type: { fits: isFilledText, must: 'text that is not empty' },
  subject: { fits: isFilledText, must: 'text that is not empty' },
  time: { fits: (value) => parseTime(value) !== undefined, must: 'a time as in RFC 3339' },
  datacontenttype: { fits: isMediaType, must: 'a media type' },
  dataschema: { fits: isUri, must: 'a URI with a scheme' },
}
const REQUIRED = ['specversion', 'id', 'source', 'type'] as const

/**
 * Checks that something is a CloudEvent 1.0.
 *
 * @returns it, without attributes that are `null` or `undefined`, which is as good as left out
 * @throws `BANYAN_INVALID_EVENT` that says which attribute is wrong, and what it must be
 */
export function checkCloudEvent(value: unknown): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw notCloudEvent(`it must be an object, got ${quoted(value)}`)
  const cloud = withoutUnset(value as Record<string, unknown>)
  for (const name of REQUIRED) if (cloud[name] === undefined) throw notCloudEvent(`it has no ${name}`)
  for (const name in cloud) {
    const given = cloud[name]
    if (name === 'data' || name === 'data_base64') continue
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined
    if (check ? check.fits(given) : NAME.test(name) && isAttributeValue(given)) continue
    if (check) throw notCloudEvent(`${name} must be ${check.must}, got ${quoted(given)}`)
    if (!NAME.test(name))
      throw notCloudEvent(`names of attributes are lower-case letters and digits, got ${quoted(name)}`)
    throw notCloudEvent(
      `${name} must be text without control characters, a whole number of 32 bits, true or false, got ${quoted(given)}`,
    )
  }
  checkData(cloud as CloudEvent)
  return cloud as CloudEvent
}

function withoutUnset(attributes: Record<string, unknown>): Record<string, unknown> {
  for (const name in attributes)
    if (!isSet(name, attributes[name]))
      return Object.fromEntries(Object.entries(attributes).filter(([other, value]) => isSet(other, value)))
  return attributes
}

function isSet(name: string, value: unknown): boolean {
  return value !== undefined && (value !== null || name === 'data')
}

function checkData({ data, data_base64: base64, datacontenttype }: CloudEvent): void {
  const bytes = ArrayBuffer.isView(data)
  if (base64 === undefined) {
    if (data === undefined || bytes || typeof data === 'string' || isJsonType(datacontenttype)) return
    throw notCloudEvent(`data of the type ${datacontenttype} must be text, got ${quoted(data)}`)
  }
  // The official package has both in memory.
  if (data !== undefined && !bytes)
    throw notCloudEvent('it has data and data_base64, of which one is allowed')
  if (typeof base64 !== 'string' || Buffer.from(base64, 'base64').toString('base64') !== base64)
    throw notCloudEvent(`data_base64 must be base64 (RFC 4648, padded), got ${quoted(base64)}`)
}
