import type { OutgoingHttpHeaders } from 'node:http2'
import { isFieldValue, isToken } from '../characters.js'
import { Fields, Kind } from '../fields.js'
import type { Framing } from '../framing.js'
import { HttpError } from '../http-error.js'
import type { ResponseHead } from '../message.js'
import { reasonOf } from '../writer.js'
import type { OutgoingRequest } from './exchange.js'

/** The head of a request as HTTP/2 has it (RFC 9113 8.3.1). An offer to switch protocols does not exist there. */
export function requestHeaders(request: OutgoingRequest, scheme: 'http' | 'https'): OutgoingHttpHeaders {
  const { method, target, host, fields, framing, trailers } = request
  const headers: Record<string, string> = {
    ':method': method,
    ':scheme': scheme,
    ':path': target,
  }
  // A request of HTTP/1.0 may name none; then it is the endpoint's own.
  if (host !== '') headers[':authority'] = host
  let start = 0
  for (let end = fields.indexOf('\r\n'); end >= 0; end = fields.indexOf('\r\n', start)) {
    const colon = fields.indexOf(':', start)
    add(headers, fields.slice(start, colon).toLowerCase(), fields.slice(colon + 1, end).trim())
    start = end + 2
  }
  if (framing.kind === 'length') headers['content-length'] = String(framing.length)
  if (trailers) headers['te'] = 'trailers'
  return headers
}

/** Trailers of a request as HTTP/2 has them. */
export function trailerHeaders(trailers: Fields | undefined): OutgoingHttpHeaders {
  const headers: Record<string, string> = {}
  if (trailers) for (const [name, value] of trailers) add(headers, name.toLowerCase(), value)
  return headers
}

/** Several lines of one name mean the same as one with commas between (RFC 9110 5.3), crumbs of a cookie apart. */
function add(headers: Record<string, string>, name: string, value: string): void {
  const known = headers[name]
  headers[name] = known === undefined ? value : `${known}${name === 'cookie' ? '; ' : ', '}${value}`
}

/**
 * Checks the head of an answer as a whole.
 *
 * @param section - names and values in turn, as they came
 * @param complete - whether the answer ends with its head
 * @param method - of the request it answers
 * @throws {@link HttpError}
 */
export function readResponseHead(
  section: readonly string[],
  complete: boolean,
  method: string,
): ResponseHead {
  if (section[0] !== ':status') throw new HttpError(502, 'The response has no status')
  const status = Number(section[1])
  if (!/^[1-9]\d\d$/.test(section[1]!)) throw new HttpError(502, 'The status of the response is not valid')
  if (status === 101) throw new HttpError(502, 'The response switches protocols, which HTTP/2 cannot do')
  const fields = readFields(section, 2)
  const contentLength = lengthOf(fields)
  const bodiless = complete || method === 'HEAD' || status < 200 || status === 204 || status === 304
  if (complete && contentLength && method !== 'HEAD' && status !== 304)
    throw new HttpError(502, 'The response is shorter than its Content-Length')
  return {
    status,
    reason: reasonOf(status),
    minor: 1,
    fields,
    framing: bodiless
      ? NONE
      : contentLength === undefined
        ? CHUNKED
        : { kind: 'length', length: contentLength },
    contentLength,
    keepAlive: true,
    upgrade: undefined,
  }
}

const NONE: Framing = { kind: 'none' }
const CHUNKED: Framing = { kind: 'chunked' }

/**
 * Checks a section of fields: RFC 9113 8.2.
 *
 * @param from - index of the first one
 * @throws {@link HttpError}
 */
export function readFields(section: readonly string[], from = 0): Fields {
  const fields = new Fields()
  for (let index = from; index < section.length; index += 2) {
    const name = section[index]!
    const value = section[index + 1]!
    // Node's HTTP/2 checks this too; in HTTP/1.1 a line break here would be the begin of another field.
    if (!isToken(name)) throw new HttpError(502, 'A field name of the response is not valid')
    if (!isFieldValue(value)) throw new HttpError(502, 'A field value of the response is not valid')
    fields.append(name, value)
    switch (fields.kinds[fields.size - 1]) {
      case Kind.Connection:
      case Kind.HopByHop:
      case Kind.TransferEncoding:
      case Kind.Upgrade:
        throw new HttpError(
          502,
          'A field of the response is about the connection, which HTTP/2 does not have',
        )
      default:
    }
  }
  return fields
}

function lengthOf({ kinds, values }: Fields): number | undefined {
  let length: number | undefined
  for (let index = 0; index < kinds.length; index++) {
    if (kinds[index] !== Kind.ContentLength) continue
    if (length !== undefined || !/^[0-9]{1,15}$/.test(values[index]!))
      throw new HttpError(502, 'The Content-Length of the response is not one plain number')
    length = Number(values[index])
  }
  return length
}
