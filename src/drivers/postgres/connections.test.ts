import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { virtualClock } from '../../testing/virtual-clock.js'
import { Connections } from './connections.js'

const sockets: Socket[] = []
/** Takes connections, and never says anything. */
const silent = createServer((socket) => sockets.push(socket))
/** Asks everybody for a password, as PostgreSQL does. */
const asking = createServer((socket) => {
  sockets.push(socket)
  socket.once('data', () => {
    socket.write(authentication(10, 'SCRAM-SHA-256\0\0'))
    socket.once('data', () => socket.write(authentication(11, 'r=nonce,s=c2FsdA==,i=4096')))
  })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of [silent, asking]) {
    if (!server.listening) continue
    server.close()
    await once(server, 'close')
  }
})

function authentication(kind: number, text: string): Buffer {
  const message = Buffer.alloc(9 + text.length, 'R')
  message.writeInt32BE(8 + text.length, 1)
  message.writeInt32BE(kind, 5)
  message.write(text, 9)
  return message
}

test('closing does not wait until a server that does not answer is given up', async () => {
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  const { port } = silent.address() as AddressInfo
  const url = `postgres://me@127.0.0.1:${port}/shop`
  const clock = virtualClock()
  const connections = await Connections.load(
    { url, connections: 1, retryFor: 60_000, answerWithin: 60_000 },
    clock,
  )
  const connected = once(silent, 'connection')
  const warnings: Error[] = []
  const warn = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', warn)
  // All wait for the connection of the first.
  const asked = Array.from({ length: 20 }, () =>
    connections.patiently(
      () => connections.readOnce('SELECT 1', []),
      (error) => error as Error,
    ),
  )
  const answers = Promise.allSettled(asked)
  await connected
  const closed = connections.close()
  for (const { status } of await answers) expect(status).toBe('rejected')
  await clock.advance('1s')
  await closed
  expect(clock.pending).toBe(0)
  process.off('warning', warn)
  expect(warnings).toEqual([])
})

test('without the password that a server asks for, the connection is closed at once, and the reason told', async () => {
  await once(asking.listen(0, '127.0.0.1'), 'listening')
  const { port } = asking.address() as AddressInfo
  const url = `postgres://me@127.0.0.1:${port}/shop`
  const settings = { url, connections: 1, retryFor: 60_000, answerWithin: 60_000 }
  const connections = await Connections.load(settings, virtualClock())
  const connected = once(asking, 'connection') as Promise<[Socket]>
  await expect(connections.read('SELECT 1', [])).rejects.toThrow(
    `PostgreSQL at ${connections.place} asks for a password, and the url has none`,
  )
  const [socket] = await connected
  if (!socket.closed) await once(socket.resume(), 'close')
  await connections.close()
})
