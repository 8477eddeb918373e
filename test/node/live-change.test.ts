import { Agent, createServer, request, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Cli, configFile, run } from '../support/cli.js'
import { valueOf, parseExposition } from '../support/prometheus.js'
import { RawClient } from '../support/raw.js'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** An HTTP server that the test plays. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const named =
  (name: string): RequestListener =>
  (_request, response) =>
    void response.end(name)

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

interface Answer {
  status: number
  etag: string | null
  body: {
    generation: number
    changes: { path: string[]; kind: string }[]
    problems: object[]
    detail: string
  }
}

/** A running node with a file of its own. */
async function startNode(config: object, ...options: string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-live-'))
  const file = join(directory, 'banyan.yaml')
  const write = (text: string | object): void => {
    // As editors do it: another file takes the place of the old one.
    writeFileSync(`${file}.new`, typeof text === 'string' ? text : JSON.stringify(text))
    renameSync(`${file}.new`, file)
  }
  write({ admin: 0, ...config })
  const node = new Cli('up', '-c', file, ...options)
  cleanUps.push(async () => {
    node.process.kill('SIGKILL')
    await node.ended
  })
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  const ask = async (path: string, init?: RequestInit): Promise<Answer> => {
    const response = await fetch(admin + path, init)
    return {
      status: response.status,
      etag: response.headers.get('etag'),
      body: (await response.json()) as Answer['body'],
    }
  }
  const put = (body: object, query = '', headers: Record<string, string> = {}): Promise<Answer> =>
    ask(`/api/config${query}`, {
      method: 'PUT',
      body: JSON.stringify({ admin: 0, ...body }),
      headers: { 'Content-Type': 'application/json', ...headers },
    })
  const state = async () =>
    (await (await fetch(`${admin}/api/state`)).json()) as {
      node: { listen: string[] }
      config: { generation: number; by: string; file?: string; refused?: { problems: { line?: number }[] } }
      services: Record<string, { endpoints: { active: number; connections: { open: number } }[] }>
    }
  const get = async (path = '/'): Promise<string> => {
    const response = await fetch(gateway + path)
    return response.ok ? await response.text() : String(response.status)
  }
  return { node, file, write, admin, gateway, ask, put, state, get }
}

/** Clients that ask as fast as they are answered; tells what they got besides `good`. */
function load(url: string, good: ReadonlySet<string>) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const bad: string[] = []
  let count = 0
  let running = true
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const asking = request(url, { agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (data: string) => (text += data))
        response.on('end', () => {
          count++
          if (response.statusCode !== 200 || !good.has(text)) bad.push(`${response.statusCode} ${text}`)
          resolve()
        })
        response.on('error', (error) => void bad.push(error.message))
      })
      asking.on('error', (error) => {
        bad.push(error.message)
        resolve()
      })
      asking.end()
    })
  const loops = Array.from({ length: 8 }, async () => {
    while (running) await one()
  })
  return {
    count: () => count,
    async stop(): Promise<string[]> {
      running = false
      await Promise.all(loops)
      agent.destroy()
      return bad
    },
  }
}

describe('under load', () => {
  test('no request fails while everything changes, again and again', async () => {
    const [a, b] = [await serve(named('a')), await serve(named('b'))]
    const [port, second] = [await freePort(), await freePort()]
    const config = (round: number): object => ({
      listen: round % 2 === 0 ? [port] : [port, second],
      services: {
        ...(round % 3 === 0 ? {} : { a: { endpoints: [a], policy: 'p', maxConnections: 100 + (round % 2) } }),
        b: { endpoints: round % 2 === 0 ? [b] : [b, a] },
      },
      policies: { p: { timeout: '5s', breaker: { minimumCalls: 10 + round } } },
      routes: { all: { match: {}, to: round % 3 === 0 ? 'b' : 'a' } },
      limits: { headBytes: 8_000 + round },
    })
    const { node, write, gateway, put, state } = await startNode(config(0), '--no-watch')
    const clients = load(gateway, new Set(['a', 'b']))
    for (let round = 1; round <= 16; round++) {
      const before = clients.count()
      if (round % 2 === 0) {
        expect((await put(config(round))).status).toBe(200)
      } else {
        write({ admin: 0, ...config(round) })
        node.process.kill('SIGHUP')
        await node.printed(new RegExp(`configuration ${round + 1} is in force`))
      }
      while (clients.count() < before + 20) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await clients.stop()).toEqual([])
    const { config: inForce } = await state()
    expect(inForce).toMatchObject({ generation: 17, by: 'admin' })
  })

  test('fifty changes leave nothing behind', async () => {
    const a = await serve(named('a'))
    const config = (round: number): object => ({
      listen: 0,
      services: { a: { endpoints: [a], policy: 'p', maxConnections: 10 + round } },
      policies: { p: { breaker: { minimumCalls: 5 + round }, rateLimit: { limit: 1e6, window: '1s' } } },
      routes: { all: { match: {}, to: 'a', policy: 'p' } },
    })
    const { admin, put, get, state } = await startNode(config(0))
    const resources = async (): Promise<number | undefined> =>
      valueOf(
        parseExposition(await (await fetch(`${admin}/metrics`)).text()),
        'nodejs_active_resources_total',
      )
    const series = async (): Promise<number> =>
      (await (await fetch(`${admin}/metrics`)).text())
        .split('\n')
        .filter((line) => line.startsWith('banyan_')).length
    expect(await get()).toBe('a')
    await put(config(1))
    expect(await get()).toBe('a')
    const [before, lines] = [await resources(), await series()]
    for (let round = 2; round <= 51; round++) {
      expect((await put(config(round))).status).toBe(200)
      expect(await get()).toBe('a')
    }
    // Connections that were in use a moment ago close on their own.
    while ((await resources())! > before!) await new Promise((resolve) => setImmediate(resolve))
    expect(await series()).toBe(lines)
    expect((await state()).services['a']!.endpoints[0]!.connections.open).toBe(1)
  })
})

describe('listeners', () => {
  const services = (endpoint: string): object => ({ a: { endpoints: [endpoint] } })
  const routes = { all: { match: {}, to: 'a' } }

  test('come and go; what is in flight on one that goes is answered', async () => {
    let answer!: () => void
    let listener: RequestListener = named('a')
    const arrived = new Promise<void>((resolve) => {
      listener = (_request, response) => {
        answer = () => void response.end('at last')
        resolve()
      }
    })
    const a = await serve((request, response) => listener(request, response))
    const [first, second] = [await freePort(), await freePort()]
    const { put, state } = await startNode({ listen: [first], services: services(a), routes })
    const keptOpen = await RawClient.open(first)
    const slow = fetch(`http://127.0.0.1:${first}`)
    await arrived
    listener = named('a')
    const { body } = await put({ listen: [second], services: services(a), routes })
    expect(body.changes.map(({ kind, path }) => [kind, ...path])).toEqual([
      ['removed', 'listen', String(first)],
      ['added', 'listen', String(second)],
    ])
    expect(await (await fetch(`http://127.0.0.1:${second}`)).text()).toBe('a')
    await expect(RawClient.open(first)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await keptOpen.closed()
    answer()
    expect(await (await slow).text()).toBe('at last')
    expect((await state()).node.listen).toEqual([`http://127.0.0.1:${second}`])
  })

  test('a port that is in use refuses the whole change, and everything serves on', async () => {
    const [a, b] = [await serve(named('a')), await serve(named('b'))]
    const taken = createTcpServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    cleanUps.push(() => taken.close())
    const [first, free] = [await freePort(), await freePort()]
    const { put, get, state, admin } = await startNode({ listen: [first], services: services(a), routes })
    const { port } = taken.address() as AddressInfo
    const { status, body } = await put({ listen: [first, free, port], services: services(b), routes })
    expect([status, body.detail, body.generation]).toEqual([
      409,
      expect.stringContaining(`cannot listen on 127.0.0.1:${port}: the port is in use`),
      1,
    ])
    expect(await get()).toBe('a')
    await expect(RawClient.open(free)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await state()).config.refused).toMatchObject({ by: 'admin', problems: [{ severity: 'error' }] })
    const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
    expect(valueOf(metrics, 'banyan_config_generation')).toBe(1)
    expect(valueOf(metrics, 'banyan_config_refused')).toBe(1)
  })

  test('one that would need the port of one that goes is refused with what to do', async () => {
    const a = await serve(named('a'))
    const port = await freePort()
    const { put, get } = await startNode({ listen: [port], services: services(a), routes })
    const { status, body } = await put({ listen: [`:${port}`], services: services(a), routes })
    expect([status, body.detail]).toEqual([
      409,
      expect.stringMatching(/take that away in a change of its own/),
    ])
    expect(await get()).toBe('a')
  })

  test('the admin listener moves, and answers the request that told it to', async () => {
    const a = await serve(named('a'))
    const [port, moved] = [await freePort(), await freePort()]
    const config = { listen: [port], services: services(a), routes }
    const { ask, admin } = await startNode(config)
    const answer = await ask('/api/config', {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...config, admin: moved }),
    })
    expect([answer.status, answer.body.generation]).toEqual([200, 2])
    expect((await fetch(`http://127.0.0.1:${moved}/readyz`)).status).toBe(200)
    await expect(RawClient.open(Number(new URL(admin).port))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('the file', () => {
  const config = (endpoint: string, more: object = {}): object => ({
    listen: 0,
    services: { a: { endpoints: [endpoint] } },
    routes: { all: { match: {}, to: 'a' } },
    ...more,
  })

  test('is watched, unless --no-watch says otherwise; then SIGHUP and banyan reload take it', async () => {
    const [a, b] = [await serve(named('a')), await serve(named('b'))]
    const watching = await startNode(config(a))
    const deaf = new Cli('up', '-c', watching.file, '--no-watch')
    cleanUps.push(() => void deaf.process.kill('SIGKILL'))
    const deafAdmin = (await deaf.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
    watching.write({ admin: 0, ...config(b) })
    await watching.node.printed(/configuration 2 is in force: services ~1/)
    expect(await watching.get()).toBe('b')
    const { stdout, code } = await run('reload', '--admin', deafAdmin)
    expect([code, stdout]).toEqual([0, expect.stringContaining('generation 2 is in force')])
    expect(stdout).toContain(`~ services.a\n    - endpoints: ${a}\n    + endpoints: ${b}\n`)
    const again = await run('reload', '--admin', deafAdmin)
    expect(again.stdout).toBe('nothing has changed: generation 2 is in force\n')
  })

  test('with mistakes is refused with every one of them, and the node serves on', async () => {
    const a = await serve(named('a'))
    const { node, write, get, state, admin } = await startNode(config(a))
    write(
      `listen: 0\nadmin: 0\nservices: { a: { endpoints: ['${a}'] } }\nroutes:\n  all: { match: {}, to: b }\n  x: { match: { path: y }, to: a }\n`,
    )
    await node.printed(
      /the configuration is refused: [^"]*banyan\.yaml:5:25: routes\.all\.to: unknown service `b`/,
    )
    await node.printed(/banyan\.yaml:6:23/)
    expect(await get()).toBe('a')
    const { config: inForce } = await state()
    expect(inForce).toMatchObject({
      generation: 1,
      by: 'start',
      refused: { by: 'watch', problems: [{ line: 5 }, { line: 6 }] },
    })
    const status = await run('status', '--once', '--admin', admin)
    expect(status.stdout).toMatch(/config 1 [0-9a-f]{12} {2}in force for .* \(start, .*banyan\.yaml\)/)
    expect(status.stdout).toMatch(/a change was refused .* ago \(watch\): 2 mistakes\n.*banyan\.yaml:5:25/)
    const reload = await run('reload', '--admin', admin)
    expect([reload.code, reload.stderr]).toEqual([
      1,
      expect.stringMatching(/banyan\.yaml:5:25[^]*2 errors\ngeneration 1 stays in force\n$/),
    ])
    write({ admin: 0, ...config(a, { limits: { fieldCount: 50 } }) })
    await node.printed(/configuration 2 is in force: limits \+1/)
    expect((await state()).config).not.toHaveProperty('refused')
  })

  test('that is gone is refused too', async () => {
    const a = await serve(named('a'))
    const { file, get, ask } = await startNode(config(a), '--no-watch')
    renameSync(file, `${file}.away`)
    const { status, body } = await ask('/api/reload', { method: 'POST' })
    expect([status, body.detail]).toEqual([422, expect.stringContaining('there is no file')])
    expect(await get()).toBe('a')
  })

  test('in TypeScript is read anew with all that it imports, and those are watched', async () => {
    const [a, b] = [await serve(named('a')), await serve(named('b'))]
    const directory = mkdtempSync(join(tmpdir(), 'banyan-live-'))
    const endpoint = (url: string): void =>
      writeFileSync(join(directory, 'endpoint.ts'), `export const url: string = '${url}'\n`)
    endpoint(a)
    const file = join(directory, 'banyan.config.ts')
    writeFileSync(
      file,
      `import { url } from './endpoint'\nexport default ${JSON.stringify(config('URL', { admin: 0 })).replace('"URL"', 'url')}\n`,
    )
    const node = new Cli('up', '-c', file)
    cleanUps.push(() => void node.process.kill('SIGKILL'))
    const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
    expect(await (await fetch(gateway)).text()).toBe('a')
    endpoint(b)
    await node.printed(/configuration 2 is in force/)
    expect(await (await fetch(gateway)).text()).toBe('b')
    const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
    const same = await run('diff', '-c', file, '--admin', admin)
    expect([same.code, same.stdout]).toEqual([0, `${file} is what generation 2 runs already\n`])
    writeFileSync(join(directory, 'endpoint.ts'), 'throw new Error("not now")\n')
    await node.printed(
      /the configuration is refused: .*banyan\.config\.ts: cannot load banyan\.config\.ts: not now/,
    )
    const broken = await run('diff', '-c', file, '--admin', admin)
    expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining('not now')])
  })
})

describe('the admin API', () => {
  const start = async () => {
    const a = await serve(named('a'))
    const config = {
      listen: 0,
      services: { a: { endpoints: [a] } },
      routes: { all: { match: {}, to: 'a', headers: { request: { set: { Authorization: 'Bearer x' } } } } },
    }
    return { config, ...(await startNode(config, '--no-watch')) }
  }

  test('shows the configuration in force, secrets hidden', async () => {
    const { ask } = await start()
    const { status, etag, body } = await ask('/api/config')
    expect([status, etag]).toEqual([200, expect.stringMatching(/^"1-[0-9a-f]{12}"$/)])
    expect(body).toMatchObject({
      generation: 1,
      config: { routes: { all: { headers: { request: { set: { Authorization: '(hidden)' } } } } } },
    })
    expect(JSON.stringify(body)).not.toContain('Bearer x')
  })

  test('takes a change only if nobody was faster', async () => {
    const { config, put, ask } = await start()
    const { etag } = await ask('/api/config')
    const first = await put({ ...config, limits: { fieldCount: 10 } }, '', { 'If-Match': etag! })
    expect([first.status, first.body.generation]).toEqual([200, 2])
    const late = await put({ ...config, limits: { fieldCount: 20 } }, '', { 'If-Match': etag! })
    expect([late.status, (await ask('/api/config')).etag]).toEqual([412, first.etag])
    expect((await put(config, '', { 'If-Match': `"0", ${first.etag!}` })).body.generation).toBe(3)
  })

  test('tells what would change without changing it', async () => {
    const { config, put, state } = await start()
    const { status, body } = await put({ ...config, limits: { fieldCount: 10 } }, '?dryRun=true')
    expect([status, body.generation, body.changes]).toEqual([
      200,
      1,
      [{ kind: 'added', path: ['limits', 'fieldCount'], after: 10 }],
    ])
    expect((await put({ ...config, routes: {} }, '?dryRun=true')).status).toBe(422)
    expect((await state()).config).toMatchObject({ generation: 1 })
    expect((await state()).config).not.toHaveProperty('refused')
  })

  test('reads YAML as a file is read, and JSON as it stands', async () => {
    const { config, ask } = await start()
    const limits = { fieldCount: 10 }
    const yaml = JSON.stringify({ ...config, admin: 0, limits }).replace('10', '"${NOT_SET_ANYWHERE:-11}"')
    const body = yaml.replace('"${', '${').replace('}"', '}')
    const put = (type: string, text: string): Promise<Answer> =>
      ask('/api/config', { method: 'PUT', headers: { 'Content-Type': type }, body: text })
    expect((await put('application/yaml', yaml)).status).toBe(422)
    expect((await put('application/yaml', `limits: { fieldCount: 12 }\n${body}`)).status).toBe(422)
    const good = `admin: 0\nlisten: 0\nlimits:\n  fieldCount: \${NOT_SET_ANYWHERE:-11}\nservices: ${JSON.stringify(config.services)}\nroutes: ${JSON.stringify(config.routes)}\n`
    expect((await put('application/yaml', good)).body.changes).toEqual([
      { kind: 'added', path: ['limits', 'fieldCount'], after: 11 },
    ])
    const literal = {
      ...config,
      admin: 0,
      routes: { all: { match: {}, to: 'a', headers: { request: { set: { A: '${HOME}' } } } } },
    }
    const { body: answer } = await put('application/json', JSON.stringify(literal))
    expect(answer.changes).toContainEqual({
      kind: 'added',
      path: ['routes', 'all', 'headers', 'request', 'set', 'A'],
      after: '${HOME}',
    })
  })
})

describe('the admin API refuses', () => {
  let node: Cli
  let admin: string

  beforeAll(async () => {
    const file = configFile({
      admin: 0,
      listen: 0,
      services: { a: { endpoints: ['http://127.0.0.1:1'] } },
      routes: { all: { match: {}, to: 'a' } },
    })
    node = new Cli('up', '-c', file, '--no-watch')
    admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
    await node.printed(/gateway on/)
  })

  afterAll(() => void node.process.kill('SIGKILL'))

  test.each([
    ['a type that is no configuration', 'PUT', '/api/config', { 'Content-Type': 'image/png' }, 415],
    ['an unknown parameter', 'PUT', '/api/config?force=true', {}, 400],
    ['a dry run that is neither', 'PUT', '/api/config?dryRun=maybe', {}, 400],
    ['another method', 'POST', '/api/config', {}, 405],
    ['a reload by GET', 'GET', '/api/reload', {}, 405],
    ['another origin', 'POST', '/api/reload', { Origin: 'https://evil.example' }, 403],
    ['text that is no YAML', 'PUT', '/api/config', {}, 422],
  ])('%s', async (_what, method, path, headers, status) => {
    const init = { method, headers, ...(method === 'PUT' ? { body: '{{' } : {}) }
    expect((await fetch(admin + path, init)).status).toBe(status)
  })
})

describe('banyan diff', () => {
  test('shows what would change, field by field, as text and JSON; code 1', async () => {
    const a = await serve(named('a'))
    const config = {
      admin: 0,
      listen: 0,
      services: { a: { endpoints: [a], policy: 'p' } },
      policies: { p: { timeout: '2s', retry: { attempts: 3 } } },
      routes: { all: { match: {}, to: 'a' } },
    }
    const { admin, write, file } = await startNode(config, '--no-watch')
    write({
      ...config,
      policies: { p: { timeout: '3s', retry: { attempts: 3 }, tryTimeout: '1s' } },
      routes: { ...config.routes, more: { match: { path: '/more/*' }, to: 'a' } },
    })
    const text = await run('diff', '-c', file, '--admin', admin)
    expect([text.code, text.stdout]).toEqual([
      1,
      [
        'against generation 1',
        '+ routes.more',
        '    match:',
        '      path: /more/*',
        '    to: a',
        '~ policies.p',
        '    ~ timeout: 2s -> 3s',
        '    + tryTimeout: 1s',
        '',
      ].join('\n'),
    ])
    const json = await run('diff', '-c', file, '--json', '--admin', admin)
    expect([json.code, JSON.parse(json.stdout)]).toMatchObject([1, { generation: 1, changes: [{}, {}, {}] }])
  })

  test('tells the mistakes with their places in the file, code 2, as it does if no node answers', async () => {
    const a = await serve(named('a'))
    const { admin, write, file } = await startNode(
      { listen: 0, services: { a: { endpoints: [a] } }, routes: { all: { match: {}, to: 'a' } } },
      '--no-watch',
    )
    write(
      `listen: 0\nadmin: 0\nservices: { a: { endpoints: ['${a}'] } }\nroutes: { all: { match: {}, to: b } }\n`,
    )
    const { code, stderr } = await run('diff', '-c', file, '--admin', admin)
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`${file}:4:33: routes.all.to: unknown service`),
    ])
    const nobody = await run('diff', '-c', file, '--admin', 'http://127.0.0.1:1')
    expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('no node answers')])
  })
})
