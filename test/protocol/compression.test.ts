import { gunzipSync, brotliDecompressSync, inflateSync, constants, gunzip } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import type { CompressSpec } from '../../src/traffic/gateway/filters/compress/spec.js'
import { closeAll, field, get, setUp } from '../support/gateway.js'
import type { RawClient, RawPeer } from '../support/raw.js'

afterEach(closeAll)

const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(100)
const JSON_TYPE = 'Content-Type: application/json\r\n'

const whole = (body: string, more: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`

async function start(compress: true | CompressSpec = true) {
  const { client, upstream, gateway, port } = await setUp({
    routes: { all: { match: {}, to: 's', compress } },
  })
  const c = await client()
  let peer: RawPeer | undefined
  /** Sends a request and plays its answer. */
  const ask = async (accept: string | undefined, answer: string, method = 'GET', more = '') => {
    const fields = `${accept === undefined ? '' : `Accept-Encoding: ${accept}\r\n`}${more}`
    c.send(`${method} / HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`)
    peer ??= await upstream.peer()
    await peer.request()
    peer.reply(answer)
    const [message] = await c.responses(1, method)
    return message!
  }
  return { ask, client, c, upstream, gateway, port }
}

const bodyOf = (message: { body: string }): Buffer => Buffer.from(message.body, 'latin1')

describe('an answer is compressed', () => {
  test.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['deflate', inflateSync],
  ] as const)('with %s for a client that takes it, and says so', async (encoding, decode) => {
    const { ask } = await start()
    const answer = await ask(encoding, whole(TEXT, JSON_TYPE))
    expect(field(answer, 'content-encoding')).toBe(encoding)
    expect(field(answer, 'vary')).toBe('Accept-Encoding')
    expect(field(answer, 'content-length')).toBeUndefined()
    expect(decode(bodyOf(answer)).toString()).toBe(TEXT)
    expect(answer.body.length).toBeLessThan(TEXT.length / 10)
  })

  test('also one whose length is not known', async () => {
    const { ask } = await start()
    const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${JSON_TYPE}\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`
    const answer = await ask('gzip', chunked)
    expect(gunzipSync(bodyOf(answer)).toString()).toBe('hello world')
  })

  test('by the first of the offered codings that the client weighs most', async () => {
    const { ask } = await start({ encodings: ['gzip', 'br'] })
    expect(field(await ask('br, gzip', whole(TEXT, JSON_TYPE)), 'content-encoding')).toBe('gzip')
    expect(field(await ask('br, gzip;q=0.9', whole(TEXT, JSON_TYPE)), 'content-encoding')).toBe('br')
  })

  test('and its strong entity tag becomes a weak one, its ranges are no longer offered', async () => {
    const { ask } = await start()
    const answer = await ask('gzip', whole(TEXT, `${JSON_TYPE}ETag: "a"\r\nAccept-Ranges: bytes\r\n`))
    expect(field(answer, 'etag')).toBe('W/"a"')
    expect(field(answer, 'accept-ranges')).toBeUndefined()
    const unchanged = await ask(
      'gzip',
      'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
      'GET',
      'If-None-Match: W/"a"\r\n',
    )
    expect(field(unchanged, 'etag')).toBe('W/"a"')
  })

  test('and a HEAD is told the same fields, but no length', async () => {
    const { ask } = await start()
    const answer = await ask(
      'gzip',
      `HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n${JSON_TYPE}ETag: "a"\r\n\r\n`,
      'HEAD',
    )
    expect(field(answer, 'content-encoding')).toBe('gzip')
    expect(field(answer, 'etag')).toBe('W/"a"')
    expect(field(answer, 'content-length')).toBeUndefined()
  })
})

describe('an answer passes untouched', () => {
  const cases: [string, string | undefined, string, string?][] = [
    ['for a client that takes no coding', undefined, JSON_TYPE],
    ['for a client that prefers it so', 'identity, gzip;q=0.5', JSON_TYPE],
    ['if it is encoded already', 'gzip', `${JSON_TYPE}Content-Encoding: zstd\r\n`],
    ['if it must not be transformed', 'gzip', `${JSON_TYPE}Cache-Control: No-Transform\r\n`],
    ['if its type gains nothing', 'gzip', 'Content-Type: image/png\r\n'],
    ['if its type is not known', 'gzip', ''],
    ['if its digest would be wrong then', 'gzip', `${JSON_TYPE}Content-Digest: sha-256=:AA==:\r\n`],
    ['if it is a stream of events', 'gzip', 'Content-Type: text/event-stream\r\n'],
  ]
  test.each(cases)('%s', async (_what, accept, more) => {
    const { ask } = await start()
    const answer = await ask(accept, whole(TEXT, `${more}ETag: "a"\r\n`))
    expect(answer.body).toBe(TEXT)
    expect(field(answer, 'etag')).toBe('"a"')
    expect(field(answer, 'content-length')).toBe(String(TEXT.length))
  })

  test('if it is short', async () => {
    const { ask } = await start({ minimumSize: '4kB' })
    expect((await ask('gzip', whole('x'.repeat(4095), JSON_TYPE))).body.length).toBe(4095)
    expect((await ask('gzip', whole('x'.repeat(4096), JSON_TYPE))).body.length).toBeLessThan(100)
  })

  test.each([
    ['a part', `206 Partial Content\r\nContent-Range: bytes 0-${TEXT.length - 1}/9999`, TEXT],
    ['without content', '204 No Content', ''],
  ])('if it is %s', async (_what, start_, body) => {
    const { ask } = await start()
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
    const answer = await ask('gzip', `HTTP/1.1 ${start_}\r\n${length}${JSON_TYPE}\r\n${body}`)
    expect(field(answer, 'content-encoding')).toBeUndefined()
    expect(answer.body).toBe(body)
  })

  test('but says that it varies, so that caches keep it apart from the compressed one', async () => {
    const { ask } = await start()
    expect(field(await ask(undefined, whole(TEXT, `${JSON_TYPE}Vary: Origin\r\n`)), 'vary')).toBe(
      'Origin, Accept-Encoding',
    )
  })

  test('while too many are being compressed', async () => {
    const { client, upstream } = await start({ concurrency: 1 })
    const [first, second] = [await client(), await client()]
    first.send(get('/', 'Accept-Encoding: gzip\r\n'))
    const one = await upstream.peer()
    await one.request()
    one.reply(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${JSON_TYPE}\r\n5\r\nhello\r\n`)
    await first.until((text) => text.includes('gzip'))
    second.send(get('/', 'Accept-Encoding: gzip\r\n'))
    const two = await upstream.peer()
    await two.request()
    two.reply(whole(TEXT, JSON_TYPE))
    expect((await second.responses(1))[0]!.body).toBe(TEXT)
    one.reply('0\r\n\r\n')
    expect(gunzipSync(bodyOf((await first.responses(1))[0]!)).toString()).toBe('hello')
    second.send(get('/', 'Accept-Encoding: gzip\r\n'))
    await Promise.race([one.request(), two.request()])
    for (const peer of [one, two]) peer.reply(whole(TEXT, JSON_TYPE))
    expect((await second.responses(1))[0]!.body.length).toBeLessThan(500)
  })
})

describe('a stream', () => {
  test('arrives event by event, nothing is held back', async () => {
    const { c, upstream } = await start({ types: ['text/event-stream'] })
    c.send(get('/', 'Accept-Encoding: br;q=0.1, gzip\r\n'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n')
    for (let index = 0; index < 5; index++) {
      const event = `data: ${index}\n\n`
      peer.reply(`${event.length.toString(16)}\r\n${event}\r\n`)
      // The next one is sent only after this one has come: if it were held back, this would never end.
      await decoded(c, event)
    }
  })

  test('ends when its client goes, and frees its place', async () => {
    const { client, upstream } = await start({ concurrency: 1 })
    const leaving = await client()
    leaving.send(get('/', 'Accept-Encoding: gzip\r\n'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${JSON_TYPE}\r\n5\r\nhello\r\n`)
    await leaving.until((text) => text.includes('gzip'))
    leaving.destroy()
    await peer.end()
    const next = (await client()).send(get('/', 'Accept-Encoding: gzip\r\n'))
    const fresh = await upstream.peer()
    await fresh.request()
    fresh.reply(whole(TEXT, JSON_TYPE))
    expect(field((await next.responses(1))[0]!, 'content-encoding')).toBe('gzip')
  })

  test('that breaks off does so for the client too', async () => {
    const { c, upstream } = await start()
    c.send(get('/', 'Accept-Encoding: gzip\r\n'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n${JSON_TYPE}\r\nhello`)
    await c.until((text) => text.includes('gzip'))
    peer.socket.destroy()
    await c.closed()
    expect(c.text.endsWith('0\r\n\r\n')).toBe(false)
  })
})

/** Waits until what has come so far, decompressed, ends with a text. */
async function decoded(c: RawClient, end: string): Promise<void> {
  let text = ''
  while (!text.endsWith(end)) {
    const { length } = c
    const bytes = chunksOf(c.text)
    text = await new Promise<string>((resolve) =>
      gunzip(bytes, { finishFlush: constants.Z_SYNC_FLUSH }, (error, data) =>
        resolve(error ? '' : String(data)),
      ),
    )
    if (!text.endsWith(end)) await c.until(() => c.length > length)
  }
}

function chunksOf(text: string): Buffer {
  const parts: string[] = []
  let rest = text.slice(text.indexOf('\r\n\r\n') + 4)
  for (;;) {
    const end = rest.indexOf('\r\n')
    const length = Number.parseInt(rest.slice(0, end), 16)
    if (end < 0 || !(length > 0) || rest.length < end + 4 + length)
      return Buffer.from(parts.join(''), 'latin1')
    parts.push(rest.slice(end + 2, end + 2 + length))
    rest = rest.slice(end + 4 + length)
  }
}
