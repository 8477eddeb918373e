import type { OutgoingHttpHeaders } from 'node:http2'
import type { Fields } from '../fields.js'

/** Fields that an answer in HTTP/2 must not have (RFC 9113 8.2.2). */
const FORBIDDEN = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * The head of an answer as the codec takes it.
 *
 * @param fields - lines with CRLF, as {@link Answer} has them
 */
export function answerHeaders(status: number, fields: string): OutgoingHttpHeaders {
  const headers = emptyHeaders()
  headers[':status'] = status
  let start = 0
  for (;;) {
    const end = fields.indexOf('\r\n', start)
    if (end < 0) return headers
    const colon = fields.indexOf(':', start)
    add(headers, fields.slice(start, colon), fields.slice(colon + 1, end).trim())
    start = end + 2
  }
}

/** Trailers as the codec takes them; empty for none. */
export function trailerHeaders(trailers: Fields | undefined): OutgoingHttpHeaders {
  const headers = emptyHeaders()
  if (trailers) for (const [name, value] of trailers) add(headers, name, value)
  return headers
}

/** Without a prototype: a field may be called `constructor`. */
function emptyHeaders(): OutgoingHttpHeaders {
  return Object.create(null) as OutgoingHttpHeaders
}

function add(headers: OutgoingHttpHeaders, name: string, value: string): void {
  const lower = name.toLowerCase()
  if (FORBIDDEN.has(lower)) return
  const known = headers[lower]
  if (known === undefined) headers[lower] = value
  else if (Array.isArray(known)) known.push(value)
  else headers[lower] = [String(known), value]
}

/**
 * The same with one line for each field. Several lines mean the same as one with commas between (RFC 9110 5.3), only
 * Set-Cookie does not; for fields that should stand once, the codec takes nothing else.
 */
export function withJoinedLines(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) && name !== 'set-cookie' ? value.join(', ') : value,
    ]),
  )
}
