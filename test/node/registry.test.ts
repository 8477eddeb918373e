import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { openCoordinator, readRegistry } from '../../src/coordination/index.js'
import { systemClock } from '../../src/core/clock.js'
import { createLog } from '../../src/node/log.js'
import { Node, type NodeSpec, type NodeState } from '../../src/node/node.js'
import { Child } from '../faults/support/child.js'
import { Cli, configFile, run } from '../support/cli.js'
import { FleetMember } from '../support/fleet.js'
import { closeAll, open } from '../support/gateway.js'

afterEach(closeAll)

/** A registry in a file of its own. */
function registry(): string {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-registry-'))
  open.push({ close: () => rmSync(directory, { recursive: true, force: true }) })
  return directory
}

/** A process that serves `orders` and registers itself. */
function start(path: string, name: string): Child {
  const child = new Child('instance.mjs', { where: `sqlite:${path}`, name, ttl: 1000, drain: 300 })
  open.push({
    close: () => {
      child.signal('SIGKILL')
      return child.exited
    },
  })
  return child
}

/** A gateway, as a process of its own, that finds `orders` in the registry. */
async function startNode(path: string, config: object = {}) {
  const file = configFile({
    listen: 0,
    admin: 0,
    coordination: { driver: 'sqlite', path },
    services: { orders: { registry: 'orders', outliers: true, policy: 'patient' } },
    policies: { patient: { timeout: '10s', retry: { attempts: 3, backoff: { base: '1ms' } } } },
    routes: { all: { match: {}, to: 'orders' } },
    ...config,
  })
  const node = new Cli('up', '-c', file)
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    node.process.kill(signal)
    await node.ended
  }
  open.push({ close: () => stop('SIGKILL') })
  const admin = (await node.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await node.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  const state = async (): Promise<NodeState> =>
    (await (await fetch(`${admin}/api/state`)).json()) as NodeState
  return { node, admin, gateway, state, stop }
}

/** Clients that ask as fast as they are answered. */
function load(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const answers = new Map<string, number>()
  let waiting: (() => void)[] = []
  let running = true
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (answer: string): void => {
        answers.set(answer, (answers.get(answer) ?? 0) + 1)
        for (const wake of waiting.splice(0)) wake()
        resolve()
      }
      const asking = request(url, { agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (data: string) => (text += data))
        response.on('end', () => done(response.statusCode === 200 ? text : String(response.statusCode)))
        response.on('error', (error) => done(error.message))
      })
      asking.on('error', (error) => done(error.message))
      asking.end()
    })
  const loops = Array.from({ length: 4 }, async () => {
    while (running) await one()
  })
  return {
    /** How often each answer came so far. */
    answers,
    /** Waits until a condition holds after an answer. */
    async until(condition: () => boolean): Promise<void> {
      while (!condition()) await new Promise<void>((resolve) => (waiting = [...waiting, resolve]))
    },
    async stop(): Promise<Record<string, number>> {
      running = false
      await Promise.all(loops)
      agent.destroy()
      return Object.fromEntries(answers)
    },
  }
}

test('instances come, are killed and drained under load, and no request is lost', async () => {
  const path = registry()
  const one = start(path, 'one')
  const [{ gateway, state }] = await Promise.all([startNode(path), one.ready])
  const clients = load(gateway)
  await clients.until(() => clients.answers.has('one'))
  // Until somebody was registered, there was nobody.
  clients.answers.clear()

  const two = start(path, 'two')
  await two.ready
  await clients.until(() => clients.answers.has('two'))

  two.signal('SIGKILL')
  await two.exited
  const three = start(path, 'three')
  await three.ready
  await clients.until(() => clients.answers.has('three'))

  one.signal('SIGTERM')
  await one.exited
  const before = clients.answers.get('one')
  await clients.until(() => clients.answers.get('three')! > 500)
  expect(clients.answers.get('one')).toBe(before)

  const answers = await clients.stop()
  expect(Object.keys(answers).sort()).toEqual(['one', 'three', 'two'])
  expect((await state()).services['orders']!.registry).toMatchObject({ service: 'orders', known: true })
})

test('an instance that says that it is well, and is not, gets no requests', async () => {
  const path = registry()
  const all = ['one', 'two', 'three'].map((name) => start(path, name))
  const [{ gateway, state }] = await Promise.all([startNode(path), ...all.map(({ ready }) => ready)])
  const clients = load(gateway)
  await clients.until(() => ['one', 'two', 'three'].every((name) => clients.answers.has(name)))
  all[1]!.signal('SIGUSR2')
  await clients.until(() => clients.answers.get('three')! > 500)
  let ejected = 0
  while (ejected === 0) ejected = (await state()).services['orders']!.health.ejected
  const [answers, coordinator] = [await clients.stop(), await openCoordinator(`sqlite:${path}`)]
  const [orders] = await readRegistry(coordinator)
  await coordinator.close()
  expect(orders!.instances.map((each) => each.state)).toEqual(['passing', 'passing', 'passing'])
  expect(answers['500'] ?? 0).toBeLessThan(10)
})

test('nodes of one machine make one system: what one registers, another finds', async () => {
  const path = registry()
  const backend = await FleetMember.open()
  const near = await startNode(path, {
    services: {},
    routes: { all: { match: {}, respond: { status: 204 } } },
    policies: {},
    register: {
      orders: {
        address: backend.url,
        drain: 100,
        health: { check: `${backend.url}/healthz`, interval: 50, unhealthyAfter: 1, healthyAfter: 1 },
      },
    },
  })
  const { gateway, admin, state } = await startNode(path)
  for (let status = 0; status !== 200;) ({ status } = await fetch(gateway))
  expect(await (await fetch(`${admin}/readyz`)).json()).toEqual({ status: 'ready', coordination: 'ready' })
  expect((await near.state()).registered).toMatchObject({
    orders: { service: 'orders', address: backend.url, registered: true, state: 'passing' },
  })
  const { stdout } = await run('status', '--once', '--admin', near.admin)
  expect(stdout).toContain(`registered orders  ${backend.url}`)
  await near.stop('SIGTERM')
  while ((await state()).services['orders']!.endpoints.length > 0);
  expect((await fetch(gateway)).status).toBe(503)
})

test('a node whose registry cannot be reached starts, says so, and serves what is elsewhere', async () => {
  const prices = await FleetMember.open()
  const { node, gateway, admin, state } = await startNode('', {
    // Nobody listens there.
    coordination: { driver: 'etcd', url: 'etcd://127.0.0.1:1' },
    services: {
      orders: { registry: 'orders', outliers: true, policy: 'patient' },
      prices: { endpoints: [prices.url] },
    },
    routes: {
      orders: { match: { path: '/orders' }, to: 'orders' },
      prices: { match: { path: '/prices' }, to: 'prices' },
    },
  })
  expect((await fetch(`${gateway}/prices`)).status).toBe(200)
  expect((await fetch(`${gateway}/orders`)).status).toBe(503)
  const ready = await fetch(`${admin}/readyz`)
  expect(ready.status).toBe(503)
  expect(await ready.json()).toMatchObject({ status: 'waiting', services: ['orders'] })
  expect((await state()).services['orders']!.registry).toMatchObject({ known: false })
  const { stdout } = await run('status', '--once', '--admin', admin)
  expect(stdout).toContain('the registry has not answered')
  expect(stdout).toContain('waiting for orders')
  expect(node.stderr + node.stdout).toContain('the coordinator cannot be reached')
})

test('what a node registers follows its configuration, and what cannot be is told', async () => {
  const log = createLog(new PassThrough().resume(), systemClock)
  const entry = { address: 'http://10.0.0.1:4001', drain: 0 }
  const spec = (register: NonNullable<NodeSpec['register']>): NodeSpec => ({
    listen: ['127.0.0.1:0'],
    admin: false,
    limits: {},
    trust: [],
    drain: { delay: 0, grace: 0 },
    services: {},
    policies: {},
    routes: { all: { match: {}, respond: { status: 204 } } },
    coordination: { driver: 'memory' },
    register,
  })
  const node = await Node.create(spec({ orders: entry, prices: { ...entry, ttl: 1 } }), log)
  open.push({ close: () => node.stop(AbortSignal.abort()) })
  await node.start()
  const registered = async () => (await node.fullState()).registered!
  while (!(await registered())['orders']!.registered);
  expect((await registered())['prices']).toMatchObject({
    registered: false,
    problem: expect.stringContaining('leases of') as string,
  })
  await node.apply(spec({ orders: { ...entry, version: '2' }, prices: entry }))
  while (!Object.values(await registered()).every((each) => each.registered));
  await node.apply(spec({ prices: entry }))
  expect(Object.keys(await registered())).toEqual(['prices'])
})
