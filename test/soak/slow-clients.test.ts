import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { Cli, configFile } from '../support/cli.js'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** So many, or as many as this process may have files. */
const CLIENTS = Math.min(10_000, openFiles() - 500)

function openFiles(): number {
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return limit === 'unlimited' ? Infinity : Number(limit)
}

/** Memory that a process really uses, in MB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

test(`${CLIENTS} clients that dawdle cost little memory, hold up nobody, and are sent away`, async () => {
  const upstream = createServer((_request, response) => response.end('hi'))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => upstream.close())
  const port = await freePort()
  const node = new Cli(
    'up',
    '--no-watch',
    '-c',
    configFile({
      listen: port,
      admin: false,
      limits: { headTimeout: '4s' },
      services: { s: { endpoints: [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`] } },
      routes: { all: { match: {}, to: 's' } },
    }),
  )
  cleanUps.push(async () => {
    node.process.kill('SIGKILL')
    await node.ended
  })
  await node.printed(/gateway on/)
  const ask = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status
  for (let warm = 0; warm < 200; warm++) await ask()
  const before = memoryOf(node.process.pid!)

  const sockets: Socket[] = []
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy()
  })
  let answered = 0
  let closed = 0
  let over!: () => void
  const allOver = new Promise<void>((resolve) => (over = resolve))
  const dawdle = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => {
        // A head of 4 kB that never ends.
        socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Padding: ${'x'.repeat(4_000)}`)
        resolve()
      })
      sockets.push(socket)
      socket.on('error', reject)
      socket.on('data', (data) => {
        if (data.toString('latin1').startsWith('HTTP/1.1 408 ')) answered++
      })
      socket.on('close', () => {
        if (++closed === CLIENTS) over()
      })
    })
  for (let batch = 0; batch < CLIENTS; batch += 500)
    await Promise.all(Array.from({ length: Math.min(500, CLIENTS - batch) }, dawdle))
  expect(await ask()).toBe(200)
  const perClient = ((memoryOf(node.process.pid!) - before) * 1024) / CLIENTS
  // 4 kB are theirs; connections of Node take some; nothing may be kept for each byte.
  expect(perClient).toBeLessThan(32)
  await allOver
  expect(answered).toBe(CLIENTS)
  expect(await ask()).toBe(200)
})
