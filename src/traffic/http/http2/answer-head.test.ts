import { expect, test } from 'vitest'
import { Fields } from '../fields.js'
import { answerHeaders, trailerHeaders, withJoinedLines } from './answer-head.js'

test('fields become headers in lower case, several of a name a list', () => {
  expect({ ...answerHeaders(200, 'X-A: 1\r\nx-a: 2\r\nX-A: 3\r\nDate: now: or then\r\n') }).toEqual({
    ':status': 200,
    'x-a': ['1', '2', '3'],
    date: 'now: or then',
  })
})

test('fields about the connection are left out', () => {
  const text =
    'Connection: x\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\nUpgrade: b\r\nProxy-Connection: c\r\n'
  expect({ ...answerHeaders(204, text) }).toEqual({ ':status': 204 })
  expect({ ...trailerHeaders(Fields.of([['Connection', 'x'], ['A', 'b']])) }).toEqual({ a: 'b' }) // prettier-ignore
})

test('a field may be called like something every object has', () => {
  expect(answerHeaders(200, 'constructor: a\r\n__proto__: b\r\n').constructor).toBe('a')
  expect(Object.keys(answerHeaders(200, '__proto__: b\r\n'))).toContain('__proto__')
})

test('lists become one line, but for Set-Cookie', () => {
  const joined = withJoinedLines(
    answerHeaders(200, 'ETag: a\r\nETag: b\r\nSet-Cookie: c\r\nSet-Cookie: d\r\n'),
  )
  expect(joined).toMatchObject({ etag: 'a, b', 'set-cookie': ['c', 'd'] })
})
