import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { virtualClock } from '../../testing/virtual-clock.js'
import { Connections } from './connections.js'

const sockets: Socket[] = []
/** Takes connections, and never says anything. */
const silent = createServer((socket) => sockets.push(socket))
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  silent.close()
  await once(silent, 'close')
})

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
