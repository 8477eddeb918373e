import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { openLog } from '../../src/events/index.js'
import { Cli, configFile, run } from '../support/cli.js'
import { eventsConfig, KEY } from '../support/events-node.js'
import { parseExposition } from '../support/prometheus.js'
import { serverSentEvents } from '../support/sse.js'

const running: Cli[] = []
const directories: string[] = []

afterEach(async () => {
  for (const node of running.splice(0)) {
    node.process.kill('SIGTERM')
    await node.ended
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-node-events-'))
  directories.push(directory)
  return directory
}

/** A node as a process of its own. */
async function start(path: string, more: object = {}) {
  const [port, admin] = [await freePort(), await freePort()]
  const config = eventsConfig(
    {},
    { listen: port, admin, events: { driver: 'sqlite', path }, drain: { grace: '5s' }, ...more },
  )
  const file = configFile(config)
  const node = new Cli('up', '-c', file, '--no-watch')
  running.push(node)
  const workers = (more as { workers?: number }).workers ?? 1
  await node.printed(new RegExp(`(gateway on[^]*){${workers}}`))
  const adminUrl = `http://127.0.0.1:${admin}`
  const ask = (
    below: string,
    init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
  ) =>
    fetch(`http://127.0.0.1:${port}/events${below}`, {
      ...init,
      headers: { 'x-api-key': KEY, ...init.headers },
    })
  const append = async (
    stream: string,
    data: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> =>
    ask('', {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', ...headers },
      body: JSON.stringify({ streams: [{ stream, events: [{ type: 'A', data }] }] }),
    })
  return { node, ask, append, adminUrl, file, config }
}

interface Event {
  data: number
  banyanposition: string
}

/** Follows until `count` events have come. */
async function take(answer: Response, count: number): Promise<Event[]> {
  const events: Event[] = []
  for await (const { event, data } of serverSentEvents(answer)) {
    if (event === 'message' && data !== '') events.push(JSON.parse(data) as Event)
    if (events.length === count) break
  }
  return events
}

describe('a node with a log in a file', () => {
  test('has after a kill what it has acknowledged', async () => {
    const path = newDirectory()
    const first = await start(path)
    const acknowledged: number[] = []
    const writing = (async () => {
      for (let index = 0; ; index++) {
        const answer = await first.append(`order-${index % 7}`, index).catch(() => undefined)
        if (answer?.status !== 201) return
        acknowledged.push(index)
      }
    })()
    while (acknowledged.length < 50) await new Promise((resolve) => setImmediate(resolve))
    first.node.process.kill('SIGKILL')
    await writing
    const second = await start(path)
    const answer = await second.ask('', { headers: { accept: 'application/x-ndjson' } })
    const there = (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Event).data)
    expect(there.slice(0, acknowledged.length)).toEqual(acknowledged)
    // The one that was on its way may be there, too.
    expect(there.length - acknowledged.length).toBeLessThanOrEqual(1)
  })

  test('and another node on the same file are one log: what one appends, the other follows', async () => {
    const path = newDirectory()
    const [one, two] = await Promise.all([start(path), start(path)])
    const total = 200
    const following = [one, two].map(async (node) =>
      take(await node.ask('', { headers: { accept: 'text/event-stream' } }), total),
    )
    await Promise.all(
      [one, two].map(async (node, which) => {
        for (let index = 0; index < total / 2; index++)
          expect((await node.append(`order-${index % 5}`, which * 1000 + index)).status).toBe(201)
      }),
    )
    const [first, second] = await Promise.all(following)
    expect(first).toEqual(second)
    expect(new Set(first!.map(({ data }) => data)).size).toBe(total)
    // Each writer's events in the order in which they were acknowledged.
    for (const which of [0, 1]) {
      const own = first!.map(({ data }) => data).filter((data) => Math.floor(data / 1000) === which)
      expect(own).toEqual(own.toSorted((a, b) => a - b))
    }
    // Two that expect the same of a stream: one of them is told.
    const expected = { 'expected-revision': 'none' }
    const raced = await Promise.all([one, two].map((node) => node.append('raced-1', 0, expected)))
    expect(raced.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  test('of two workers serves one log, counts all of them, and lets go in good order', async () => {
    const { append, ask, adminUrl, node } = await start(newDirectory(), { workers: 2 })
    const following = take(await ask('', { headers: { accept: 'text/event-stream' } }), 40)
    await Promise.all(Array.from({ length: 40 }, (_, index) => append(`order-${index}`, index)))
    expect(new Set((await following).map(({ data }) => data)).size).toBe(40)
    const stats = (await (await fetch(`${adminUrl}/api/events/stats`)).json()) as object
    expect(stats).toMatchObject({ driver: 'sqlite', durable: 'fsync', events: 40, streams: 40 })
    const metrics = parseExposition(await (await fetch(`${adminUrl}/metrics`)).text())
    expect(metrics.get('banyan_log_appended_total')?.samples[0]?.value).toBe(40)
    expect(metrics.get('banyan_log_events')?.samples[0]?.value).toBe(40)
    const open = await ask('', { headers: { accept: 'text/event-stream' } })
    const ended = (async () => {
      for await (const event of serverSentEvents(open)) expect(event.event).not.toBe('truncated')
    })()
    node.process.kill('SIGTERM')
    await ended
    expect(await node.ended).toBe(0)
  })

  test('is not started if the log cannot be opened, and says why', async () => {
    const path = join(newDirectory(), 'events.db')
    writeFileSync(
      path,
      'this is not a database, but it is long enough to be looked at as if it was one\n'.repeat(20),
    )
    const file = configFile(
      eventsConfig({}, { listen: await freePort(), admin: false, events: { driver: 'sqlite', path } }),
    )
    const { code, stderr } = await run('up', '-c', file)
    expect(code).toBe(1)
    expect(stderr).toMatch(/events: .*events\.db.*\[BANYAN_LOG_CORRUPT\]/)
  })
})

describe('operators', () => {
  test('append, read, follow, list, count and verify over the admin listener', async () => {
    const { append, adminUrl } = await start(newDirectory())
    for (let index = 0; index < 5; index++) await append(`order-${index % 2}`, index)
    const at = (path: string, init?: RequestInit) => fetch(`${adminUrl}/api/events${path}`, init)
    const read = (await (await at('/streams/order-1')).json()) as Event[]
    expect(read.map(({ data }) => data)).toEqual([1, 3])
    expect(await (await at('/streams?limit=1')).json()).toEqual({
      streams: [{ stream: 'order-0', category: 'order', revision: 2, firstRevision: 0 }],
      next: 'order-0',
    })
    const tail = await at('/tail')
    const following = take(tail, 1)
    const appended = await at('', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'by-hand' },
      body: JSON.stringify({
        streams: [{ stream: 'order-9', events: [{ type: 'A', data: 99, metadata: { actor: 'me' } }] }],
      }),
    })
    expect([appended.status, await appended.json()]).toMatchObject([201, { id: 'by-hand' }])
    expect(await following).toMatchObject([{ data: 99, actor: 'me' }])
    const findings = (await (await at('/verify')).text()).trimEnd().split('\n')
    expect(JSON.parse(findings.at(-1)!)).toMatchObject({ ok: true, events: 6, streams: 3 })
    expect(await (await fetch(`${adminUrl}/readyz`)).json()).toEqual({ status: 'ready', events: 'ready' })
    expect((await at('/nothing')).status).toBe(404)
    expect((await at('?limit=x')).status).toBe(400)
    // A page in an operator's browser appends nothing.
    expect(
      (await at('', { method: 'POST', headers: { origin: 'https://evil.example' }, body: '{}' })).status,
    ).toBe(403)
    const status = await run('status', '--once', '-a', adminUrl)
    expect(status.stdout).toMatch(
      /events sqlite {2}survives power loss {2}6 events in 3 streams, .* head \d{16}/,
    )
  })

  test('are told in plain words what cannot change while the node runs', async () => {
    const { adminUrl, config } = await start(newDirectory())
    const put = async (change: object) => {
      const answer = await fetch(`${adminUrl}/api/config`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...config, ...change }),
      })
      return [answer.status, ((await answer.json()) as { detail?: string }).detail]
    }
    const other = { driver: 'sqlite', path: '/elsewhere' }
    expect(await put({ events: other })).toEqual([
      422,
      'events.path: cannot change while the node runs; start it anew',
    ])
    const limits = { ...(config as { events: object }).events, limits: { eventBytes: 10 } }
    expect(await put({ events: limits })).toEqual([
      422,
      'events.limits: cannot change while the node runs; start it anew',
    ])
    const without = { events: undefined, routes: { all: { match: {}, respond: {} } }, authenticators: {} }
    expect(await put(without)).toEqual([422, 'events: cannot be removed while the node runs; start it anew'])
  })

  test('change the types that are taken while the node runs', async () => {
    const directory = newDirectory()
    const schemas = newDirectory()
    const schema = (name: string) =>
      writeFileSync(join(schemas, `${name}.schema.json`), '{ "type": "number" }')
    schema('B')
    const path = join(directory, 'events.db')
    const { append, adminUrl, config } = await start(path)
    const put = (events: object) =>
      fetch(`${adminUrl}/api/config`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...config, events: { driver: 'sqlite', path, ...events } }),
      })
    expect((await append('order-1', 1)).status).toBe(201)
    expect((await put({ types: schemas })).status).toBe(200)
    expect((await append('order-1', 2)).status).toBe(422)
    schema('A')
    // The same configuration, but the schemas are read again.
    expect((await put({ types: schemas })).status).toBe(200)
    expect((await append('order-1', 3)).status).toBe(201)
    expect((await append('order-1', 'x')).status).toBe(422)
    expect((await put({ types: join(schemas, 'nowhere') })).status).toBe(422)
    expect((await append('order-1', 4)).status).toBe(201)
  })
})

test('what is too old is removed while the node runs, as soon as its configuration says so', async () => {
  const path = newDirectory()
  const { append, ask, adminUrl, config } = await start(path)
  for (let index = 0; index < 10; index++) await append('order-1', index)
  const put = (retention: object) =>
    fetch(`${adminUrl}/api/config`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...config, events: { driver: 'sqlite', path, retention } }),
    })
  const events = async (): Promise<Event[]> => (await (await ask('')).json()) as Event[]
  expect((await put({ rules: [{ category: 'order', maxEvents: 3 }], every: '100ms' })).status).toBe(200)
  while ((await events()).length > 3) await new Promise((resolve) => setImmediate(resolve))
  expect((await events()).map(({ data }) => data)).toEqual([7, 8, 9])
  // Revisions go on as if nothing had been removed.
  expect((await append('order-1', 10)).headers.get('stream-revision')).toBe('10')
})

test('another process that opens the file reads what the node has appended', async () => {
  const path = newDirectory()
  const { append } = await start(path)
  await append('order-1', 7)
  await using log = await openLog(`sqlite:${path}`)
  const events: unknown[] = []
  for await (const event of log.read()) events.push(event)
  expect(events).toMatchObject([{ stream: 'order-1', data: 7, metadata: { actor: 'till' } }])
})
