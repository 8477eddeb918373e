import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { diffSpecs } from '../../src/node/config/diff.js'
import { render } from '../../src/cli/status/render.js'
import { fencedFetch } from '../../src/coordination/index.js'
import type { NodeState } from '../../src/node/node.js'
import { coordinationConfig, startCoordination } from '../support/coordination-node.js'
import { specOf } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { Origin } from '../support/origin.js'

let directory: string
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'banyan-node-coordination-'))))
afterEach(async () => {
  await closeAll()
  rmSync(directory, { recursive: true })
})

test('a node tells what its coordinator is and whether it answers', async () => {
  const { ask, admin } = await startCoordination({ driver: 'sqlite', path: directory })
  expect(await ask('/readyz')).toEqual({ status: 'ready', coordination: 'ready' })
  const state = (await ask('/api/state')) as NodeState
  expect(state.coordination).toEqual({
    ...{ driver: 'sqlite', shared: 'machine', durable: 'power loss', minTtl: 100, maxTtl: 86_400_000 },
    latency: expect.any(Number) as number,
  })
  expect(render(state, Date.now(), 200)).toMatch(
    /^coordination sqlite {2}of one machine, survives power loss {2}answers in /m,
  )
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toContain('banyan_coordination_leases{banyan_coordination_driver="sqlite"} 0')
  expect(metrics).toContain('banyan_coordination_up{banyan_coordination_driver="sqlite"} 1')
})

test('a coordinator that cannot be reached keeps no node from starting, and is used as soon as it is there', async () => {
  const inTheWay = join(directory, 'keys')
  writeFileSync(inTheWay, '')
  const coordination = { driver: 'sqlite', path: join(inTheWay, 'below') }
  const routes = {
    hi: { match: { path: '/' }, respond: { body: 'hi' } },
    fenced: { match: { path: '/fenced' }, respond: { body: 'hi' }, fencing: 'orders' },
  }
  const { ask, node, lines } = await startCoordination(coordination, { routes })
  const [url] = node.state().node.listen
  expect(await (await fetch(url!)).text()).toBe('hi')
  const fenced = () => fetch(`${url}/fenced`, { headers: { 'Fencing-Token': '"orders";token=1' } })
  expect((await fenced()).status).toBe(503)
  expect(await ask('/readyz')).toEqual({
    status: 'ready',
    coordination: expect.stringContaining('below') as string,
  })
  const { coordination: away } = (await ask('/api/state')) as NodeState
  expect(away).toEqual({ driver: 'sqlite', problem: expect.stringContaining('below') as string })
  expect(lines.join('')).toContain('the coordinator cannot be reached and is tried again')

  unlinkSync(inTheWay)
  await expect.poll(() => ask('/readyz')).toEqual({ status: 'ready', coordination: 'ready' })
  expect((await fenced()).status).toBe(200)
})

test('what waiting does not help keeps a node from starting', async () => {
  const file = join(directory, 'other.db')
  writeFileSync(file, 'this is no database, whatever its name says'.repeat(100))
  await expect(startCoordination({ driver: 'sqlite', path: file })).rejects.toMatchObject({
    code: expect.stringMatching(/^BANYAN_COORDINATOR_(FORMAT|CORRUPT)$/) as string,
    message: expect.stringContaining('coordination: ') as string,
  })
})

test('another coordinator takes a restart', async () => {
  const { node } = await startCoordination({ driver: 'memory' })
  const to = (coordination: object | undefined) =>
    node.apply(specOf({ ...coordinationConfig({}), coordination }))
  expect(diffSpecs(node.spec, specOf(coordinationConfig({ driver: 'memory' })))).toEqual([])
  await expect(to({ driver: 'sqlite', path: directory })).rejects.toThrow(
    'coordination.driver: cannot change while the node runs; start it anew',
  )
  await expect(to(undefined)).rejects.toThrow('coordination: cannot be removed while the node runs')
})

/** A route to that service for the holder of `orders`. */
const fenced = (origin: Origin, more: object = {}) => ({
  services: { shop: { endpoints: [origin.url] } },
  routes: { shop: { match: {}, to: 'shop', fencing: { name: 'orders', ...more } } },
})

/** Sends as the holder with that token. */
const as = (token: number) => fencedFetch({ name: 'orders', token })

test('a route refuses who has been replaced on any node, before its service is asked', async () => {
  const origin = await Origin.open((_, response) => response.end('done'))
  const start = async (): Promise<string> => {
    const { node } = await startCoordination({ driver: 'sqlite', path: directory }, fenced(origin))
    return node.state().node.listen[0]!
  }
  const [one, other] = [await start(), await start()]
  expect(await (await as(5)(one, { method: 'POST' })).text()).toBe('done')
  expect((await as(7)(other, { method: 'POST' })).status).toBe(200)
  expect(origin.requests.map(({ headers }) => headers['fencing-token'])).toEqual([
    '"orders";token=5',
    '"orders";token=7',
  ])

  await expect(as(5)(one)).rejects.toMatchObject({ code: 'BANYAN_STALE_TOKEN', token: 5, seen: 7 })
  const answers = await Promise.all([
    fetch(one),
    fetch(one, { headers: { 'Fencing-Token': '7' } }),
    fetch(one, { headers: { 'Fencing-Token': '"orders";token=5' } }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([428, 400, 412])
  expect(await answers[2].json()).toMatchObject({ type: expect.stringMatching(/stale-token$/) as string })
  expect(origin.requests).toHaveLength(2)
})

test('a new holder is not let in beside those before, also if the route has changed meanwhile', async () => {
  let end = (): void => undefined
  const origin = await Origin.open((request, response) => {
    if (request.headers['fencing-token'] === '"orders";token=7') response.end('new')
    else end = () => response.end('old')
  })
  const { node } = await startCoordination({ driver: 'memory' }, fenced(origin))
  const [url] = node.state().node.listen
  const old = as(5)(url!)
  await origin.asked(1)
  const more = fenced(origin, { wait: '50ms', required: false })
  await node.apply(specOf(coordinationConfig({ driver: 'memory' }, more)))
  const early = await as(7)(url!)
  expect([early.status, await early.json()]).toEqual([
    503,
    expect.objectContaining({ code: 'BANYAN_FENCE_BUSY' }),
  ])
  await expect(as(5)(url!)).rejects.toMatchObject({ code: 'BANYAN_STALE_TOKEN', seen: 7 })
  end()
  expect(await (await old).text()).toBe('old')
  expect(await (await as(7)(url!)).text()).toBe('new')
  expect(origin.requests).toHaveLength(2)
})
