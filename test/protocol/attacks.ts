/**
 * Shapes of requests that are known to be read differently by different servers, or to make a proxy and a server
 * disagree about where one request ends: collected from RFC 9112 section 11.2, the published research on request
 * smuggling (Watchfire 2005, Kettle 2019 to 2025, Jabiyev and others 2021, the TERM.EXT and EXT.TERM classes of 2025),
 * and the advisories of servers. `/case` stands for the path of the case, `/smuggled` for the request that must not be
 * seen on its own.
 */
export interface Attack {
  name: string
  bytes: string
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

const post = (fields: string, body: string): string =>
  `POST /case HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const get = (fields: string): string => `GET /case HTTP/1.1\r\nHost: a\r\n${fields}\r\n`

/** Ways to write `Transfer-Encoding: chunked` that only some understand. */
const CODINGS: [string, string][] = [
  ['plain', 'Transfer-Encoding: chunked\r\n'],
  ['another case', 'tRANSFER-ENCODING: cHUNKED\r\n'],
  ['space before the colon', 'Transfer-Encoding : chunked\r\n'],
  ['tab before the colon', 'Transfer-Encoding\t: chunked\r\n'],
  ['vertical tab before the value', 'Transfer-Encoding: \x0bchunked\r\n'],
  ['form feed after the value', 'Transfer-Encoding: chunked\x0c\r\n'],
  ['tab before the value', 'Transfer-Encoding:\tchunked\r\n'],
  ['tab after the value', 'Transfer-Encoding: chunked\t\r\n'],
  ['NUL after the value', 'Transfer-Encoding: chunked\x00\r\n'],
  ['NUL in the name', 'Transfer\x00-Encoding: chunked\r\n'],
  ['high byte in the name', 'Transfer-Encoding\xa0: chunked\r\n'],
  ['underscore in the name', 'Transfer_Encoding: chunked\r\n'],
  ['dotless i', 'Transfer-Encod\xc4\xb1ng: chunked\r\n'],
  ['a longer coding', 'Transfer-Encoding: xchunked\r\n'],
  ['a shorter coding', 'Transfer-Encoding: chunke\r\n'],
  ['quoted', 'Transfer-Encoding: "chunked"\r\n'],
  ['with a parameter', 'Transfer-Encoding: chunked;q=1\r\n'],
  ['with an empty parameter', 'Transfer-Encoding: chunked;\r\n'],
  ['identity', 'Transfer-Encoding: identity\r\n'],
  ['identity after it', 'Transfer-Encoding: chunked, identity\r\n'],
  ['identity before it', 'Transfer-Encoding: identity, chunked\r\n'],
  ['gzip before it', 'Transfer-Encoding: gzip, chunked\r\n'],
  ['twice in a list', 'Transfer-Encoding: chunked, chunked\r\n'],
  ['empty members', 'Transfer-Encoding: ,chunked\r\n'],
  ['a comma at the end', 'Transfer-Encoding: chunked,\r\n'],
  ['two fields', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'],
  ['two fields, the last unknown', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n'],
  ['two fields, the first unknown', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n'],
  ['empty', 'Transfer-Encoding:\r\n'],
  ['folded', 'Transfer-Encoding:\r\n chunked\r\n'],
  ['folded by a tab', 'Transfer-Encoding:\r\n\tchunked\r\n'],
  ['in a folded field', 'X: y\r\n Transfer-Encoding: chunked\r\n'],
  ['after a bare LF', 'X: y\nTransfer-Encoding: chunked\r\n'],
  ['after a bare CR', 'X: y\rTransfer-Encoding: chunked\r\n'],
  ['after CR CR LF', 'X: y\r\r\nTransfer-Encoding: chunked\r\n'],
  ['behind a space', ' Transfer-Encoding: chunked\r\n'],
  ['behind a NUL', '\x00Transfer-Encoding: chunked\r\n'],
  ['without a colon', 'Transfer-Encoding chunked\r\n'],
  ['in brackets', '[Transfer-Encoding: chunked\r\n'],
  ['ended by a bare LF', 'Transfer-Encoding: chunked\n'],
  ['a bare CR in the value', 'Transfer-Encoding: chun\rked\r\n'],
]

/** Ways to write `Content-Length`, `6` standing for the length. */
const LENGTHS: [string, string][] = [
  ['plain', 'Content-Length: 6\r\n'],
  ['with a plus', 'Content-Length: +6\r\n'],
  ['with a minus', 'Content-Length: -6\r\n'],
  ['minus zero', 'Content-Length: -0\r\n'],
  ['with zeros before it', 'Content-Length: 000006\r\n'],
  ['hexadecimal', 'Content-Length: 0x6\r\n'],
  ['octal', 'Content-Length: 0o6\r\n'],
  ['exponential', 'Content-Length: 6e0\r\n'],
  ['a fraction', 'Content-Length: 6.0\r\n'],
  ['with an underscore', 'Content-Length: 0_6\r\n'],
  ['with a space inside', 'Content-Length: 6 6\r\n'],
  ['with a space before the colon', 'Content-Length : 6\r\n'],
  ['with a tab before', 'Content-Length:\t6\r\n'],
  ['with a vertical tab', 'Content-Length: \x0b6\r\n'],
  ['with letters after', 'Content-Length: 6abc\r\n'],
  ['with a NUL after', 'Content-Length: 6\x00\r\n'],
  ['empty', 'Content-Length:\r\n'],
  ['quoted', 'Content-Length: "6"\r\n'],
  ['a list of the same', 'Content-Length: 6, 6\r\n'],
  ['a list of different', 'Content-Length: 6, 0\r\n'],
  ['twice the same', 'Content-Length: 6\r\nContent-Length: 6\r\n'],
  ['twice, the second smaller', 'Content-Length: 6\r\nContent-Length: 0\r\n'],
  ['twice, the second larger', 'Content-Length: 0\r\nContent-Length: 6\r\n'],
  ['over 32 bits', 'Content-Length: 4294967302\r\n'],
  ['over 64 bits', 'Content-Length: 18446744073709551622\r\n'],
  ['over 128 bits', 'Content-Length: 340282366920938463463374607431768211462\r\n'],
  ['other digits', 'Content-Length: \xef\xbc\x96\r\n'],
  ['folded', 'Content-Length:\r\n 6\r\n'],
  ['without a colon', 'Content-Length 6\r\n'],
  ['with an underscore in the name', 'Content_Length: 6\r\n'],
  ['after a bare LF', 'X: y\nContent-Length: 6\r\n'],
  ['after a bare CR', 'X: y\rContent-Length: 6\r\n'],
]

/** Chunked bodies that are not quite. */
const CHUNKS: [string, string][] = [
  ['plain', '5\r\nhello\r\n0\r\n\r\n'],
  ['capitals', 'A\r\n0123456789\r\n0\r\n\r\n'],
  ['zeros before the size', '0005\r\nhello\r\n0\r\n\r\n'],
  ['many zeros', `${'0'.repeat(40)}5\r\nhello\r\n0\r\n\r\n`],
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a plus', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a minus', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a size with an underscore', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['a space before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a space after the size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a tab after the size', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['no size', '\r\nhello\r\n0\r\n\r\n'],
  ['a size over 32 bits', '100000005\r\nhello\r\n0\r\n\r\n'],
  ['a size over 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size with letters', '5g\r\nhello\r\n0\r\n\r\n'],
  ['an extension', '5;a=b\r\nhello\r\n0\r\n\r\n'],
  ['a quoted extension', '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ['an extension with a quoted line end', `5;a="\r\nhello\r\n0\r\n\r\n${SMUGGLED}"\r\n`],
  ['a space before the extension', '5 ;a=b\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF in an extension', `5;\nhello\r\n0\r\n\r\n${SMUGGLED}`],
  ['a bare CR in an extension', `5;a\rb\r\nhello\r\n0\r\n\r\n${SMUGGLED}`],
  ['a bare LF in the last extension', `0;\n\r\n\r\n${SMUGGLED}`],
  ['a bare CR after the size', '5\rhello\r\n0\r\n\r\n'],
  ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
  ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n'],
  ['a bare CR after the data', '5\r\nhello\r0\r\n\r\n'],
  ['nothing after the data', '5\r\nhello0\r\n\r\n'],
  ['any two bytes after the data', '5\r\nhelloXX0\r\n\r\n'],
  ['more data than said', `5\r\nhello there\r\n0\r\n\r\n${SMUGGLED}`],
  ['less data than said', `9\r\nhello\r\n0\r\n\r\n${SMUGGLED}`],
  ['only LFs', '5\nhello\n0\n\n'],
  ['one LF at the end', '5\r\nhello\r\n0\r\n\n'],
  ['no last chunk', `5\r\nhello\r\n${SMUGGLED}`],
  ['trailers', '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'],
  ['a trailer of framing', `5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n${SMUGGLED}`],
  ['a trailer that begins a request', `0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a trailer with a space before the colon', '0\r\nX : 1\r\n\r\n'],
  ['a folded trailer', '0\r\nX: 1\r\n 2\r\n\r\n'],
  ['a trailer ended by a bare LF', '0\r\nX: 1\n\r\n'],
  ['a trailer with NUL', '0\r\nX: \x00\r\n\r\n'],
]

/** Start lines. */
const LINES: [string, string][] = [
  ['absolute', 'GET http://a/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, of another host', 'GET http://b/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, of another port', 'GET http://a:81/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, with a user', 'GET http://u:p@a/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, of another scheme', 'GET ftp://a/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, without a host', 'GET http:///case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['absolute, with a backslash', 'GET http://a\\b/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['authority form', 'GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['CONNECT of a path', 'CONNECT /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['TRACE', 'TRACE /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['asterisk of GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 'GET /case\r\n'],
  ['HTTP/0.9 with fields', 'GET /case\r\nHost: a\r\n\r\n'],
  ['HTTP/1.0', 'GET /case HTTP/1.0\r\n\r\n'],
  [
    'HTTP/1.0 with chunks',
    `POST /case HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ],
  ['HTTP/1.2', 'GET /case HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/2.0', 'GET /case HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['HTTP/01.1', 'GET /case HTTP/01.1\r\nHost: a\r\n\r\n'],
  ['HTTP/1.10', 'GET /case HTTP/1.10\r\nHost: a\r\n\r\n'],
  ['http/1.1 in small letters', 'GET /case http/1.1\r\nHost: a\r\n\r\n'],
  ['another protocol', 'GET /case XTTP/1.1\r\nHost: a\r\n\r\n'],
  ['two spaces', 'GET  /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['tabs', 'GET\t/case\tHTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET /case b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space at the end', 'GET /case HTTP/1.1 \r\nHost: a\r\n\r\n'],
  ['a space at the beginning', ' GET /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an empty line at the beginning', '\r\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a bare LF at the beginning', '\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment', 'GET /case#x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a NUL in the target', 'GET /case\x00 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a NUL, encoded', 'GET /case%00 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a high byte in the target', 'GET /case\xff HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a bare CR in the target', 'GET /case\rX HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['dot segments', 'GET /case/../../case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['dot segments, encoded', 'GET /case/%2e%2e/case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a backslash', 'GET /case\\..\\case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['two slashes', 'GET //case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a wrong escape', 'GET /case%zz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown method', 'FROB /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method in small letters', 'get /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method with a bracket', 'G[T /case HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['only LFs', 'GET /case HTTP/1.1\nHost: a\n\n'],
]

/** Header sections. */
const HEADS: [string, string][] = [
  ['no Host', 'GET /case HTTP/1.1\r\n\r\n'],
  ['an empty Host', 'GET /case HTTP/1.1\r\nHost:\r\n\r\n'],
  ['two Hosts', get('Host: b\r\n')],
  ['two Hosts, the same', get('Host: a\r\n')],
  ['a list of Hosts', 'GET /case HTTP/1.1\r\nHost: a, b\r\n\r\n'],
  ['a Host with a path', 'GET /case HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['a Host with a user', 'GET /case HTTP/1.1\r\nHost: u@a\r\n\r\n'],
  ['a Host with white space', 'GET /case HTTP/1.1\r\nHost: a b\r\n\r\n'],
  ['a Host with a wrong port', 'GET /case HTTP/1.1\r\nHost: a:b\r\n\r\n'],
  ['a folded Host', 'GET /case HTTP/1.1\r\nHost: a\r\n b\r\n\r\n'],
  ['a Host behind a space', 'GET /case HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['a name with a space', get('X Y: z\r\n')],
  ['a name with a bracket', get('X(Y): z\r\n')],
  ['an empty name', get(': z\r\n')],
  ['a line without a colon', get('nothing\r\n')],
  ['a NUL in a value', get('X: a\x00b\r\n')],
  ['DEL in a value', get('X: a\x7fb\r\n')],
  ['a bare CR in a value', get('X: a\rb\r\n')],
  ['a bare LF in a value', get('X: a\nY: b\r\n')],
  ['obs-text in a value', get('X: a\xe9b\r\n')],
  ['a folded value', get('X: a\r\n b\r\n')],
  ['an ending by LF LF', 'GET /case HTTP/1.1\r\nHost: a\n\n'],
  ['an ending by LF CR LF', 'GET /case HTTP/1.1\r\nHost: a\n\r\n'],
  ['an ending by CR CR', 'GET /case HTTP/1.1\r\nHost: a\r\r'],
  ['Connection naming Content-Length', post('Connection: Content-Length\r\nContent-Length: 6\r\n', 'abcdef')],
  [
    'Connection naming Transfer-Encoding',
    post('Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ],
  ['Connection naming Host', get('Connection: Host\r\n')],
  ['Expect in capitals', post('Expect: 100-CONTINUE\r\nContent-Length: 6\r\n', 'abcdef')],
  ['Expect of something else', post('Expect: 200-ok\r\nContent-Length: 6\r\n', 'abcdef')],
  ['Expect twice', post('Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 6\r\n', 'abcdef')],
  ['Expect behind a space', post('Expect : 100-continue\r\nContent-Length: 6\r\n', 'abcdef')],
  ['Expect with more', post('Expect: y 100-continue\r\nContent-Length: 6\r\n', 'abcdef')],
  [
    'Upgrade to h2c',
    get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'),
  ],
  [
    'Upgrade to WebSocket of a version nobody has',
    get('Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\n'),
  ],
  ['Upgrade without Connection', get('Upgrade: websocket\r\n')],
  [
    'Upgrade with a body',
    post('Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 6\r\n', 'abcdef'),
  ],
  ['a GET with a body', get('Content-Length: 6\r\n') + 'abcdef'],
  ['a GET with chunks', get('Transfer-Encoding: chunked\r\n') + '0\r\n\r\n'],
  ['a HEAD with a body', 'HEAD /case HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef'],
  ['a length on a body that is a request', post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED)],
  ['X-HTTP-Method-Override', get('X-HTTP-Method-Override: DELETE\r\n')],
  ['two requests, honestly', get('') + 'GET /case/second HTTP/1.1\r\nHost: a\r\n\r\n'],
]

/** Every attack, those of two fields in all their combinations. */
export function attacks(): Attack[] {
  const list: [string, string][] = []
  for (const [name, field] of CODINGS) {
    // What one takes for chunks another takes for six bytes and a request.
    list.push([`coding ${name}`, post(field, `0\r\n\r\n${SMUGGLED}`)])
    list.push([
      `coding ${name}, before a length`,
      post(`${field}Content-Length: 6\r\n`, `0\r\n\r\nG${SMUGGLED}`),
    ])
    list.push([
      `coding ${name}, after a length`,
      post(`Content-Length: 5\r\n${field}`, `0\r\n\r\n${SMUGGLED}`),
    ])
  }
  for (const [name, field] of LENGTHS) {
    list.push([`length ${name}`, post(field, `abcdef${SMUGGLED}`)])
    list.push([`length ${name}, of a GET`, get(field) + `abcdef${SMUGGLED}`])
  }
  for (const [name, body] of CHUNKS)
    list.push([`chunks: ${name}`, post('Transfer-Encoding: chunked\r\n', body)])
  for (const [name, bytes] of LINES) list.push([`line: ${name}`, bytes])
  for (const [name, bytes] of HEADS) list.push([`head: ${name}`, bytes])
  return list.map(([name, bytes]) => ({ name, bytes }))
}
