import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { Cli, configFile, run } from '../support/cli.js'
import { blockOf } from '../support/example.js'

let upstream: Server
let endpoint = ''
const running: Cli[] = []

beforeAll(async () => {
  upstream = createServer((_request, response) => response.end('hi'))
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
})

afterEach(async () => {
  for (const node of running.splice(0)) {
    node.process.kill('SIGTERM')
    await node.ended
  }
})

afterAll(() => void upstream.close())

interface State {
  workers: { pid: number; connections: number }[]
  restarts: number
  config: { generation: number; refused?: object }
  services: Record<string, { endpoints: { requests: number; breaker: { state: string } }[] }>
}

/** A node of two workers, ready. */
async function start(policy: object = {}) {
  const [port, admin] = [await freePort(), await freePort()]
  const config = {
    listen: port,
    admin,
    workers: 2,
    services: { s: { endpoints: [endpoint], policy: 'p' } },
    policies: { p: { breaker: { failureRate: 0.5 }, ...policy } },
    routes: { all: { match: {}, to: 's' } },
  }
  const file = configFile(config)
  const node = new Cli('up', '-c', file, '--no-watch')
  running.push(node)
  for (let workers = 0; workers < 2; workers++)
    await node.printed(new RegExp(`(gateway on[^]*){${workers + 1}}`))
  const url = `http://127.0.0.1:${port}/`
  const adminUrl = `http://127.0.0.1:${admin}`
  // Each on a connection of its own, so that every worker gets some.
  const ask = async (): Promise<number> => {
    const answer = await fetch(url, { headers: { connection: 'close' } })
    await answer.text()
    return answer.status
  }
  const state = async (): Promise<State> => (await (await fetch(`${adminUrl}/api/state`)).json()) as State
  return { node, ask, state, config, file, adminUrl }
}

const many = (count: number, ask: () => Promise<number>): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, ask))

describe('a node of two workers', () => {
  test('serves on one address, is one to its operator, and keeps its limits as one', async () => {
    const { ask, state, adminUrl } = await start({
      rateLimit: { limit: 10, window: '10m', algorithm: 'sliding-window', by: 'all' },
    })
    const answers = await many(40, ask)
    expect(answers.filter((status) => status === 200)).toHaveLength(10)
    expect(answers.filter((status) => status === 429)).toHaveLength(30)
    const { workers, services } = await state()
    expect(new Set(workers.map(({ pid }) => pid)).size).toBe(2)
    expect(services['s']!.endpoints).toHaveLength(1)
    expect(services['s']!.endpoints[0]!.requests).toBe(10)
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
    expect(metrics).toMatch(/^banyan_workers 2$/m)
    expect(metrics).toMatch(/^http_server_request_duration_seconds_count\{.*status_code="429".*\} 30$/m)
    expect(metrics).toMatch(/^banyan_config_generation 1$/m)
  })

  test('loses with a worker only its connections, replaces it, and tells it what operators have forced', async () => {
    const { node, ask, state, adminUrl } = await start()
    const name = `s ${endpoint}`
    expect((await run('breaker', 'open', name, '-a', adminUrl)).code).toBe(0)
    expect(new Set(await many(10, ask))).toEqual(new Set([503]))
    const [first] = (await state()).workers
    process.kill(first!.pid, 'SIGKILL')
    await node.printed(/a worker ended/)
    expect(await ask()).toBe(503)
    await node.printed(/(gateway on[^]*){3}/)
    let now = await state()
    while (now.workers.length < 2) now = await state()
    expect(now.restarts).toBe(1)
    expect(now.workers.map(({ pid }) => pid)).not.toContain(first!.pid)
    expect(new Set(await many(20, ask))).toEqual(new Set([503]))
    expect((await run('breaker', 'release', name, '-a', adminUrl)).code).toBe(0)
    expect(new Set(await many(10, ask))).toEqual(new Set([200]))
  })

  test('changes as a whole while it serves, or not at all', async () => {
    const { ask, state, config, file, adminUrl } = await start()
    const over = new AbortController()
    const statuses = new Set<number>()
    const load = (async () => {
      while (!over.signal.aborted) statuses.add(await ask())
    })()
    const gone = { ...config, routes: { all: { match: {}, redirect: { host: 'elsewhere.example' } } } }
    writeFileSync(file, JSON.stringify({ ...gone, routes: { all: { match: {}, to: 'nowhere' } } }))
    expect((await run('reload', '-a', adminUrl)).code).not.toBe(0)
    expect(await ask()).toBe(200)
    writeFileSync(file, JSON.stringify({ ...config, workers: 3, policies: { p: { timeout: '5s' } } }))
    expect((await run('reload', '-a', adminUrl)).code).toBe(0)
    over.abort()
    await load
    expect([...statuses]).toEqual([200])
    const after = await state()
    expect([after.config.generation, after.workers.length]).toEqual([2, 3])
    writeFileSync(file, JSON.stringify({ ...config, workers: 1 }))
    const refused = await run('reload', '-a', adminUrl)
    expect(refused.code).not.toBe(0)
    expect(refused.stdout + refused.stderr).toMatch(/start it anew/)
  })

  test('finishes its requests when it is told to stop, and leaves no process behind', async () => {
    const slow = createServer((_request, response) => setTimeout(() => response.end('late'), 600))
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve))
    const before = endpoint
    endpoint = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`
    const { node, ask, state } = await start()
    endpoint = before
    const { workers } = await state()
    const arrived = new Promise<void>((resolve) => {
      let count = 0
      slow.on('request', () => {
        if (++count === 6) resolve()
      })
    })
    const answers = many(6, ask)
    await arrived
    node.process.kill('SIGTERM')
    expect(await answers).toEqual([200, 200, 200, 200, 200, 200])
    expect(await node.ended).toBe(0)
    for (const { pid } of workers) expect(() => process.kill(pid, 0)).toThrow()
    slow.close()
  })

  test('runs as it is documented', async () => {
    const port = await freePort()
    const yaml = blockOf('traffic/workers.md', 'yaml')
      .replace('${PORT:-8080}', String(port))
      .replace('${ORDERS:-http://127.0.0.1:4001}', endpoint)
    const node = new Cli('up', '-c', configFile(`${yaml}\nadmin: false\n`), '--no-watch')
    running.push(node)
    await node.printed(/(gateway on[^]*){2}/)
    expect((await fetch(`http://127.0.0.1:${port}/orders/1`)).headers.get('ratelimit')).toMatch(
      /^"orders";r=\d+;t=\d+$/,
    )
  })

  test('that cannot have its address says so once, and ends', async () => {
    const taken = (upstream.address() as AddressInfo).port
    const node = await run(
      'up',
      '-c',
      configFile({
        listen: taken,
        admin: false,
        workers: 3,
        services: { s: { endpoints: [endpoint] } },
        routes: { all: { match: {}, to: 's' } },
      }),
    )
    expect(node.code).toBe(1)
    expect(node.stderr.match(/the port is in use/g)).toHaveLength(1)
  })
})
