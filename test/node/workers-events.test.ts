import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { openLog, openOutbox } from '../../src/events/index.js'
import type { HostedCaptureState } from '../../src/node/cdc/state.js'
import type { NodeState } from '../../src/node/node.js'
import type { OutboxState } from '../../src/node/outboxes/state.js'
import { Cli, configFile } from '../support/cli.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { serverSentEvents } from '../support/sse.js'
import { AdminSagas, is } from '../support/sagas-node.js'

const running: Cli[] = []
const directories: string[] = []
afterEach(async () => {
  for (const node of running.splice(0)) {
    node.process.kill('SIGTERM')
    await node.ended
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

const WORKERS = 3

/** A node of three workers with a log, ready. */
async function start(more: (directory: string) => object) {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-workers-'))
  directories.push(directory)
  const [port, admin] = [await freePort(), await freePort()]
  const path = join(directory, 'log')
  const config = {
    listen: port,
    admin,
    workers: WORKERS,
    events: { driver: 'sqlite', path },
    services: {},
    routes: { all: { match: {}, redirect: { host: 'elsewhere.example' } } },
    ...more(directory),
  }
  const node = new Cli('up', '-c', configFile(config), '--no-watch')
  running.push(node)
  await node.printed(new RegExp(`(gateway on[^]*){${WORKERS}}`))
  const adminUrl = `http://127.0.0.1:${admin}`
  const get = async <Answer>(below: string): Promise<Answer> => {
    const answer = await fetch(`${adminUrl}/api/${below}`)
    expect(answer.status).toBe(200)
    return (await answer.json()) as Answer
  }
  const until = async <Answer>(below: string, isSo: (answer: Answer) => boolean): Promise<Answer> => {
    for (;;) {
      const answer = await get<Answer>(below)
      if (isSo(answer)) return answer
    }
  }
  const pids = async (): Promise<number[]> => (await get<NodeState>('state')).workers!.map(({ pid }) => pid)
  /** Kills a worker, and waits for the one that takes its place; whoever asks meanwhile is answered. */
  const kill = async (pid: number): Promise<void> => {
    process.kill(pid, 'SIGKILL')
    await until<NodeState>(
      'state',
      ({ workers }) => workers!.length === WORKERS && !workers!.some((worker) => worker.pid === pid),
    )
  }
  const stop = async (): Promise<void> => {
    running.splice(running.indexOf(node), 1)
    node.process.kill('SIGTERM')
    expect(await node.ended).toBe(0)
  }
  return { directory, path, adminUrl, get, until, pids, kill, stop }
}

test('workers have one relay for an outbox: each message comes to the log once, in its order, whoever is killed', async () => {
  const { directory, path, adminUrl, get, until, pids, kill, stop } = await start((directory) => ({
    outboxes: { shop: { database: `sqlite:${join(directory, 'app.db')}`, poll: '20ms' } },
  }))
  const file = join(directory, 'app.db')
  await using outbox = await openOutbox(`sqlite:${file}`)
  const database = new SQLite(file)
  const publish = (from: number, to: number): void => {
    for (let number = from; number < to; number++)
      database.transaction(() =>
        outbox.publish(database, 'stock', { type: 'Taken', key: String(number % 7), data: number }),
      )()
  }
  const live = await fetch(`${adminUrl}/api/outboxes/shop`, { headers: { accept: 'text/event-stream' } })
  let lastTold: number | undefined
  const followed = (async () => {
    for await (const { event, data } of serverSentEvents(live))
      if (event === 'message') lastTold = (JSON.parse(data) as OutboxState).relayed
  })()
  publish(0, 100)
  const [first] = await pids()
  const killed = kill(first!)
  publish(100, 200)
  await killed
  const relayed = await until<OutboxState>('outboxes/shop', (state) => state.relayed === 200)
  expect(relayed).toMatchObject({ name: 'shop', waiting: { count: 0 }, parked: [] })
  expect((await get<NodeState>('state')).outboxes).toMatchObject([{ name: 'shop', relayed: 200 }])
  database.close()
  await expect.poll(() => lastTold, { timeout: 10_000 }).toBe(200)
  await stop()
  await followed
  await using log = await openLog({ driver: 'sqlite', path })
  const byKey = new Map<string, number[]>()
  for await (const { stream, data } of log.read({ category: 'stock' }))
    byKey.set(stream, [...(byKey.get(stream) ?? []), data as number])
  const all = Array.from({ length: 200 }, (_, number) => number)
  for (const [stream, numbers] of byKey)
    expect(numbers).toEqual(all.filter((number) => stream === `stock-${number % 7}`))
  expect([...byKey.values()].flat()).toHaveLength(200)
})

test('workers share sagas; what a killed one ran goes on in the others, and one answer tells of all', async () => {
  const { directory, adminUrl, get, pids, kill } = await start((directory) => {
    const module = join(directory, 'slow.mjs')
    writeFileSync(
      module,
      `import { appendFileSync } from 'node:fs'
       export const slow = {
         name: 'slow',
         async run({ number }, { step }) {
           for (const name of ['one', 'two', 'three'])
             await step(name, async ({ idempotencyKey }) => {
               appendFileSync(${JSON.stringify(join(directory, 'calls'))}, process.pid + ' ' + idempotencyKey + '\\n')
               await new Promise((resolve) => setTimeout(resolve, 20))
             })
           return number
         },
       }`,
    )
    return { sagas: { slow: { module, concurrency: 4, takeover: '1s' } } }
  })
  const sagas = new AdminSagas(adminUrl)
  const before = await pids()
  const count = 60
  const started = Array.from({ length: count }, (_, number) =>
    sagas.post('slow', { id: String(number), input: { number } }),
  )
  for (const { status } of await Promise.all(started)) expect(status).toBe(201)
  expect(await sagas.post('slow', { id: '1', input: { number: 1 } })).toMatchObject({ status: 200 })
  await sagas.until('slow/0', is('completed'))
  await kill(before[0]!)
  for (let number = 0; number < count; number++)
    expect((await sagas.until(`slow/${number}`, is('completed'))).result).toBe(number)
  const calls = readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n')
  expect(new Set(calls.map((line) => line.split(' ')[1]))).toHaveProperty('size', 3 * count)
  expect(new Set(calls.map((line) => line.split(' ')[0])).size).toBeGreaterThan(1)
  const { sagas: kinds } = await get<NodeState>('state')
  expect(kinds).toEqual({
    slow: {
      modules: [join(directory, 'slow.mjs')],
      versions: [1],
      running: 0,
      parked: { count: 0, isComplete: true },
    },
  })
})

describe.skipIf(postgresMissing())('with PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  test('one worker captures, and another one goes on when it is killed: each change is taken once', async () => {
    const from = await server.database()
    await server.query('CREATE TABLE customers (id int PRIMARY KEY, name text)', [], from)
    await server.query("INSERT INTO customers VALUES (1, 'Ada'), (2, 'Eve')", [], from)
    const cdc = { legacy: { from, tables: { 'public.customers': { topic: 'customer' } } } }
    const { path, get, until, kill, stop } = await start(() => ({ cdc }))
    const streaming = ({ state }: HostedCaptureState): boolean => state === 'streaming'
    await until<HostedCaptureState>('cdc/legacy', streaming)
    await server.query("UPDATE customers SET name = 'Zoe' WHERE id = 1", [], from)
    await until<HostedCaptureState>('cdc/legacy', ({ rows }) => rows === 1)
    for (const { pid } of (await get<NodeState>('state')).workers!) {
      await kill(pid)
      await server.query('UPDATE customers SET name = name || $1 WHERE id = 2', ['!'], from)
    }
    await until<HostedCaptureState>('cdc/legacy', streaming)
    await server.query("INSERT INTO customers VALUES (3, 'Kim')", [], from)
    await using log = await openLog({ driver: 'sqlite', path })
    const said = async (): Promise<string[]> => {
      const all: string[] = []
      for await (const { type, stream } of log.read({ category: 'customer' })) all.push(`${type} ${stream}`)
      return all
    }
    // Of a change that has not come to it, a capture does not know that it lags behind it.
    await expect.poll(said).toContain('CustomerInserted customer-3')
    const seen = await until<{ captures: HostedCaptureState[] }>(
      'cdc',
      ({ captures }) => captures.length === 1 && captures[0]!.lagMs === 0 && streaming(captures[0]!),
    )
    expect((await get<NodeState>('state')).captures).toMatchObject([
      { name: 'legacy', generation: seen.captures[0]!.generation, state: 'streaming' },
    ])
    await stop()
    expect(await said()).toEqual([
      'CustomerSnapshotted customer-1',
      'CustomerSnapshotted customer-2',
      'CustomerUpdated customer-1',
      ...Array.from({ length: WORKERS }, () => 'CustomerUpdated customer-2'),
      'CustomerInserted customer-3',
    ])
  })
})
