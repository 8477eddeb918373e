import { randomBytes } from 'node:crypto'
import { isFieldValue, isTarget, isToken } from '../characters.js'
import { Fields, Kind } from '../fields.js'
import { readControl, type Framing } from '../framing.js'
import { HttpError } from '../http-error.js'
import type { HttpLimits } from '../limits.js'
import { isHost, type RequestHead } from '../message.js'

const NONE: Framing = { kind: 'none' }
const CHUNKED: Framing = { kind: 'chunked' }

const UPPER = /[A-Z]/

interface Pseudo {
  method: string | undefined
  scheme: string | undefined
  authority: string | undefined
  path: string | undefined
  protocol: string | undefined
}

/**
 * Checks the header section of an HTTP/2 request as a whole (RFC 9113 8.1 to 8.3) and gives it the form of every
 * request. A WebSocket by extended CONNECT (RFC 8441) becomes the GET with an offer to switch that it is in HTTP/1.1,
 * with a key of its own.
 *
 * @param section - names and values in turn, as they came
 * @param complete - whether the request ends with its head
 * @throws {@link HttpError} with the status to answer
 */
export function readRequestHead(
  section: readonly string[],
  complete: boolean,
  limits: HttpLimits,
): RequestHead {
  const fields = new Fields()
  const pseudo = readSection(section, fields, limits)
  const control = readControl(fields)
  const { method, path } = pseudo
  if (method === undefined) throw new HttpError(400, 'The method is missing')
  if (!isToken(method)) throw new HttpError(400, 'The method is not valid')
  if (method === 'CONNECT' && pseudo.protocol === undefined)
    throw new HttpError(405, 'CONNECT is not allowed here')
  if (pseudo.scheme !== 'https' && pseudo.scheme !== 'http')
    throw new HttpError(400, 'The scheme is not http or https')
  if (!path) throw new HttpError(400, 'The path is missing')
  if (path.length > limits.targetBytes) throw new HttpError(414, 'The request target is too long')
  if (path === '*' ? method !== 'OPTIONS' : !path.startsWith('/') || !isTarget(path))
    throw new HttpError(400, 'The path is not valid')
  const host = hostOf(pseudo.authority, control.host, control.hosts)
  if (control.expect !== undefined && control.expect.toLowerCase() !== '100-continue')
    throw new HttpError(417, 'The only expectation met here is 100-continue')
  if (complete && control.length) throw new HttpError(400, 'The body is shorter than its Content-Length')
  const upgrade = offered(pseudo, complete, fields)
  return {
    method: upgrade === undefined ? method : 'GET',
    target: path,
    major: 2,
    minor: 0,
    fields,
    framing:
      complete || upgrade !== undefined || control.length === 0
        ? NONE
        : control.length === undefined
          ? CHUNKED
          : { kind: 'length', length: control.length },
    host,
    keepAlive: true,
    upgrade,
    expectContinue: control.expect !== undefined,
    trailers: control.trailers,
  }
}

/**
 * Checks the trailers of a request.
 *
 * @param section - names and values in turn, as they came
 * @throws {@link HttpError} with the status to answer
 */
export function readTrailers(section: readonly string[], limits: HttpLimits): Fields {
  const fields = new Fields()
  const { method, scheme, authority, path, protocol } = readSection(section, fields, limits)
  if (method ?? scheme ?? authority ?? path ?? protocol)
    throw new HttpError(400, 'A pseudo-header field stands among the trailers')
  return fields
}

/** Takes a section apart: what begins with a colon is returned, the rest goes into `fields`. */
function readSection(section: readonly string[], fields: Fields, limits: HttpLimits): Pseudo {
  const pseudo: Pseudo = {
    method: undefined,
    scheme: undefined,
    authority: undefined,
    path: undefined,
    protocol: undefined,
  }
  let bytes = 0
  let cookie = -1
  for (let index = 0; index < section.length; index += 2) {
    const name = section[index]!
    const value = section[index + 1]!
    // As long as the line would be in HTTP/1.1, so that one limit means one thing.
    bytes += name.length + value.length + 4
    if (name.charCodeAt(0) === 0x3a) {
      const key = name.slice(1)
      if (!Object.hasOwn(pseudo, key)) throw new HttpError(400, 'There is an unknown pseudo-header field')
      if (pseudo[key as keyof Pseudo] !== undefined)
        throw new HttpError(400, 'A pseudo-header field stands twice')
      if (fields.size > 0) throw new HttpError(400, 'A pseudo-header field stands after the others')
      pseudo[key as keyof Pseudo] = value
      continue
    }
    // The codec has checked this too; in HTTP/1.1 a line break here would be the begin of another request.
    if (!isToken(name) || UPPER.test(name)) throw new HttpError(400, 'A field name is not valid')
    if (!isFieldValue(value)) throw new HttpError(400, 'A field value is not valid')
    if (name === 'cookie' && cookie >= 0) {
      // Crumbs that were only apart for compression (RFC 9113 8.2.3).
      fields.values[cookie] = `${fields.values[cookie]!}; ${value}`
      continue
    }
    if (name === 'cookie') cookie = fields.size
    fields.append(name, value)
    // A disguise of such a field with `_` is no field of the connection; it is only not passed on.
    if (!name.includes('_')) checkField(fields.kinds[fields.size - 1]!, value)
  }
  if (bytes > limits.headBytes) throw new HttpError(431, 'The header section is too large')
  if (fields.size > limits.fieldCount) throw new HttpError(431, 'There are too many header fields')
  return pseudo
}

/** RFC 9113 8.2.2: what is about the connection has no place in a message. */
function checkField(kind: Kind, value: string): void {
  switch (kind) {
    case Kind.Connection:
    case Kind.HopByHop:
    case Kind.TransferEncoding:
    case Kind.Upgrade:
      throw new HttpError(400, 'A field is about the connection, which does not exist in HTTP/2')
    case Kind.TE:
      if (value !== 'trailers') throw new HttpError(400, 'The only TE in HTTP/2 is trailers')
      break
    default:
  }
}

/** `:authority` says what is asked for; a Host beside it may only say the same (RFC 9113 8.3.1). */
function hostOf(authority: string | undefined, field: string | undefined, count: number): string {
  if (count > 1) throw new HttpError(400, 'There is more than one Host')
  const host = authority ?? field
  if (!host) throw new HttpError(400, 'The authority is missing')
  if (!isHost(host)) throw new HttpError(400, 'The authority is not valid')
  if (field !== undefined && field.toLowerCase() !== host.toLowerCase())
    throw new HttpError(400, 'The authority and the Host differ')
  return host
}

/** What an extended CONNECT wants to speak, with the fields that its offer in HTTP/1.1 needs. */
function offered({ method, protocol }: Pseudo, complete: boolean, fields: Fields): string | undefined {
  if (protocol === undefined) return undefined
  if (method !== 'CONNECT') throw new HttpError(400, 'A protocol is named without CONNECT')
  if (protocol !== 'websocket') throw new HttpError(501, 'The only protocol spoken here is websocket')
  if (complete) throw new HttpError(400, 'A CONNECT ended with its head')
  // In HTTP/2 nobody needs a key, as nobody can mistake the answer; the service still does (RFC 8441 5.1).
  fields.delete('sec-websocket-key')
  fields.append('sec-websocket-key', randomBytes(16).toString('base64'))
  return protocol
}
