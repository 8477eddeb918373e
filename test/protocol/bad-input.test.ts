import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, field, get, ok, setUp } from '../support/gateway.js'

afterEach(closeAll)

describe('what is too much', () => {
  test('a head of 2 GB is answered with 431 after its first kilobytes, and the rest is not read', async () => {
    const { port, upstream, client } = await setUp()
    const socket = connect({ port, host: '127.0.0.1' })
    let answer = ''
    socket.on('data', (data) => (answer += data.toString('latin1')))
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => resolve())
      socket.on('error', () => resolve())
    })
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
    const line = `X-Padding: ${'x'.repeat(60_000)}\r\n`
    let sent = 0
    const pour = (): void => {
      // As fast as it is taken, up to 2 GB.
      while (!socket.destroyed && sent < 2 ** 31) {
        sent += line.length
        if (!socket.write(line)) {
          socket.once('drain', pour)
          return
        }
      }
    }
    pour()
    await closed
    expect(answer).toMatch(/^HTTP\/1\.1 431 [^]*Connection: close\r\n/)
    expect(sent).toBeLessThan(64 * 2 ** 20)
    expect(upstream.peers.length).toBe(0)
    const c = await client()
    c.send(get())
    ;(await upstream.peer()).reply(ok('others are served'))
    expect((await c.responses(1))[0]!.body).toBe('others are served')
  })

  test('a million query parameters are refused by default, and where they are allowed one of them can be matched', async () => {
    const many = `/?${Array.from({ length: 1_000_000 }, (_, index) => `p${index}=${index}`).join('&')}`
    const strict = await setUp()
    expect((await (await strict.client()).ask(get(many))).start).toMatch(/^414 /)
    const { upstream, client } = await setUp(
      {
        routes: {
          last: { match: { query: { p999999: '999999' } }, to: 's', rewrite: { host: 'last.example' } },
          all: { match: {}, to: 's' },
        },
      },
      { limits: { targetBytes: 32 * 2 ** 20, headBytes: 32 * 2 ** 20 } },
    )
    const c = await client()
    c.send(get(many))
    const peer = await upstream.peer()
    const request = await peer.request()
    expect(request.includes('\r\nHost: last.example\r\n')).toBe(true)
    expect(request.startsWith(`GET ${many} `)).toBe(true)
    peer.reply(ok('found'))
    expect((await c.responses(1))[0]!.body).toBe('found')
  })
})

describe('an endpoint that redirects to itself', () => {
  test('has its redirect passed on: the gateway follows none, and asks once', async () => {
    const { upstream, client, gateway } = await setUp({
      service: { policy: 'p' },
      policies: { p: { retry: { attempts: 3 }, timeout: '5s' } },
    })
    const c = await client()
    c.send(get('/loop'))
    const peer = await upstream.peer()
    await peer.request()
    peer.reply('HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n')
    const [answer] = await c.responses(1)
    expect([answer!.start, field(answer!, 'location')]).toEqual(['302 Found 1.1', '/loop'])
    expect(gateway.state().services['s']!.endpoints[0]!.requests).toBe(1)
  })
})
