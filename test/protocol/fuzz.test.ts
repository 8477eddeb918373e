import fc from 'fast-check'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { locate } from '../../src/traffic/gateway/router.js'
import { cut, mutated, readPieces, validRequest, type ReadMessage } from '../support/http-messages.js'
import { RawClient } from '../support/raw.js'

/** What the server behind the gateway could not read; nothing a client sends may bring the gateway to write such. */
const unreadable: string[] = []
const server = createServer((request, response) => {
  request.resume()
  request.on('error', () => undefined)
  request.on('end', () =>
    response
      .writeHead(200, { 'X-Echo': `${request.method ?? ''} ${request.url ?? ''}`, 'Content-Length': 0 })
      .end(),
  )
})
server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
  // A method is any token, to all but Node; a connection that is cut off is not unreadable.
  if (!['HPE_INVALID_METHOD', 'ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(error.code ?? ''))
    unreadable.push(error.code ?? error.message)
  socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
})

let gateway: Gateway
let port: number

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  gateway = await Gateway.open({
    services: { s: { endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } },
    routes: { all: { match: {}, to: 's' } },
  })
  port = (await gateway.listen(0)).port
})

afterAll(async () => {
  await gateway.close()
  server.closeAllConnections()
  server.close()
})

const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** Whether the connection ends after this request. */
function ends({ start, fields }: ReadMessage): boolean {
  return (
    start.endsWith(' 1.0') ||
    fields.some(([name, value]) => /^connection$/i.test(name) && /close/i.test(value))
  )
}

test('whatever a client sends, each request that is valid gets its own answer, and the endpoint only what it can read', async () => {
  const message = fc.oneof(validRequest, mutated(validRequest))
  const places = fc.array(fc.nat(1_000), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), places, async (messages, cuts) => {
      const bytes = Buffer.concat(messages)
      const { messages: read, refused } = readPieces('request', [bytes])
      const complete = read.filter((each) => each.complete)
      const c = await RawClient.open(port)
      for (const piece of cut(bytes, cuts)) c.socket.write(piece)
      const unfinished = refused === undefined && complete.length < read.length
      const until = complete.findIndex(ends)
      const expected = until === -1 ? complete : complete.slice(0, until + 1)
      const methods = expected.map(({ start }) => start.slice(0, start.indexOf(' ')))
      if (unfinished && until === -1) {
        // The rest will never come.
        c.destroy()
        return
      }
      if (until === -1 && refused === undefined) {
        // Behind bytes that are only the beginning of a request this is not one either.
        c.send(last)
      }
      await c.closed()
      const answers = (await c.responses(Infinity, methods)).filter(({ start }) => !start.startsWith('1'))
      expect(unreadable).toEqual([])
      expected.forEach(({ start }, index) => {
        const answer = answers[index]
        const [method, target] = start.split(' ')
        const location = locate(target!)
        const asked = `${method!} ${(location?.path ?? '') + (location?.query ?? '')}`
        const echo = answer?.fields.find(([name]) => name === 'X-Echo')?.[1]
        // The gateway itself refuses a path that climbs above its root; Node, a method it does not know.
        if (echo === undefined) expect(answer?.start, asked).toMatch(/^40[05] /)
        else expect(echo).toBe(asked)
      })
      expect(answers.length).toBeLessThanOrEqual(expected.length + 1)
    }),
    { numRuns: 1_000 },
  )
  // Nothing is left of all that.
  const c = await RawClient.open(port)
  expect((await c.send(last).responses(1))[0]!.start).toBe('200 OK 1.1')
  await c.closed()
  expect(gateway.state().services['s']!.endpoints[0]).toMatchObject({ active: 0 })
})
