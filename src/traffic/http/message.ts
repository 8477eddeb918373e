import type { Fields } from './fields.js'
import { readControl, requestFraming, responseFraming, type Framing, type MessageControl } from './framing.js'
import type { RawHead } from './head-reader.js'
import { HttpError } from './http-error.js'

/** A request head that has passed every check. */
export interface RequestHead {
  readonly method: string
  /** As it stood in the request line, in origin-form or `*`; an absolute-form is taken apart. */
  readonly target: string
  /** The version of HTTP it came in. */
  readonly major: 1 | 2
  readonly minor: number
  readonly fields: Fields
  readonly framing: Framing
  /** Host and port as the client wrote them, from the target if that was absolute, else from Host. */
  readonly host: string
  /** Whether the client lets the connection be used again. */
  readonly keepAlive: boolean
  /** The protocols the client offers to switch to. */
  readonly upgrade: string | undefined
  readonly expectContinue: boolean
  /** Whether the client takes trailers. */
  readonly trailers: boolean
}

/** A response head that has passed every check. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  readonly minor: number
  readonly fields: Fields
  readonly framing: Framing
  /** The value of Content-Length, also where there is no body (HEAD, 304). */
  readonly contentLength: number | undefined
  readonly keepAlive: boolean
  /** The protocol that a 101 switches to. */
  readonly upgrade: string | undefined
}

/**
 * Checks a request head as a whole.
 *
 * @throws {@link HttpError} with the status to answer
 */
export function requestHead(raw: RawHead): RequestHead {
  const { method, minor, fields } = raw
  const control = readControl(fields)
  if (control.hosts > 1) throw new HttpError(400, 'There is more than one Host')
  if (control.hosts === 0 && minor === 1) throw new HttpError(400, 'The Host is missing')
  if (method === 'CONNECT') throw new HttpError(405, 'CONNECT is not allowed here')
  let { target } = raw
  let host = control.host ?? ''
  if (target.charCodeAt(0) !== 0x2f) {
    if (target === '*') {
      if (method !== 'OPTIONS') throw new HttpError(400, 'Only OPTIONS may ask for *')
    } else {
      const absolute = /^https?:\/\/([^/?]+)([^]*)$/i.exec(target)
      if (!absolute) throw new HttpError(400, 'The request target is not valid')
      // RFC 9112 3.2.2 lets the target win; whoever routes by Host would see another site.
      if (control.host !== undefined && !sameHost(absolute[1]!, control.host))
        throw new HttpError(400, 'The Host is not that of the request target')
      host = absolute[1]!
      target = absolute[2]!.startsWith('/') ? absolute[2]! : `/${absolute[2]!}`
    }
  }
  if (host !== '' && !isHost(host)) throw new HttpError(400, 'The Host is not valid')
  const expectContinue = control.expect !== undefined && minor === 1
  if (expectContinue && control.expect!.toLowerCase() !== '100-continue') {
    throw new HttpError(417, 'The only expectation met here is 100-continue')
  }
  // An offer may always be passed over (RFC 9110 7.8), and with a body it would be unclear what comes after the head.
  const upgrade = minor === 1 && !control.coded && !control.length ? offered(control.upgrade) : undefined
  return {
    method,
    target,
    major: 1,
    minor,
    fields,
    framing: requestFraming(control, minor),
    host,
    keepAlive: isKeptAlive(control, minor),
    upgrade,
    expectContinue,
    trailers: control.trailers,
  }
}

/**
 * Checks a response head as a whole.
 *
 * @param method - of the request it answers
 * @throws {@link HttpError}
 */
export function responseHead(raw: RawHead, method: string): ResponseHead {
  const { status, minor, fields, target: reason } = raw
  const control = readControl(fields)
  const framing = responseFraming(control, minor, status, method)
  return {
    status,
    reason,
    minor,
    fields,
    framing,
    contentLength: control.length,
    keepAlive: isKeptAlive(control, minor) && framing.kind !== 'close',
    upgrade: control.upgrade,
  }
}

function isKeptAlive(control: MessageControl, minor: number): boolean {
  return !control.close && (minor === 1 || control.keepAlive)
}

/** The protocols that a client may switch to: no other HTTP, whose requests would pass us unseen (h2c smuggling). */
function offered(protocols: string | undefined): string | undefined {
  if (protocols === undefined || !/h2c|http|tls/i.test(protocols)) return protocols
  const others = protocols.split(',').filter((each) => !/^\s*(h2c|http|tls)\s*(\/|$)/i.test(each))
  return others.length === 0 ? undefined : others.join(',').trim()
}

function sameHost(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** RFC 3986 host and port: a name or IPv4 address, or an IPv6 address in brackets; no user information. */
export function isHost(host: string): boolean {
  return /^(?:[a-z0-9\-._~!$&'()*+,;=%]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?$/i.test(host)
}
