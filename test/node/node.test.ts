import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Cli, configFile, run } from '../support/cli.js'
import { parseExposition, valueOf } from '../support/prometheus.js'
import { RawClient } from '../support/raw.js'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A running node in front of one service. */
async function startNode(listener: RequestListener, config: object = {}) {
  const endpoint = await serve(listener)
  const file = configFile({
    listen: 0,
    admin: 0,
    services: { web: { endpoints: [endpoint], policy: 'p' } },
    policies: { p: { timeout: '10s', breaker: { minimumCalls: 2, openFor: '1h' } } },
    routes: { all: { match: {}, to: 'web' } },
    ...config,
  })
  const node = new Cli('up', '-c', file)
  cleanUps.push(async () => {
    node.process.kill('SIGKILL')
    await node.ended
  })
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  return { node, admin, gateway, endpoint }
}

const fine: RequestListener = (_request, response) => void response.end('fine')

describe('banyan up', () => {
  test('serves, and ends on SIGTERM with code 0', async () => {
    const { node, gateway, admin } = await startNode(fine)
    expect(await (await fetch(gateway)).text()).toBe('fine')
    expect((await fetch(`${admin}/healthz`)).status).toBe(200)
    expect((await fetch(`${admin}/readyz`)).status).toBe(200)
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)
    expect(node.stderr).toContain('stopped')
  })

  test('drains: readiness fails first, what is under way finishes, nothing new comes in', async () => {
    let answer!: () => void
    const arrived = new Promise<void>((resolve) => {
      cleanUps.push(() => undefined)
      listener = (_request, response) => {
        answer = () => void response.end('at last')
        resolve()
      }
    })
    const { node, gateway, admin } = await startNode((request, response) => listener(request, response), {
      drain: { delay: '300ms', grace: '20s' },
    })
    const slow = fetch(gateway)
    await arrived
    node.process.kill('SIGTERM')
    await node.printed(/SIGTERM/)
    const ready = await fetch(`${admin}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'draining' }])
    await refused(Number(new URL(gateway).port))
    answer()
    expect(await (await slow).text()).toBe('at last')
    expect(await node.ended).toBe(0)
  })

  test('cuts what is left when the grace time is over', async () => {
    const { node, gateway } = await startNode(() => undefined, { drain: { grace: '100ms' } })
    const client = await RawClient.open(Number(new URL(gateway).port))
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked(node)
    node.process.kill('SIGTERM')
    await client.closed()
    expect(await node.ended).toBe(0)
    expect(node.stderr).toContain('the grace time is over')
  })

  test('a second signal ends it at once', async () => {
    const { node, gateway } = await startNode(() => undefined, { drain: { grace: '1h' } })
    const client = await RawClient.open(Number(new URL(gateway).port))
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    node.process.kill('SIGINT')
    await node.printed(/SIGINT/)
    node.process.kill('SIGINT')
    expect(await node.ended).toBe(0)
    client.destroy()
  })

  test('a port that is taken is a clear error, and nothing stays open', async () => {
    const taken = createTcpServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    cleanUps.push(() => taken.close())
    const { port } = taken.address() as AddressInfo
    const file = configFile({
      listen: port,
      admin: 0,
      services: { a: { endpoints: ['http://127.0.0.1:1'] } },
      routes: { a: { match: {}, to: 'a' } },
    })
    const { code, stderr } = await run('up', '-c', file)
    expect(code).toBe(1)
    expect(stderr).toContain(
      `listen: cannot listen on 127.0.0.1:${port}: the port is in use by another process`,
    )
    expect(stderr).toContain('[BANYAN_LISTEN]')
    expect(stderr).not.toContain('    at ')
  })

  test('a configuration with mistakes is refused whole', async () => {
    const { code, stderr } = await run(
      'up',
      '-c',
      configFile('listen: 1\nservices: {}\nroutes: { a: { match: {}, to: b } }\n'),
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/unknown service `b`/)
    expect(stderr).toMatch(/\d errors\n$/)
  })
})

let listener: RequestListener

/** Waits until new connections are refused. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const client = await RawClient.open(port).catch(() => undefined)
    if (!client) return
    client.destroy()
  }
}

/** Waits until the gateway has a request under way. */
async function asked(node: Cli): Promise<void> {
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  for (;;) {
    const state = (await (await fetch(`${admin}/api/state`)).json()) as {
      services: { web: { endpoints: { active: number }[] } }
    }
    if (state.services.web.endpoints[0]!.active > 0) return
  }
}

describe('the admin listener', () => {
  const failing: RequestListener = (_request, response) => void response.writeHead(500).end('no')

  test('tells the truth about an endpoint that fails, as JSON, metrics and status', async () => {
    const { gateway, admin, endpoint } = await startNode(failing)
    for (let round = 0; round < 2; round++) await fetch(gateway)
    const refusal = await fetch(gateway)
    expect([refusal.status, refusal.headers.get('retry-after')]).toEqual([503, '3600'])
    expect(await refusal.json()).toMatchObject({ type: 'urn:banyan:problem:breaker-open', status: 503 })

    const state = (await (await fetch(`${admin}/api/state`)).json()) as {
      services: { web: { endpoints: object[] } }
      routes: object
    }
    expect(state.services.web.endpoints[0]).toMatchObject({
      url: endpoint,
      ready: false,
      requests: 2,
      failures: 2,
      breaker: { state: 'open', reason: { message: '2 of 2 calls have failed' } },
    })
    expect(state.routes).toMatchObject({ all: { requests: 3 } })

    const metrics = await (await fetch(`${admin}/metrics`)).text()
    expect(metrics).toContain(
      'http_server_request_duration_seconds_count{banyan_route="all",error_type="BANYAN_BREAKER_OPEN",http_request_method="GET",http_response_status_code="503",http_route="/*",url_scheme="http"} 1',
    )
    expect(metrics).toContain(`banyan_breaker_state{banyan_policy="web ${endpoint}"} 2`)
    expect(metrics).toMatch(/^# TYPE http_client_request_duration_seconds histogram$/m)
    expect(
      valueOf(parseExposition(metrics), 'banyan_gateway_problems_total', {
        banyan_route: 'all',
        http_route: '/*',
        banyan_problem: 'breaker-open',
      }),
    ).toBe(1)

    const status = await run('status', '--once', '--admin', admin)
    expect(status.stdout).toMatch(/web +[\d.:]+ .* open, [\d.]+[hm] left: 2 of 2 calls have failed/)
    expect(JSON.parse((await run('status', '--json', '--admin', admin)).stdout)).toMatchObject({
      node: { phase: 'ready' },
    })
  })

  test('lets an operator hold a breaker open or closed, and give it back', async () => {
    const { gateway, admin, endpoint } = await startNode(fine)
    const name = `web ${endpoint}`
    const opened = await run(
      'breaker',
      'open',
      name,
      '--for',
      '5m',
      '--reason',
      'maintenance',
      '--admin',
      admin,
    )
    expect(opened.stdout).toMatch(/ is forced-open until /)
    expect((await fetch(gateway)).status).toBe(503)
    expect((await run('breaker', 'close', name, '--admin', admin)).stdout).toContain('is disabled')
    expect((await fetch(gateway)).status).toBe(200)
    expect((await run('breaker', 'release', name, '--admin', admin)).stdout).toContain('is closed')
    const wrong = await run('breaker', 'open', name.slice(0, -1), '--admin', admin)
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining(`did you mean \`${name}\`?`)])
  })

  test.each([
    ['no JSON', '{', 'must be JSON'],
    ['unknown state', '{"state":"ajar"}', '`state` must be "open" or "closed"'],
    ['unknown key', '{"state":"open","until":1}', 'Unknown: until'],
    ['bad duration', '{"state":"open","for":"soon"}', '`for` must be a duration'],
    ['not an object', 'null', '`state` must be'],
  ])('refuses an override that is not right: %s', async (_what, body, detail) => {
    const { admin, endpoint } = await startNode(fine)
    const answer = await fetch(`${admin}/api/breakers/${encodeURIComponent(`web ${endpoint}`)}/override`, {
      method: 'PUT',
      body,
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    expect(((await answer.json()) as { detail: string }).detail).toContain(detail)
  })

  test('answers no page of another origin, and no name that points here', async () => {
    const { admin } = await startNode(fine)
    const port = Number(new URL(admin).port)
    const ask = async (fields: string): Promise<string> => {
      const client = await RawClient.open(port)
      client.send(`GET /api/state HTTP/1.1\r\n${fields}\r\nConnection: close\r\n\r\n`)
      await client.closed()
      return client.text.slice(0, 12)
    }
    expect(await ask(`Host: 127.0.0.1:${port}`)).toBe('HTTP/1.1 200')
    expect(await ask(`Host: 127.0.0.1:${port}\r\nOrigin: https://evil.example`)).toBe('HTTP/1.1 403')
    expect(await ask(`Host: evil.example:${port}`)).toBe('HTTP/1.1 421')
  })

  test('what is not there is a problem, with what is', async () => {
    const { admin } = await startNode(fine)
    expect(await (await fetch(`${admin}/nothing`)).json()).toMatchObject({
      status: 404,
      detail: expect.stringContaining('/metrics') as string,
    })
    expect((await fetch(`${admin}/api/state`, { method: 'POST' })).status).toBe(405)
  })
})

describe('the command line', () => {
  test.each([
    [[]],
    [['--help']],
    [['up', '--help']],
    [['check', '--help']],
    [['status', '--help']],
    [['breaker', '--help']],
    [['schema', '--help']],
  ])('%j prints help within 80 columns', async (args) => {
    const { stdout, stderr } = await run(...args)
    const text = stdout + stderr
    expect(text).toMatch(/^Usage: banyan/)
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  test('tells a wrong command apart, with a hint and code 2', async () => {
    const { code, stderr } = await run('stats')
    expect([code, stderr]).toEqual([2, expect.stringContaining('Did you mean status?')])
  })

  test('says so when no node answers', async () => {
    const { code, stderr } = await run('status', '--admin', 'http://127.0.0.1:1')
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('no node answers at http://127.0.0.1:1; is the node up?'),
    ])
  })

  test('check: what the node would do, or every mistake; also as JSON', async () => {
    const good = await run('check', '-c', 'examples/shop/banyan.yaml')
    expect([good.code, good.stdout]).toEqual([
      0,
      expect.stringMatching(/is fine[^]*catalog +GET HEAD +\/catalog\/\* +catalog +2 +patient/),
    ])
    const bad = await run('check', '--json', '-c', configFile('listen: x\nservices: {}\nroutes: {}\n'))
    expect(bad.code).toBe(1)
    expect(JSON.parse(bad.stdout)).toMatchObject({ ok: false, problems: [{ line: 1 }, { line: 3 }] })
  })

  test('schema is JSON', async () => {
    expect(JSON.parse((await run('schema')).stdout)).toMatchObject({ title: 'Banyan configuration' })
  })
})
