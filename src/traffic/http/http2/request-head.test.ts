import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HttpError } from '../http-error.js'
import { defaultHttpLimits } from '../limits.js'
import { readRequestHead, readTrailers } from './request-head.js'

const head = [':method', 'GET', ':scheme', 'https', ':authority', 'shop.example', ':path', '/']

const read = (section: readonly string[], complete = true) =>
  readRequestHead(section, complete, defaultHttpLimits)

/** Status of the refusal. */
function refusal(section: readonly string[], complete = true): number {
  try {
    read(section, complete)
  } catch (error) {
    if (error instanceof HttpError) return error.status
    throw error
  }
  throw new Error('not refused')
}

const without = (name: string): string[] =>
  head.flatMap((text, index) => (head[index - (index % 2)] === name ? [] : [text]))

describe('the head of a request', () => {
  test('is that of every request, whatever the version', () => {
    expect(read([...head, 'te', 'trailers', 'x', '1'])).toMatchObject({
      method: 'GET',
      target: '/',
      host: 'shop.example',
      major: 2,
      framing: { kind: 'none' },
      trailers: true,
      upgrade: undefined,
    })
  })

  test('frames its body by the length, or in parts', () => {
    expect(read([...head, 'content-length', '5'], false).framing).toEqual({ kind: 'length', length: 5 })
    expect(read(head, false).framing).toEqual({ kind: 'chunked' })
    expect(read([...head, 'content-length', '0'], false).framing).toEqual({ kind: 'none' })
  })

  test('takes the Host where there is no authority', () => {
    expect(read([...without(':authority'), 'host', 'a.example']).host).toBe('a.example')
    expect(read([...head, 'host', 'Shop.Example']).host).toBe('shop.example')
  })

  test('joins what cookies fell apart to', () => {
    const { fields } = read([...head, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2', 'cookie', 'c=3'])
    expect([...fields]).toEqual([
      ['cookie', 'a=1; b=2; c=3'],
      ['x', 'y'],
    ])
  })

  test.each([':method', ':scheme', ':authority', ':path'])('must have %s', (name) => {
    expect(refusal(without(name))).toBe(400)
  })

  test.each([
    ['a field about the connection', ['connection', 'close'], 400],
    ['a keep-alive', ['keep-alive', '5'], 400],
    ['a transfer coding', ['transfer-encoding', 'chunked'], 400],
    ['an upgrade', ['upgrade', 'websocket'], 400],
    ['another TE', ['te', 'gzip, trailers'], 400],
    ['capitals', ['X', '1'], 400],
    ['an empty name', ['', '1'], 400],
    ['a pseudo-header field too late', ['x', '1', ':path', '/'], 400],
    ['a pseudo-header field twice', [':path', '/'], 400],
    ['a pseudo-header field nobody knows', [':constructor', '/'], 400],
    ['two lengths', ['content-length', '0', 'content-length', '0'], 400],
    ['a protocol without CONNECT', [':protocol', 'websocket'], 400],
    ['another Host', ['host', 'b.example'], 400],
    ['an expectation', ['expect', 'x'], 417],
  ])('must not have %s', (_what, more, status) => {
    expect(refusal([...head, ...more])).toBe(status)
  })

  test('may have a field that only looks like one of the connection to servers after CGI', () => {
    expect(read([...head, 'transfer_encoding', 'x', 'content_length', '9']).framing).toEqual({ kind: 'none' })
  })

  test('of a WebSocket becomes an offer to switch, with a key of our own', () => {
    const section = [
      ':method',
      'CONNECT',
      ':protocol',
      'websocket',
      ...head.slice(2),
      'sec-websocket-key',
      'x',
    ]
    const { method, upgrade, fields, framing } = read(section, false)
    expect([method, upgrade, framing]).toEqual(['GET', 'websocket', { kind: 'none' }])
    expect(Buffer.from(fields.get('sec-websocket-key')!, 'base64')).toHaveLength(16)
  })

  test('never lets through what would be something else in HTTP/1.1', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...head,
        'host',
        'te',
        'trailers',
        'cookie',
        'connection',
        'content-length',
        '5',
        '*',
        'CONNECT',
        'OPTIONS',
        ':protocol',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 8 }),
      fc.constantFrom('a\r\nb: c', '/ HTTP/1.1\r\nx: y', 'a b', '\0', 'a:b', '/\t', '//', '/#', 'a@b', 'é'),
    )
    const section = fc
      .tuple(fc.array(piece, { maxLength: 6 }), fc.nat(8), fc.boolean())
      .map(([pieces, at, complete]) => {
        const even = pieces.slice(0, pieces.length - (pieces.length % 2))
        return [[...head.slice(0, at - (at % 2)), ...even, ...head.slice(at - (at % 2))], complete] as const
      })
    fc.assert(
      fc.property(section, ([strings, complete]) => {
        try {
          const { method, target, host, fields } = read(strings, complete)
          const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...[...fields].map(([name, value]) => `${name}: ${value}`)] // prettier-ignore
          for (const line of lines) expect(line).toMatch(/^[\t\x20-\x7e\x80-\xff]+$/)
          expect(lines[0]).toMatch(/^[^ ]+ (\*|\/[^ #]*) HTTP\/1\.1$/)
          for (const [name] of fields) expect(name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
          expect(host).toMatch(/^[^@/?# ]+$/)
        } catch (error) {
          if (!(error instanceof HttpError)) throw error
        }
      }),
      { numRuns: 3000 },
    )
  })
})

test('trailers have no pseudo-header fields', () => {
  expect([...readTrailers(['x', '1'], defaultHttpLimits)]).toEqual([['x', '1']])
  expect(() => readTrailers([':path', '/'], defaultHttpLimits)).toThrow('among the trailers')
})
