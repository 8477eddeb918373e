import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { virtualRuntime } from '../../src/testing/index.js'
import type { RouteSpec } from '../../src/traffic/gateway/index.js'
import { Cli, configFile } from '../support/cli.js'
import { closeAll, open } from '../support/gateway.js'
import { inFrontOf } from '../support/origin.js'

afterEach(closeAll)

const EVENTS = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' }
const EVERYTHING: Partial<RouteSpec> = { compress: true, cache: true, requestId: true }

/** A service that sends events when the test says so. */
async function events(route: Partial<RouteSpec> = EVERYTHING, options = {}) {
  const streams: ServerResponse[] = []
  const set = await inFrontOf(
    (_request, response) => {
      response.writeHead(200, EVENTS)
      response.flushHeaders()
      streams.push(response)
    },
    route,
    options,
  )
  const c = await set.client()
  const subscribe = async (more = ''): Promise<ServerResponse> => {
    c.send(
      `GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip, br\r\n${more}\r\n`,
    )
    await c.until((text) => text.includes('\r\n\r\n'))
    return streams.at(-1)!
  }
  return { ...set, c, subscribe, streams }
}

describe('server-sent events', () => {
  test('come one by one through compression, cache and request ids, and their head before the first', async () => {
    const { c, subscribe } = await events()
    const stream = await subscribe()
    expect(c.text).toMatch(/Content-Type: text\/event-stream\r\n/)
    expect(c.text).not.toMatch(/Content-Encoding/)
    for (let id = 1; id <= 5; id++) {
      stream.write(`id: ${id}\ndata: event ${id}\n\n`)
      // The next one is only sent once this one has arrived.
      await c.until((text) => text.includes(`data: event ${id}\n\n`))
    }
    stream.end()
    await c.until((text) => text.endsWith('0\r\n\r\n'))
  })

  test('are asked for again from where the client was', async () => {
    const { origin, subscribe } = await events()
    await subscribe('Last-Event-ID: 42\r\n')
    expect(origin.last.headers['last-event-id']).toBe('42')
  })

  test('are not shared by clients', async () => {
    const { origin, subscribe, client } = await events()
    await subscribe()
    const other = await client()
    other.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n')
    await origin.asked(2)
  })

  test('end for the service when the client goes', async () => {
    const { c, subscribe } = await events()
    const stream = await subscribe()
    const closed = new Promise((resolve) => stream.once('close', resolve))
    c.destroy()
    await closed
  })
})

describe('a service that is silent in the middle of a stream', () => {
  test.each([
    ['is given up after the idle timeout of its service', { idleTimeout: '30s' as const }, {}],
    ['unless its route allows less', { idleTimeout: '10m' as const }, { idleTimeout: '30s' as const }],
  ])('%s', async (_what, service, route) => {
    const runtime = virtualRuntime()
    const { c, subscribe } = await events(route, { runtime, service })
    const stream = await subscribe()
    stream.write('data: 1\n\n')
    await c.until((text) => text.includes('data: 1'))
    const closed = new Promise((resolve) => stream.once('close', resolve))
    await runtime.clock.advance('29s')
    expect(stream.destroyed).toBe(false)
    await runtime.clock.advance('3s')
    await Promise.all([closed, c.closed()])
  })

  test('may be silent for as long as its route says', async () => {
    const runtime = virtualRuntime()
    const { c, subscribe } = await events({ idleTimeout: '1h' }, { runtime, service: { idleTimeout: '5s' } })
    const stream = await subscribe()
    await runtime.clock.advance('59m')
    stream.write('data: late\n\n')
    await c.until((text) => text.includes('data: late'))
  })
})

describe('the real process', () => {
  const MB = 1024 * 1024
  const SIZE = 200 * MB
  const BLOCK = Buffer.alloc(256 * 1024, 'x')

  /** A node before a service that counts what it gets, and sends as much as it is asked for. */
  async function start() {
    let received = 0
    const server = createServer((request, response) => {
      if (request.method === 'GET') {
        response.writeHead(200, { 'Content-Length': SIZE })
        let sent = 0
        const more = (): void => {
          while (sent < SIZE) {
            sent += BLOCK.length
            if (!response.write(BLOCK)) {
              response.once('drain', more)
              return
            }
          }
          response.end()
        }
        more()
        return
      }
      request.on('data', (data: Buffer) => (received += data.length))
      request.on('end', () => response.end(String(received)))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const node = new Cli(
      'up',
      '-c',
      configFile({
        listen: 0,
        admin: false,
        services: { web: { endpoints: [`http://127.0.0.1:${port}`] } },
        routes: { all: { match: {}, to: 'web', compress: true, cache: true, requestId: true } },
      }),
    )
    open.push({
      close: async () => {
        node.process.kill('SIGKILL')
        await node.ended
        server.closeAllConnections()
        server.close()
      },
    })
    const url = (await node.printed(/gateway on http:\/\/127\.0\.0\.1:(\d+)/))[1]!
    return { port: Number(url), pid: node.process.pid! }
  }

  /** The most memory the process has ever had, in bytes. */
  const peak = (pid: number): number =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

  test('takes a large upload in little memory', async () => {
    const { port, pid } = await start()
    const before = peak(pid)
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.once('data', (data: Buffer) => {
        socket.destroy()
        resolve(data.toString())
      })
      socket.write(`PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`)
      let sent = 0
      const more = (): void => {
        while (sent < SIZE) {
          sent += BLOCK.length
          if (!socket.write(BLOCK)) {
            socket.once('drain', more)
            return
          }
        }
      }
      more()
    })
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 200 [^]*${SIZE}$`))
    expect((peak(pid) - before) / MB).toBeLessThan(60)
  })

  test('gives a large download in little memory, to a client that stops in the middle too', async () => {
    const { port, pid } = await start()
    const before = peak(pid)
    const received = await new Promise<number>((resolve, reject) => {
      let bytes = 0
      let rested = false
      const socket = connect(port, '127.0.0.1')
      socket.once('error', reject)
      socket.on('data', (data: Buffer) => {
        bytes += data.length
        if (!rested && bytes > SIZE / 2) {
          // While it rests, the sockets' buffers fill, and then nothing may be read on its behalf.
          rested = true
          socket.pause()
          void turns(5000).then(() => socket.resume())
        }
      })
      socket.once('end', () => resolve(bytes))
      socket.write('GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    })
    expect(received).toBeGreaterThan(SIZE)
    expect((peak(pid) - before) / MB).toBeLessThan(60)
  })
})

/** Lets the event loop go round; the other processes work meanwhile. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}
