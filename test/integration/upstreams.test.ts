import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../../scripts/engines.mjs'
import { Gateway } from '../../src/traffic/gateway/index.js'
import { attacks, type Attack } from '../protocol/attacks.js'
import { RawClient } from '../support/raw.js'

/** A server of some kind behind a gateway of its own, and what it has seen of requests. */
interface Upstream {
  /** Port of the server itself. */
  port: number
  gateway: Gateway
  gatewayPort: number
  seen: () => string[]
}

const upstreams: Record<string, Upstream> = {}
const cleanUps: (() => unknown)[] = []

/** Node's own server: answers with what it has seen, and writes it down. */
async function node(): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = []
  const server: Server = createServer((request, response) => {
    const hash = createHash('sha256')
    let length = 0
    request.on('data', (data: Buffer) => {
      length += data.length
      hash.update(data)
    })
    request.on('end', () => {
      const line = `${request.method} ${request.url} ${length} ${hash.digest('hex').slice(0, 16)}`
      seen.push(line)
      response.end(line)
    })
    request.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, seen }
}

async function behindGateway(port: number, seen: () => string[]): Promise<Upstream> {
  const gateway = await Gateway.open(
    {
      services: { s: { endpoints: [`http://127.0.0.1:${port}`] } },
      routes: { all: { match: {}, to: 's' } },
    },
    // An attack that waits for more bytes need not be waited for.
    { limits: { headTimeout: 500, idleTimeout: 500, keepAliveTimeout: 500 } },
  )
  cleanUps.push(() => gateway.close())
  return { port, gateway, gatewayPort: (await gateway.listen(0)).port, seen }
}

beforeAll(async () => {
  const own = await node()
  upstreams['node'] = await behindGateway(own.port, () => own.seen)

  const behindNginx = await node()
  const nginx = await start('nginx', {
    server: `location / { proxy_pass http://127.0.0.1:${behindNginx.port}; proxy_http_version 1.1; }`,
  })
  cleanUps.push(() => nginx.stop())
  upstreams['nginx'] = await behindGateway(nginx.port, () => behindNginx.seen)

  const echo = readFileSync(new URL('../support/echo.py', import.meta.url))
  const gunicorn = await start(
    'gunicorn',
    { application: 'echo' },
    { files: { 'echo.py': echo, 'seen.log': '' } },
  )
  cleanUps.push(() => gunicorn.stop())
  upstreams['gunicorn'] = await behindGateway(gunicorn.port, () =>
    readFileSync(join(gunicorn.directory, 'seen.log'), 'latin1').split('\n').filter(Boolean),
  )
})

afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

/** Plays one attack, with a request behind it that ends the connection, and gives everything that came back. */
async function play({ bytes }: Attack, path: string, port: number): Promise<string> {
  const client = await RawClient.open(port)
  const named = bytes.replaceAll('/case', path).replaceAll('/smuggled', `${path}/smuggled`)
  client.send(`${named}GET ${path}/end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  await client.closed()
  client.destroy()
  return client.text
}

/** Plays all of them against a port, at the same time. */
function playAll(list: readonly Attack[], mark: string, port: number): Promise<string[]> {
  return Promise.all(list.map((attack, index) => play(attack, `/${mark}${index}`, port)))
}

/** What a server has seen of one attack. */
function seenOf(seen: readonly string[], mark: string, index: number): string[] {
  return seen.filter((line) => new RegExp(`/${mark}${index}(?![0-9])`).test(line))
}

/** Whether somebody on the way said no: then there is less to be seen. */
function refused(answers: string): boolean {
  return /HTTP\/1\.1 [45]\d\d /.test(answers)
}

describe('no request is seen differently by two servers behind the gateway', () => {
  const list = attacks()

  test(`in any of ${list.length} attacks; and what a server has seen is what its client was answered`, async () => {
    const runs = await Promise.all(
      Object.entries(upstreams).map(async ([name, { gatewayPort, seen }]) => {
        const answers = await playAll(list, 'g', gatewayPort)
        return { name, answers, seen: seen() }
      }),
    )
    const [first] = runs
    const passed = list.filter((_attack, index) => !refused(first!.answers[index]!)).map(({ name }) => name)
    for (const honest of ['coding plain', 'length plain', 'chunks: trailers', 'head: two requests, honestly'])
      expect(passed).toContain(honest)
    expect(passed.length).toBeLessThan(list.length / 4)
    for (const [index, attack] of list.entries()) {
      const views = runs.map(({ name, answers, seen }) => ({
        name,
        answers: answers[index]!,
        seen: seenOf(seen, 'g', index),
      }))
      for (const { name, answers, seen } of views) {
        // Each request that arrived was the client's own, one for one: nothing was seen that was not asked for.
        const echoed = Array.from(answers.matchAll(/[A-Z]+ \S+ \d+ [0-9a-f]{16}/g), ([line]) => line).filter(
          (line) => seenOf([line], 'g', index).length > 0,
        )
        const heads = seen.filter((line) => line.startsWith('HEAD '))
        expect(
          seen.filter((line) => !line.startsWith('HEAD ')),
          `${attack.name}: ${name}`,
        ).toEqual(echoed)
        expect(heads.length, `${attack.name}: ${name}`).toBeLessThanOrEqual(1)
      }
      for (const one of views)
        for (const other of views) {
          if (refused(one.answers) || refused(other.answers)) continue
          expect(one.seen, `${attack.name}: ${one.name} and ${other.name}`).toEqual(other.seen)
        }
    }
  })

  test('while without the gateway they are: the attacks are real', async () => {
    const { node: a, gunicorn: b } = upstreams
    // Servers that wait for more bytes than will come are not waited for.
    const direct = list.filter(({ name }) =>
      /^(coding|length) (plain|with|two|space|after|identity|underscore)/.test(name),
    )
    const patient = (port: number, mark: string): Promise<unknown> =>
      Promise.race([
        playAll(direct, mark, port),
        new Promise((resolve) => setTimeout(resolve, 1_500).unref()),
      ])
    await Promise.all([patient(a!.port, 'd'), patient(b!.port, 'd')])
    const different = direct.filter(
      (_attack, index) => seenOf(a!.seen(), 'd', index).join() !== seenOf(b!.seen(), 'd', index).join(),
    )
    expect(different.length).toBeGreaterThan(3)
  })
})
