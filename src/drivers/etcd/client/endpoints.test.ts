import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { systemRuntime } from '../../../core/runtime.js'
import { Endpoints } from './endpoints.js'
import type { EtcdTls } from './settings.js'

const WITHIN_MS = 500

async function failure(endpoint: string, tls?: EtcdTls): Promise<unknown> {
  const endpoints = new Endpoints({ endpoints: [endpoint], tls, timeout: WITHIN_MS }, systemRuntime)
  try {
    return await Promise.resolve(endpoints.connection(WITHIN_MS)).catch((error: unknown) => error)
  } finally {
    endpoints.close()
  }
}

test('why no endpoint can be reached is told', async () => {
  // Ends whatever does not speak HTTP/2 without TLS.
  const sockets: Socket[] = []
  const other = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined).end('SSH-2.0\r\n')
  })
  await once(other.listen(0, '127.0.0.1'), 'listening')
  const { port } = other.address() as AddressInfo
  expect(String(await failure(`127.0.0.1:${port}`))).toMatch(/within 500 ms: .+/)
  expect(String(await failure(`127.0.0.1:${port}`, {}))).toMatch(/within 500 ms: .*(SSL|TLS)/i)
  for (const socket of sockets) socket.destroy()
  other.close()
  await once(other, 'close')
  expect(String(await failure(`127.0.0.1:${port}`))).toContain(
    `within 500 ms: connect ECONNREFUSED 127.0.0.1:${port}`,
  )
})
