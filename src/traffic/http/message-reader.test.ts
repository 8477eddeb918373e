import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cut, mutated, readPieces, validRequest, validResponse } from '../../../test/support/http-messages.js'

const many = { numRuns: 2_000 }
const places = fc.array(fc.nat(2_000), { maxLength: 12 })

describe('where the network cuts the bytes changes nothing', () => {
  for (const kind of ['request', 'response'] as const) {
    const valid = kind === 'request' ? validRequest : validResponse
    const stream = fc
      .array(fc.oneof({ weight: 3, arbitrary: valid }, { weight: 2, arbitrary: mutated(valid) }), {
        minLength: 1,
        maxLength: 3,
      })
      .map((messages) => Buffer.concat(messages))

    test(`${kind}s: any pieces read as the whole`, () => {
      fc.assert(
        fc.property(stream, places, (bytes, cuts) => {
          expect(readPieces(kind, cut(bytes, cuts))).toEqual(readPieces(kind, [bytes]))
        }),
        many,
      )
    })

    test(`${kind}s: byte by byte reads as the whole`, () => {
      fc.assert(
        fc.property(stream, (bytes) => {
          const single = Array.from(bytes, (byte) => Buffer.from([byte]))
          expect(readPieces(kind, single)).toEqual(readPieces(kind, [bytes]))
        }),
        { numRuns: 500 },
      )
    })

    test(`${kind}s: a valid one is read in full`, () => {
      fc.assert(
        fc.property(valid, (bytes) => {
          const { messages, refused } = readPieces(kind, [bytes])
          expect(refused).toBeUndefined()
          expect(messages).toHaveLength(1)
          expect(messages[0]!.complete).toBe(true)
        }),
        many,
      )
    })
  }
})

const head = 'GET / HTTP/1.1\r\nHost: a\r\n'
const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

const REFUSED_REQUESTS: [shape: string, bytes: string, status: number][] = [
  ['no request line', '\r\n\r\n', 400],
  ['space before the request line', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['two spaces after the method', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['lower-case http', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['fragment in the target', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['non-ASCII target', 'GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['target without a slash', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['asterisk for GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['user information in an absolute target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
  ['bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\n\r\n', 400],
  ['bare CR in a field', `${head}X: a\rb\r\n\r\n`, 400],
  ['bare CR before a field', `${head}\rX: a\r\n\r\n`, 400],
  ['folded line', `${head}X: a\r\n b\r\n\r\n`, 400],
  ['folded line with a tab', `${head}X: a\r\n\tb\r\n\r\n`, 400],
  ['space before the colon', `${head}X : a\r\n\r\n`, 400],
  ['space in a name', `${head}X Y: a\r\n\r\n`, 400],
  ['empty name', `${head}: a\r\n\r\n`, 400],
  ['line without a colon', `${head}X\r\n\r\n`, 400],
  ['NUL in a name', `${head}X\0: a\r\n\r\n`, 400],
  ['NUL in a value', `${head}X: a\0b\r\n\r\n`, 400],
  ['DEL in a value', `${head}X: a\x7fb\r\n\r\n`, 400],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', `${head}Host: a\r\n\r\n`, 400],
  ['Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['Host with user information', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
  ['Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  ['two Content-Lengths', `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, 400],
  ['list in Content-Length', `${head}Content-Length: 1, 1\r\n\r\na`, 400],
  ['plus in Content-Length', `${head}Content-Length: +1\r\n\r\na`, 400],
  ['minus in Content-Length', `${head}Content-Length: -1\r\n\r\na`, 400],
  ['hexadecimal Content-Length', `${head}Content-Length: 0x1\r\n\r\na`, 400],
  ['underscore in Content-Length', `${head}Content-Length: 1_0\r\n\r\na`, 400],
  ['empty Content-Length', `${head}Content-Length: \r\n\r\n`, 400],
  ['Content-Length beyond 2^64', `${head}Content-Length: 18446744073709551617\r\n\r\n`, 400],
  ['both framings', `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  [
    'both framings, the other way round',
    `${head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['unknown coding', `${head}Transfer-Encoding: gzip\r\n\r\n`, 501],
  ['chunked not last', `${head}Transfer-Encoding: chunked, gzip\r\n\r\n`, 501],
  ['chunked after another coding', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
  ['chunked twice', `${head}Transfer-Encoding: chunked, chunked\r\n\r\n`, 501],
  ['chunked on two lines', `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, 501],
  ['chunked with a parameter', `${head}Transfer-Encoding: chunked;a=b\r\n\r\n`, 501],
  ['xchunked', `${head}Transfer-Encoding: xchunked\r\n\r\n`, 501],
  ['chunked with a vertical tab', `${head}Transfer-Encoding: \vchunked\r\n\r\n`, 400],
  ['tab before chunked', `${head}Transfer-Encoding:\tchunked\r\n\r\n`, 400],
  ['tab after chunked', `${head}Transfer-Encoding: chunked\t\r\n\r\n`, 400],
  ['identity', `${head}Transfer-Encoding: identity\r\n\r\n`, 501],
  ['empty Transfer-Encoding', `${head}Transfer-Encoding: \r\n\r\n`, 501],
  [
    'Transfer-Encoding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['unknown expectation', `${head}Expect: cake\r\n\r\n`, 417],
  ['empty chunk size', `${chunked}\r\n`, 400],
  ['chunk size with a sign', `${chunked}+1\r\na\r\n0\r\n\r\n`, 400],
  ['chunk size with 0x', `${chunked}0x1\r\na\r\n0\r\n\r\n`, 400],
  ['chunk size with an underscore', `${chunked}1_\r\na\r\n0\r\n\r\n`, 400],
  ['space before a chunk size', `${chunked} 1\r\na\r\n0\r\n\r\n`, 400],
  ['space after a chunk size', `${chunked}1 \r\na\r\n0\r\n\r\n`, 400],
  ['chunk size that overflows', `${chunked}fffffffffffffffff\r\n`, 400],
  ['bare LF after a chunk size', `${chunked}1\na\r\n0\r\n\r\n`, 400],
  ['bare CR after a chunk size', `${chunked}1\ra\r\n0\r\n\r\n`, 400],
  ['bare LF in an extension', `${chunked}1;a\nb\r\na\r\n0\r\n\r\n`, 400],
  ['bare CR in an extension', `${chunked}1;a\rb\r\na\r\n0\r\n\r\n`, 400],
  ['NUL in an extension', `${chunked}1;a\0\r\na\r\n0\r\n\r\n`, 400],
  ['extension over the limit', `${chunked}1;${'a'.repeat(300)}\r\na\r\n0\r\n\r\n`, 400],
  ['no CRLF after chunk data', `${chunked}1\r\nab\r\n0\r\n\r\n`, 400],
  ['bare LF after chunk data', `${chunked}1\r\na\n0\r\n\r\n`, 400],
  ['bare LF after the last chunk', `${chunked}0\r\n\n`, 400],
  ['space before the colon in a trailer', `${chunked}0\r\nX : a\r\n\r\n`, 400],
  ['folded trailer', `${chunked}0\r\nX: a\r\n b\r\n\r\n`, 400],
  ['target over the limit', `GET /${'a'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ['head over the limit', `${head}X: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
  ['too many fields', `${head}${'X: a\r\n'.repeat(100)}\r\n`, 431],
  ['too many trailers', `${chunked}0\r\n${'X: a\r\n'.repeat(101)}\r\n`, 431],
]

describe('what two implementations could read differently is refused', () => {
  test.each(REFUSED_REQUESTS)('%s', (_shape, bytes, status) => {
    expect(readPieces('request', [Buffer.from(bytes, 'latin1')]).refused).toBe(status)
  })

  // A refused answer is a 502 for the client, whatever is wrong with it; here it matters what we say about it.
  const ok = 'HTTP/1.1 200 OK\r\n'
  test.each([
    ['bad version', 'HTTP/2 200 OK\r\n\r\n', /status line/],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n', /Only HTTP\/1\.0 and HTTP\/1\.1/],
    ['lower-case http', 'http/1.1 200 OK\r\n\r\n', /status line/],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n', /the status is not valid/],
    ['status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', /the status is not valid/],
    ['status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', /status line/],
    ['status 099', 'HTTP/1.1 099 OK\r\n\r\n', /the status is not valid/],
    ['status 600', 'HTTP/1.1 600 OK\r\n\r\n', /the status is not valid/],
    ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n', /status line/],
    ['bare LF after the status line', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', /end in CRLF/],
    ['bare CR after the status line', 'HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n', /a CR stands alone/],
    ['leading empty line', `\r\n${ok}\r\n`, /status line/],
    ['bare LF after a field', `${ok}X: a\n\r\n`, /end in CRLF/],
    ['folded line', `${ok}X: a\r\n b\r\n\r\n`, /folded/],
    ['space before the colon', `${ok}X : a\r\n\r\n`, /field name/],
    ['empty name', `${ok}: a\r\n\r\n`, /field name/],
    ['NUL in a value', `${ok}X: a\0b\r\n\r\n`, /control character/],
    [
      'both framings',
      `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /both a Content-Length/,
    ],
    ['two Content-Lengths', `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, /more than one/],
    ['list in Content-Length', `${ok}Content-Length: 1, 1\r\n\r\na`, /plain number/],
    ['plus in Content-Length', `${ok}Content-Length: +1\r\n\r\na`, /plain number/],
    ['minus in Content-Length', `${ok}Content-Length: -1\r\n\r\n`, /plain number/],
    ['hexadecimal Content-Length', `${ok}Content-Length: 0x1\r\n\r\na`, /plain number/],
    ['empty Content-Length', `${ok}Content-Length: \r\n\r\n`, /plain number/],
    ['tab before a Content-Length', `${ok}Content-Length:\t1\r\n\r\na`, /tab/],
    ['unknown coding', `${ok}Transfer-Encoding: gzip\r\n\r\n`, /other than chunked/],
    ['chunked after another coding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, /other than chunked/],
    ['chunked twice', `${ok}Transfer-Encoding: chunked, chunked\r\n\r\n`, /other than chunked/],
    ['chunked with a parameter', `${ok}Transfer-Encoding: chunked;a=b\r\n\r\n`, /other than chunked/],
    [
      'Transfer-Encoding in HTTP/1.0',
      'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /is HTTP\/1\.0/,
    ],
    ['bad chunk size', `${ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, /hexadecimal/],
    [
      'chunk longer than its size',
      `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`,
      /longer than its size/,
    ],
    ['bare LF after chunk data', `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\na\n`, /longer than its size/],
    [
      'bare LF in an extension',
      `${ok}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n`,
      /control character/,
    ],
    ['head over the limit', `${ok}X: ${'a'.repeat(40_000)}\r\n\r\n`, /too large/],
    ['too many fields', `${ok}${'X: a\r\n'.repeat(101)}\r\n`, /too many/],
  ])('response: %s', (_shape, bytes, because) => {
    const { messages, refused, because: said } = readPieces('response', [Buffer.from(bytes, 'latin1')])
    expect([refused === undefined, said]).toEqual([false, expect.stringMatching(because)])
    expect(messages.every(({ complete }) => !complete)).toBe(true)
  })
})

describe('the length of a message (RFC 9112 6.3)', () => {
  const read = (bytes: string, method?: string) =>
    readPieces('response', [Buffer.from(bytes)], {}, method).messages

  test('an answer to HEAD has no body, whatever it says', () => {
    const messages = read(
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
      'HEAD',
    )
    expect(messages.map(({ start, body }) => [start, body])).toEqual([
      ['200 OK 1.1', ''],
      ['204 No Content 1.1', ''],
    ])
  })

  test('304 and 1xx have no body', () => {
    const messages = read(
      'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    )
    expect(messages.map(({ complete }) => complete)).toEqual([true, true])
  })

  test('an answer without a length ends with its connection', () => {
    expect(read('HTTP/1.1 200 OK\r\n\r\nall of this')).toMatchObject([
      { body: 'all of this', complete: true },
    ])
  })

  test('an answer that ends before its length is incomplete', () => {
    expect(read('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort')).toMatchObject([
      { body: 'short', complete: false },
    ])
  })

  test('one empty line before a request is forgiven, a second one is not', () => {
    expect(readPieces('request', [Buffer.from(`\r\n${head}\r\n`)]).messages).toHaveLength(1)
    expect(readPieces('request', [Buffer.from(`\r\n\r\n${head}\r\n`)]).refused).toBe(400)
  })

  test('a body over the limit is refused, stated or not', () => {
    const limits = { bodyBytes: 4 }
    const stated = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    expect(readPieces('request', [stated], limits).refused).toBe(413)
    expect(readPieces('request', [Buffer.from(`${chunked}5\r\nabcde\r\n0\r\n\r\n`)], limits).refused).toBe(
      413,
    )
  })
})
