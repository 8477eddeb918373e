import { type Fields, Kind, kindOf, sameName } from './fields.js'
import { HttpError } from './http-error.js'

/** How long a message body is (RFC 9112 6.3). */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  /** Only of responses: until the connection closes. */
  | { readonly kind: 'close' }

const NONE: Framing = { kind: 'none' }
const CHUNKED: Framing = { kind: 'chunked' }
const UNTIL_CLOSE: Framing = { kind: 'close' }

/** What the fields of a message say about its connection and its framing. */
export interface MessageControl {
  /** The value of Content-Length, if there is one. */
  length: number | undefined
  chunked: boolean
  /** Codings before `chunked`, or instead of it, were named. */
  otherCoding: boolean
  /** Some Transfer-Encoding was named. */
  coded: boolean
  close: boolean
  keepAlive: boolean
  /** `Connection: upgrade` together with an `Upgrade` field: the protocols asked for. */
  upgrade: string | undefined
  /** How many Host fields there are, and the last one's value. */
  hosts: number
  host: string | undefined
  expect: string | undefined
  /** The peer said that it takes trailers. */
  trailers: boolean
}

/**
 * Reads the control fields of a head in one pass, and marks every field that a `Connection` field nominates as
 * hop-by-hop.
 *
 * @throws {@link HttpError} 400 for a Content-Length that is repeated or not a plain number
 */
export function readControl(fields: Fields): MessageControl {
  const control: MessageControl = {
    length: undefined,
    chunked: false,
    otherCoding: false,
    coded: false,
    close: false,
    keepAlive: false,
    upgrade: undefined,
    hosts: 0,
    host: undefined,
    expect: undefined,
    trailers: false,
  }
  let upgradeNominated = false
  let upgrade: string | undefined
  const { kinds, values } = fields
  for (let index = 0; index < kinds.length; index++) {
    switch (kinds[index]) {
      case Kind.ContentLength:
        if (control.length !== undefined) throw new HttpError(400, 'There is more than one Content-Length')
        control.length = readLength(values[index]!)
        break
      case Kind.TransferEncoding:
        readCodings(values[index]!, control)
        break
      case Kind.Connection:
        upgradeNominated = readConnection(values[index]!, fields, control) || upgradeNominated
        break
      case Kind.Upgrade:
        upgrade = upgrade === undefined ? values[index] : `${upgrade}, ${values[index]!}`
        break
      case Kind.Host:
        control.hosts++
        control.host = values[index]
        break
      case Kind.Expect:
        control.expect = values[index]
        break
      case Kind.TE:
        if (/(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(values[index]!)) control.trailers = true
        break
      default:
    }
  }
  if (upgradeNominated) control.upgrade = upgrade
  return control
}

/** RFC 9112 6.3 for a request. */
export function requestFraming(control: MessageControl, minor: number): Framing {
  if (control.coded) {
    // Each of these can be read differently by the next hop: request smuggling.
    if (minor === 0) throw new HttpError(400, 'Transfer-Encoding does not exist in HTTP/1.0')
    if (control.length !== undefined)
      throw new HttpError(400, 'There is both a Content-Length and a Transfer-Encoding')
    if (control.otherCoding) throw new HttpError(501, 'The only transfer coding supported here is chunked')
    return CHUNKED
  }
  return control.length ? { kind: 'length', length: control.length } : NONE
}

/**
 * RFC 9112 6.3 for a response.
 *
 * @param method - of the request it answers
 */
export function responseFraming(
  control: MessageControl,
  minor: number,
  status: number,
  method: string,
): Framing {
  if (control.coded) {
    if (minor === 0) throw new HttpError(502, 'The response has a Transfer-Encoding, but is HTTP/1.0')
    if (control.length !== undefined)
      throw new HttpError(502, 'The response has both a Content-Length and a Transfer-Encoding')
    if (control.otherCoding) throw new HttpError(502, 'The response has a transfer coding other than chunked')
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE
  if (control.coded) return CHUNKED
  if (control.length === undefined) return UNTIL_CLOSE
  return control.length === 0 ? NONE : { kind: 'length', length: control.length }
}

function readLength(value: string): number {
  // 15 digits stay exact in a double; signs, blanks, lists and empty values are not digits.
  if (!/^[0-9]{1,15}$/.test(value)) throw new HttpError(400, 'The Content-Length is not a plain number')
  return Number(value)
}

function readCodings(value: string, control: MessageControl): void {
  // A second line continues the first one's list, and chunked must be the last of all.
  if (control.coded || value.toLowerCase() !== 'chunked') control.otherCoding = true
  else control.chunked = true
  control.coded = true
}

/** Returns whether `upgrade` was nominated. */
function readConnection(value: string, fields: Fields, control: MessageControl): boolean {
  // The two values nearly every message has need no list.
  if (sameName(value, 'keep-alive')) {
    control.keepAlive = true
    return false
  }
  if (sameName(value, 'close')) {
    control.close = true
    return false
  }
  let upgrade = false
  for (const part of value.split(',')) {
    const token = part.trim().toLowerCase()
    if (token === 'close') control.close = true
    else if (token === 'keep-alive') control.keepAlive = true
    else if (token === 'upgrade') upgrade = true
    else if (token !== '' && kindOf(token) === Kind.Ordinary) nominate(token, fields)
  }
  return upgrade
}

function nominate(lower: string, fields: Fields): void {
  for (let index = 0; index < fields.names.length; index++) {
    if (sameName(fields.names[index]!, lower)) fields.kinds[index] = Kind.HopByHop
  }
}
