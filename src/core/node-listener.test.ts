import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { virtualClock } from '../testing/virtual-clock.js'
import type { HandlerAnswer, HttpHandler } from './http-handler.js'
import { nodeListener, type NodeListenerOptions } from './node-listener.js'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A connection to a handler. */
async function connected(handler: HttpHandler, options: NodeListenerOptions = {}): Promise<Socket> {
  const server = createServer(nodeListener(handler, options))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  closers.push(() => {
    socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return socket
}

/** Asks a handler that answers with these parts, and takes nothing yet. */
async function ask(body: HandlerAnswer['body'], options: NodeListenerOptions = {}): Promise<Socket> {
  const answer: HandlerAnswer = { status: 200, fields: [['X-Of', 'handler']], body }
  const socket = await connected(() => Promise.resolve(answer), options)
  socket.pause()
  socket.on('error', () => undefined)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  return socket
}

describe('a handler as a listener', () => {
  it('gives the head at once, though the first part may be long in coming', async () => {
    const nothing: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    }
    const socket = await ask(nothing)
    socket.resume()
    const [head] = (await once(socket, 'data')) as [Buffer]
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nX-Of: handler\r\n/)
  })

  it('takes everything behind the first question mark for the query', async () => {
    const socket = await connected(({ path, query }) => {
      const body = Buffer.from(JSON.stringify([path, ...query]))
      return Promise.resolve({ status: 200, fields: [], body })
    })
    socket.write('GET /a?b=c?d&e=f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(await text(socket)).toContain('["/a",["b","c?d"],["e","f"]]')
  })

  it('closes the connection of a request that it has not read whole', async () => {
    const socket = await connected(async (request) => {
      const isRead = await request.body(10).then(
        () => true,
        () => false,
      )
      return { status: isRead ? 200 : 413, fields: [], body: Buffer.from('x') }
    })
    const head = 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
    const answer = async (): Promise<string> => String(await once(socket, 'data'))
    socket.write(`${head}5\r\nshort\r\n0\r\n\r\n`)
    expect(await answer()).toMatch(/^HTTP\/1\.1 200 OK\r\n(?![^]*connection: close)/i)
    socket.write(`${head}14\r\nlonger than ten byte\r\n`)
    expect(await answer()).toMatch(/^HTTP\/1\.1 413 [^]*\r\nconnection: close\r\n/i)
    await once(socket, 'close')
  })

  it('waits for a client that is slow, and cuts off one that takes nothing any more', async () => {
    const clock = virtualClock()
    let given = 0
    let over = (): void => undefined
    const ended = new Promise<void>((resolve) => (over = resolve))
    let wait = (): void => undefined
    const waiting = new Promise<void>((resolve) => (wait = resolve))
    clock.schedule = ((schedule) => (at: number, callback: () => void) => {
      wait()
      return schedule(at, callback)
    })(clock.schedule.bind(clock))
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) {
          given++
          // More than the buffers of connections have room for.
          yield await Promise.resolve(Buffer.alloc(64 * 1024 * 1024))
        }
      } finally {
        over()
      }
    }
    const socket = await ask(endless(), { stall: '10s', clock })
    await waiting
    await clock.advance('9s')
    // What it does not take is not asked for.
    expect(given).toBe(1)
    expect(socket.destroyed).toBe(false)
    await clock.advance('2s')
    await ended
  })
})
