import fc from 'fast-check'
import type { Fields } from '../../src/traffic/http/fields.js'
import { HttpError } from '../../src/traffic/http/http-error.js'
import { defaultHttpLimits, type HttpLimits } from '../../src/traffic/http/limits.js'
import { requestHead, responseHead } from '../../src/traffic/http/message.js'
import { MessageReader } from '../../src/traffic/http/message-reader.js'

/** What a reader made of some bytes, in a form that can be compared. */
export interface Reading {
  messages: ReadMessage[]
  /** Status of the refusal, if there was one. */
  refused?: number
  /** Why it was refused, in our words. */
  because?: string
}

/** One message as it was read. */
export interface ReadMessage {
  start: string
  fields: [string, string][]
  body: string
  trailers: [string, string][]
  complete: boolean
}

/**
 * Reads the pieces one after another with a {@link MessageReader}, as a connection would.
 *
 * @param method - of the requests that responses answer: of all, or of one after another
 */
export function readPieces(
  kind: 'request' | 'response',
  pieces: readonly Buffer[],
  limits: Partial<HttpLimits> = {},
  method: string | readonly string[] = 'GET',
): Reading {
  const reading: Reading = { messages: [] }
  let current: ReadMessage | undefined
  let finals = 0
  const bounds = { ...defaultHttpLimits, ...limits }
  const reader = new MessageReader(kind, bounds, {
    onHead(raw) {
      const fields = [...raw.fields]
      if (kind === 'request') {
        const head = requestHead(raw)
        if (head.framing.kind === 'length' && head.framing.length > bounds.bodyBytes)
          throw new HttpError(413, 'too large')
        current = {
          start: `${head.method} ${head.target} 1.${head.minor}`,
          fields,
          body: '',
          trailers: [],
          complete: false,
        }
        reading.messages.push(current)
        return head.framing
      }
      const head = responseHead(raw, typeof method === 'string' ? method : (method[finals] ?? 'GET'))
      if (head.status >= 200) finals++
      current = {
        start: `${head.status} ${head.reason} 1.${head.minor}`,
        fields,
        body: '',
        trailers: [],
        complete: false,
      }
      reading.messages.push(current)
      return head.framing
    },
    onData(data) {
      current!.body += data.toString('latin1')
    },
    onEnd(trailers) {
      current!.complete = true
      current!.trailers = pairs(trailers)
    },
  })
  try {
    for (const piece of pieces) {
      let index = 0
      while (index < piece.length) index = reader.read(piece, index)
    }
    reader.close()
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    reading.refused = error.status
    reading.because = error.message
  }
  return reading
}

function pairs(fields: Fields | undefined): [string, string][] {
  return fields ? [...fields] : []
}

/** Cuts a buffer at the given places. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...sorted].map((start, index) => bytes.subarray(start, sorted[index] ?? bytes.length))
}

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
const fieldValue = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
const plainField = fc.tuple(token, fieldValue).filter(([name]) => !RESERVED.test(name))
const RESERVED =
  /^(connection|keep-alive|proxy-connection|http2-settings|te|transfer-encoding|upgrade|content-length|host|expect|via|trailer|date|server)$/i

const data = fc.string({ unit: 'binary-ascii', maxLength: 60 })

interface Framed {
  fields: [string, string][]
  wire: string
}

const lengthBody: fc.Arbitrary<Framed> = data.map((body) => ({
  fields: [['Content-Length', String(body.length)]],
  wire: body,
}))

const chunkedBody: fc.Arbitrary<Framed> = fc
  .tuple(
    fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }), { maxLength: 4 }),
    fc.array(plainField, { maxLength: 2 }),
    fc.constantFrom('', ';a=b', ';x'),
    fc.boolean(),
  )
  .map(([chunks, trailers, extension, capitals]) => ({
    fields: [['Transfer-Encoding', 'chunked']],
    wire:
      chunks
        .map((chunk) => {
          const size = chunk.length.toString(16)
          return `${capitals ? size.toUpperCase() : size}${extension}\r\n${chunk}\r\n`
        })
        .join('') + `0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  }))

const noBody: fc.Arbitrary<Framed> = fc.constant({ fields: [], wire: '' })

const target = fc
  .stringMatching(/^\/[a-z0-9/._~%-]{0,20}(\?[a-z=&0-9]{0,10})?$/)
  .map((text) => text.replace(/%(?![0-9a-f]{2})/g, ''))

const spacing = fc.constantFrom(['', ''], [' ', ''], [' ', ' '], ['\t', ' '], ['  ', '\t'])

function section(fields: readonly (readonly [string, string])[], [before, after]: readonly string[]): string {
  return fields.map(([name, value]) => `${name}:${before}${value}${after}\r\n`).join('')
}

/** A valid request as bytes. */
export const validRequest: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'),
    target,
    fc.array(plainField, { maxLength: 5 }),
    fc.oneof(noBody, lengthBody, chunkedBody),
    spacing,
  )
  .map(([method, path, fields, body, space]) =>
    Buffer.from(
      `${method} ${path} HTTP/1.1\r\nHost: example.com\r\n${section(fields, space)}${section(body.fields, [' ', ''])}\r\n${body.wire}`,
      'latin1',
    ),
  )

/** A valid response as bytes. */
export const validResponse: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.constantFrom('200 OK', '201 Created', '404 Not Found', '500 Oops', '302 '),
    fc.array(plainField, { maxLength: 5 }),
    fc.oneof(lengthBody, chunkedBody),
    spacing,
  )
  .map(([status, fields, body, space]) =>
    Buffer.from(
      `HTTP/1.1 ${status}\r\n${section(fields, space)}${section(body.fields, [' ', ''])}\r\n${body.wire}`,
      'latin1',
    ),
  )

/** Bytes that matter to a parser, to be put where they do not belong. */
const SPICES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '\0',
  ',',
  ';',
  '0',
  'f',
  '\x7f',
  '\xff',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: x\r\n',
  'Expect: 100-continue\r\n',
  'HTTP/1.0',
  '+',
  '%',
  '/../',
  '%2e%2E/',
  '\v',
  'chunked',
  '#',
  'x',
]

/** A message with a few bytes taken out, doubled or put in. */
export function mutated(message: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const edit = fc.tuple(
    fc.nat(400),
    fc.constantFrom('insert', 'remove', 'replace'),
    fc.constantFrom(...SPICES),
  )
  return fc.tuple(message, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([bytes, edits]) => {
    let text = bytes.toString('latin1')
    for (const [place, kind, spice] of edits) {
      const at = place % (text.length + 1)
      text =
        text.slice(0, at) + (kind === 'remove' ? '' : spice) + text.slice(kind === 'insert' ? at : at + 1)
    }
    return Buffer.from(text, 'latin1')
  })
}
