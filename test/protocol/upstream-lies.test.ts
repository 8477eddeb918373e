import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, field, get, ok, problem, setUp } from '../support/gateway.js'

afterEach(closeAll)

const GOOD = ok('good')

describe('what an endpoint sends that is no part of its answer never reaches the next request', () => {
  const head = 'HTTP/1.1 200 OK\r\n'
  const lies: [string, string][] = [
    ['bytes beyond its length', `${head}Content-Length: 2\r\n\r\nok-and-more`],
    ['a second answer', `${head}Content-Length: 2\r\n\r\nok${head}Content-Length: 8\r\n\r\npoisoned`],
    ['bytes behind its last chunk', `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${head}Content-Length: 8\r\n\r\npoisoned`],
    ['a body behind 304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\npoisoned`],
    ['a body behind 204', `HTTP/1.1 204 No Content\r\n\r\npoisoned`],
  ] // prettier-ignore

  test.each(lies)('%s', async (_what, answer) => {
    const { upstream, client, gateway } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(answer)
    const [first] = await c.responses(1)
    expect(first!.body).not.toContain('poison')
    c.send(get('/2'))
    const other = await upstream.peer()
    expect(await other.request()).toContain('GET /2 ')
    other.reply(GOOD)
    expect((await c.responses(1))[0]!.body).toBe('good')
    await peer.end()
    expect(gateway.state().services['s']!.endpoints[0]!.connections.closed).toEqual({ error: 1 })
  })

  test('a body behind the answer to HEAD', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n')
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`${head}Content-Length: 8\r\n\r\npoisoned`)
    await c.responses(1, 'HEAD')
    c.send(get('/2'))
    const other = await upstream.peer()
    await other.request()
    other.reply(GOOD)
    expect((await c.responses(1))[0]!.body).toBe('good')
  })

  test('what comes while nobody asks', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(GOOD)
    await c.responses(1)
    peer.reply(ok('poisoned'))
    await peer.end()
    c.send(get('/2'))
    const other = await upstream.peer()
    await other.request()
    other.reply(GOOD)
    expect((await c.responses(1))[0]!.body).toBe('good')
  })

  test.each([
    ['two ways to say its length', `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${head}Content-Length: 4\r\nContent-Length: 5\r\n\r\ngood!`],
    ['a length that is no number', `${head}Content-Length: +4\r\n\r\ngood`],
    ['a transfer coding nobody knows', `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a transfer coding in HTTP/1.0', `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ])('an answer with %s, which is an error', async (_what, answer) => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(answer)
    expect(problem((await c.responses(1))[0]!).type).toBe('urn:banyan:problem:upstream-protocol')
    await peer.end()
    c.send(get('/2'))
    const other = await upstream.peer()
    await other.request()
    other.reply(GOOD)
    expect((await c.responses(1))[0]!.body).toBe('good')
  })

  test('less than its length: the client is cut off, and nothing is kept', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/1'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(`${head}Content-Length: 10\r\n\r\nhalf`)
    await c.until((text) => text.includes('half'))
    peer.socket.end()
    await c.closed()
    const next = await client()
    next.send(get('/2'))
    const other = await upstream.peer()
    await other.request()
    other.reply(GOOD)
    expect((await next.responses(1))[0]!.body).toBe('good')
  })
})

describe('a switch of protocols', () => {
  const offer = get('/', 'Connection: Upgrade\r\nUpgrade: websocket, chat/2\r\n')
  const switched = (more: string): string => `HTTP/1.1 101 Switching Protocols\r\n${more}\r\n`

  test.each([
    ['websocket', 'websocket'],
    ['in other capitals', 'WebSocket'],
    ['of a version', 'chat/2'],
  ])('to a protocol that was offered is passed on: %s', async (_what, protocol) => {
    const { upstream, client } = await setUp()
    const c = (await client()).send(offer)
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(switched(`Connection: Upgrade\r\nUpgrade: ${protocol}\r\n`))
    peer.reply('bytes')
    expect(await c.until((text) => text.includes('bytes'))).toMatch(/^HTTP\/1\.1 101 /)
  })

  test.each([
    ['another one', 'Connection: Upgrade\r\nUpgrade: smtp\r\n'],
    ['one of them and another', 'Connection: Upgrade\r\nUpgrade: websocket, smtp\r\n'],
    ['another version', 'Connection: Upgrade\r\nUpgrade: chat/1\r\n'],
    ['none that it names', ''],
    ['one that it does not put into force', 'Upgrade: websocket\r\n'],
  ])('to %s is an error of the endpoint', async (_what, fields) => {
    const { upstream, client } = await setUp()
    const c = (await client()).send(offer)
    const peer = await upstream.peer()
    await peer.request()
    peer.reply(switched(fields))
    expect(problem((await c.responses(1))[0]!)).toMatchObject({
      status: 502,
      type: 'urn:banyan:problem:upstream-protocol',
    })
    await peer.end()
  })
})

describe('Max-Forwards', () => {
  test('of OPTIONS counts down, and at zero the gateway is the last to see it', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n')
    const peer = await upstream.peer()
    const text = await peer.request()
    expect(text.match(/^max-forwards:.*$/gim)).toEqual(['Max-Forwards: 1'])
    peer.reply(ok(''))
    await c.responses(1)
    const last = await c.ask('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n')
    expect(last.start).toMatch(/^204 /)
    expect(peer.text).toBe('')
  })

  test('of TRACE counts down too, where a route lets TRACE pass', async () => {
    const { upstream, client } = await setUp({ routes: { all: { match: { method: 'TRACE' }, to: 's' } } })
    const c = await client()
    c.send('TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n')
    const peer = await upstream.peer()
    expect(await peer.request()).toContain('Max-Forwards: 0\r\n')
    peer.reply(ok(''))
    await c.responses(1)
  })

  test('means nothing for other methods, and nothing if it is no number', async () => {
    const { upstream, client } = await setUp()
    const c = await client()
    c.send(get('/', 'Max-Forwards: 0\r\n'))
    const peer = await upstream.peer()
    expect(await peer.request()).toContain('Max-Forwards: 0\r\n')
    peer.reply(ok(''))
    await c.responses(1)
    c.send('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: many\r\n\r\n')
    expect(await peer.request()).toContain('Max-Forwards: many\r\n')
    peer.reply(ok('', 'X-Seen: yes\r\n'))
    expect(field((await c.responses(1))[0]!, 'x-seen')).toBe('yes')
  })
})
