import { isJsonType, notCloudEvent, quoted } from './attributes.js'
import { checkCloudEvent, type CloudEvent } from './cloud-event.js'
import {
  CLOUDEVENT_BATCH,
  CLOUDEVENT_JSON,
  parseCloudEvent,
  parseCloudEventBatch,
  parseJson,
} from './text.js'

/**
 * CloudEvents in messages of HTTP (HTTP Protocol Binding for CloudEvents 1.0.2).
 */

/** The part of a message that makes a CloudEvent in binary mode. */
export interface HttpCloudEvent {
  /** `content-type` and one `ce-` field for each attribute; names in lower case. */
  headers: Record<string, string>
  body: string | Uint8Array | undefined
}

/** Headers as Node gives them, or with one text for each name. */
export type HttpHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * A CloudEvent in binary mode: attributes in headers, data as it is in the body. Extension attributes that are numbers or
 * booleans arrive as text.
 */
export function cloudEventToHttp(cloudEvent: CloudEvent): HttpCloudEvent {
  const cloud = checkCloudEvent(cloudEvent)
  const { data, data_base64: base64, datacontenttype } = cloud
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(cloud))
    if (name !== 'data' && name !== 'data_base64' && name !== 'datacontenttype')
      headers[`ce-${name}`] = encodeHeader(`${value as string | number | boolean}`)
  const type =
    datacontenttype ?? (data === undefined || base64 !== undefined ? undefined : 'application/json')
  if (type !== undefined) headers['content-type'] = type
  if (base64 !== undefined) return { headers, body: new Uint8Array(Buffer.from(base64, 'base64')) }
  if (data === undefined || data instanceof Uint8Array) return { headers, body: data }
  return {
    headers,
    body: typeof data === 'string' && !isJsonType(type) ? data : JSON.stringify(data),
  }
}

/**
 * The CloudEvents of a message, in any of its modes: `application/cloudevents+json` is one, `application/cloudevents-batch+json`
 * a list, anything else with `ce-` headers is one in binary mode.
 *
 * @param headers - names in lower case
 * @throws `BANYAN_INVALID_EVENT` that says what is wrong and where
 */
export function cloudEventsFromHttp(headers: HttpHeaders, body: string | Uint8Array = ''): CloudEvent[] {
  const type = headerOf(headers, 'content-type')
  const media = type?.split(';', 1)[0]!.trim().toLowerCase()
  if (media === CLOUDEVENT_JSON) return [parseCloudEvent(textOf(body))]
  if (media === CLOUDEVENT_BATCH) return parseCloudEventBatch(textOf(body))
  if (media?.startsWith('application/cloudevents'))
    throw notCloudEvent(`${media} is not understood, only ${CLOUDEVENT_JSON} and ${CLOUDEVENT_BATCH}`)
  if (headerOf(headers, 'ce-specversion') === undefined)
    throw notCloudEvent(
      `the message has neither the content type ${CLOUDEVENT_JSON} or ${CLOUDEVENT_BATCH} nor ce- headers`,
    )
  return [fromBinary(headers, type, body)]
}

function fromBinary(headers: HttpHeaders, type: string | undefined, body: string | Uint8Array): CloudEvent {
  const attributes: Record<string, unknown> = {}
  for (const header of Object.keys(headers)) {
    if (!header.startsWith('ce-')) continue
    const name = header.slice(3)
    if (name === 'data' || name === 'data_base64' || name === 'datacontenttype')
      throw notCloudEvent(`there cannot be a header ${header}; data is the body, its type is content-type`)
    attributes[name] = decodeHeader(header, headerOf(headers, header)!)
  }
  if (type !== undefined) attributes['datacontenttype'] = type
  // Nothing is no JSON, but it may be all of a text or of bytes.
  if (body.length > 0 || (type !== undefined && !isJsonType(type))) addBody(attributes, type, body)
  return checkCloudEvent(attributes)
}

/** Data that is text or JSON is what a structured event would have; everything else stays bytes. */
function addBody(
  attributes: Record<string, unknown>,
  type: string | undefined,
  body: string | Uint8Array,
): void {
  if (type !== undefined && isJsonType(type)) attributes['data'] = parseJson(textOf(body))
  else {
    const text = isTextType(type) ? decoded(body) : undefined
    if (text !== undefined) attributes['data'] = text
    else attributes['data_base64'] = Buffer.from(body).toString('base64')
  }
}

function isTextType(type: string | undefined): boolean {
  return (
    type !== undefined &&
    /^(?:text\/|application\/xml\b|[^;]*\+xml\b)/i.test(type) &&
    !/;\s*charset\s*=\s*"?(?!utf-8|us-ascii)/i.test(type)
  )
}

function headerOf(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name]
  if (value === undefined || typeof value === 'string') return value
  if (value.length === 1) return value[0]
  throw notCloudEvent(`the header ${name} is there ${value.length} times`)
}

function textOf(body: string | Uint8Array): string {
  const text = decoded(body)
  if (text === undefined) throw notCloudEvent('the body is not UTF-8')
  return text
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decoded(body: string | Uint8Array): string | undefined {
  if (typeof body === 'string') return body
  try {
    return UTF8.decode(body)
  } catch {
    return undefined
  }
}

/** Space, quote, percent, and everything that is not printable ASCII, as `%` and hexadecimal digits of its UTF-8. */
function encodeHeader(value: string): string {
  return value.replace(/[^!#$&-~]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)
      .join(''),
  )
}

function decodeHeader(header: string, value: string): string {
  // Older senders put what has spaces in quotes.
  const plain = /^"(?:[^"\\]|\\.)*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  // Percent signs that begin nothing stand for themselves, as with senders that encode only what they have to.
  const bytes = plain.replace(/%(?![0-9A-Fa-f]{2})/g, '%25')
  try {
    return decodeURIComponent(bytes)
  } catch (error) {
    throw notCloudEvent(`the header ${header} is not UTF-8 in percent-encoding: ${quoted(value)}`, error)
  }
}
