import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import type { HostedReplicasState } from '../../src/node/replicas/state.js'
import { Cli, configFile, run } from '../support/cli.js'
import { startCoordination } from '../support/coordination-node.js'
import { eventsConfig, KEY, startEvents, structured } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'
import { serverSentEvents } from '../support/sse.js'

let directory: string
const nodes: Cli[] = []

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-cli-replicas-'))
})
afterEach(closeAll)
afterAll(async () => {
  for (const { process } of nodes) process.kill('SIGKILL')
  await Promise.all(nodes.map(({ ended }) => ended))
  rmSync(directory, { recursive: true })
})

const REPLICATING = { allow: ['append', 'read', 'replicate'] }
const ROUTES = { log: { match: { path: '/events/*' }, events: REPLICATING, access: { by: 'keys' } } }

/** A node as a real process, with a log in SQLite. */
async function up(name: string, [port, admin]: readonly [number, number], follow?: object): Promise<Cli> {
  const events = { driver: 'sqlite', path: join(directory, name), ...(follow && { follow }) }
  const listen = { listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${admin}` }
  const node = new Cli('up', '-c', configFile(eventsConfig({}, { events, ...listen, routes: ROUTES })))
  nodes.push(node)
  await node.printed(/gateway on/)
  return node
}

const follow = ([port]: readonly [number, number], name: string) => ({
  leader: `http://127.0.0.1:${port}/events`,
  headers: { 'x-api-key': KEY },
  name,
  heartbeat: '50ms',
})

const logOf =
  ([port]: readonly [number, number]) =>
  (path: string, { headers, ...init }: { method?: string; headers?: object; body?: string } = {}) =>
    fetch(`http://127.0.0.1:${port}/events${path}`, { headers: { 'x-api-key': KEY, ...headers }, ...init })

async function put(log: ReturnType<typeof logOf>, id: string): Promise<string> {
  const response = await log('/streams/order-1', structured(id))
  expect(response.status).toBe(201)
  return response.headers.get('log-position')!
}

const replicasOf = async (admin: number | string): Promise<HostedReplicasState[]> => {
  const url = typeof admin === 'string' ? admin : `http://127.0.0.1:${admin}`
  return ((await (await fetch(`${url}/api/replicas`)).json()) as { replicas: HostedReplicasState[] }).replicas
}

test('a copy reads, takes the place of a leader that was killed, and the old one is refused when it is back', async () => {
  const [a, b] = [
    [await freePort(), await freePort()],
    [await freePort(), await freePort()],
  ] as [[number, number], [number, number]]
  const leader = await up('a', a)
  const position = await put(logOf(a), 'one')
  await up('b', b, follow(a, 'copy-b'))
  await expect.poll(async () => (await fetch(`http://127.0.0.1:${b[1]}/readyz`)).status).toBe(200)

  // What was acknowledged by the leader is read at the copy, as new as the client says.
  const read = await logOf(b)('/streams/order-1', { headers: { 'log-position': position } })
  expect(await read.json()).toMatchObject([{ id: 'one' }])
  expect(Number(read.headers.get('age'))).toBeLessThan(60)
  const refused = await logOf(b)('/streams/order-1', structured('no'))
  expect(refused.status).toBe(409)
  expect(await refused.json()).toMatchObject({
    type: 'urn:banyan:problem:read-only',
    leader: `http://127.0.0.1:${a[0]}/events`,
  })

  const [seen, shown] = await Promise.all([
    run('replicas', '--admin', String(a[1])),
    run('replicas', 'show', 'events', '-a', String(b[1])),
  ])
  expect(seen).toMatchObject({ code: 0, stderr: '' })
  expect(seen.stdout).toMatch(
    /^REPLICAS .*\nevents +this node +leader +- +- +epoch 1 *\n +copy-b +follower +0 positions +heard \S+ ago +epoch 1 *\n$/,
  )
  expect(shown.stdout).toMatch(
    /^events\nrole +follower\n[^]*\nstate +following\nbehind +0 positions of 0+1\n/,
  )

  leader.process.kill('SIGKILL')
  await leader.ended
  await expect
    .poll(() => replicasOf(b[1]))
    .toMatchObject([
      { following: { state: 'away' }, problem: expect.stringContaining('cannot be reached') as string },
    ])
  const promote = ['replicas', 'promote', 'events', '-a', String(b[1])]
  const [asked, kept] = await Promise.all([run(...promote), run(...promote, '--yes')])
  expect(asked.code).toBe(2)
  expect(asked.stderr).toMatch(
    /was last heard of \S+ ago: it ended at 0+1, and this copy ends at 0+1, so at least 0 positions would be lost, and what it has acknowledged since then\. If it does not hand over, nothing is done: say --force/,
  )
  expect(kept).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('[BANYAN_PROMOTION_REFUSED]') as string,
  })
  const done = await run(...promote, '--yes', '--force')
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout).toMatch(
    /^the event log of this node leads in epoch 2, behind position 0+1: at least 0 positions/,
  )
  const second = await put(logOf(b), 'two')

  // It comes back, and hears of its successor before or after somebody appends: then it refuses, also as the copy that it is made.
  const old = await up('a', a)
  await expect
    .poll(() => replicasOf(a[1]), { timeout: 30_000 })
    .toMatchObject([{ role: 'fenced', fencedBy: 2 }])
  const fenced = await logOf(a)('/streams/order-1', structured('three'))
  expect([fenced.status, await fenced.json()]).toMatchObject([409, { type: 'urn:banyan:problem:log-fenced' }])
  const wrong = await run('replicas', '-a', String(a[1]))
  expect(wrong.code).toBe(1)
  expect(wrong.stdout).toMatch(/this node +fenced .* gave way to the leader of epoch 2/)
  old.process.kill('SIGKILL')
  await old.ended
  await up('a', a, follow(b, 'copy-a'))
  const both = await logOf(a)('/streams/order-1', { headers: { 'log-position': second } })
  expect(await both.json()).toMatchObject([{ id: 'one' }, { id: 'two' }])

  // By plan nothing is lost.
  const back = await run('replicas', 'promote', 'events', '--yes', '--json', '-a', String(a[1]))
  expect(JSON.parse(back.stdout)).toEqual({
    ...{ name: 'events', kind: 'log', how: 'planned', epoch: 3, position: second },
  })
})

describe('over the admin listener', () => {
  test('a copy in memory follows an admin address, and is told of as it changes', async () => {
    const first = await startEvents()
    const { admin, node } = await startEvents(
      {},
      { events: { driver: 'memory', follow: { leader: first.admin, heartbeat: '20ms', fallback: 'none' } } },
    )
    const position = (await first.ask('/streams/order-1', structured('one'))).headers.get('log-position')!
    const stream = await fetch(`${admin}/api/replicas/events`, { headers: { accept: 'text/event-stream' } })
    for await (const { event, data } of serverSentEvents(stream)) {
      if (event !== 'message') continue
      if ((JSON.parse(data) as { position: string }).position === position) break
    }
    const metrics = await (await fetch(`${admin}/metrics`)).text()
    expect(metrics).toMatch(/^banyan_log_leads 0$/m)
    expect(metrics).toMatch(/^banyan_log_behind 0$/m)

    const ask = async (path: string, init: RequestInit = {}): Promise<unknown> =>
      (await fetch(`${admin}/api/replicas${path}`, init)).json()
    const post = (body: string) => ({ method: 'POST', body })
    for (const [path, init, problem] of [
      [
        '/event',
        {},
        {
          status: 404,
          code: 'BANYAN_REPLICAS_UNKNOWN',
          detail: expect.stringContaining('did you mean') as string,
        },
      ],
      ['/events?x=1', {}, { status: 400 }],
      ['/events/demote', post(''), { status: 404 }],
      ['/events/promote', {}, { status: 405 }],
      ['/events/promote', post('{'), { status: 400, detail: 'The body must be JSON.' }],
      ['/events/promote', post('{ "to": "b" }'), { status: 400 }],
      [
        '/events/promote',
        post('{ "forse": true }'),
        { status: 400, detail: 'Unknown: forse; known are to, force.' },
      ],
    ] as const)
      expect(await ask(path, init), path).toMatchObject(problem)
    // What the copy is too old for is refused, and the leader named.
    const [url] = node.state().node.listen
    const behind = await fetch(`${url!}/events`, {
      headers: { 'x-api-key': KEY, 'log-position': '0000000000000099' },
    })
    expect([behind.status, await behind.json()]).toMatchObject([
      409,
      { type: 'urn:banyan:problem:follower-behind', leader: first.admin },
    ])
    const stale = await fetch(`${url!}/events`, {
      headers: { 'x-api-key': KEY, 'cache-control': 'max-age=0' },
    })
    expect(stale.status).toBe(409)
    const leading = (await fetch(`${first.admin}/api/replicas/events/promote`, post(''))).json()
    expect(await leading).toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED', status: 409 })
  })

  test('what a client has seen at one leader is told apart from what is at the same position of another', async () => {
    const [first, foreign] = [await startEvents(), await startEvents()]
    const follow = { leader: first.admin, heartbeat: '20ms' }
    const second = await startEvents({}, { events: { driver: 'memory', follow } })
    const put = async (node: typeof first, id: string) => {
      const { headers } = await node.ask('/streams/order-1', structured(id))
      return {
        'log-position': headers.get('log-position')!,
        'log-epoch': headers.get('log-epoch')!,
      }
    }
    const one = await put(first, 'one')
    const read = await second.ask('/streams/order-1', { headers: one })
    expect(await read.json()).toMatchObject([{ id: 'one' }])
    expect(read.headers.get('log-epoch')).toBe(one['log-epoch'])
    const refused = async (node: typeof first, headers: object, init: object = {}) => {
      const answer = await node.ask('/streams/order-1', { ...init, headers: { ...headers } })
      return [answer.status, ((await answer.json()) as { type: string }).type.split(':').at(-1)]
    }
    const other = await put(foreign, 'other')
    expect(other['log-position']).toBe(one['log-position'])
    for (const node of [first, second]) expect(await refused(node, other)).toEqual([409, 'position-ahead'])
    const { headers, ...append } = structured('two')
    expect(await refused(first, { ...headers, ...other }, append)).toEqual([409, 'position-ahead'])
    expect(await refused(first, { 'log-epoch': 'first' })).toEqual([400, 'invalid-parameter'])
    expect(await refused(second, { 'log-position': 'soon' })).toEqual([400, 'invalid-position'])

    // Who has heard of the new leader learns nothing old from the old one, and nothing is appended there.
    await fetch(`${second.admin}/api/replicas/events/promote`, { method: 'POST' })
    const two = await put(second, 'two')
    expect(await refused(first, two)).toEqual([409, 'log-fenced'])
    const both = await second.ask('/streams/order-1', { headers: { ...one, 'log-epoch': two['log-epoch'] } })
    expect(await both.json()).toHaveLength(2)
    const lost = { 'log-position': two['log-position'], 'log-epoch': one['log-epoch'] }
    expect(await refused(second, lost)).toEqual([409, 'position-ahead'])
  })

  test('an old leader that nobody reaches takes no appends when it is back, as the coordinator tells it', async () => {
    const place = (name: string) => ({ driver: 'sqlite', path: join(directory, name) })
    const coordination = place('coordinator')
    const old = { coordination, events: place('log') }
    const first = await startEvents({}, old)
    const copy = () => {
      const follow = { leader: first.admin, heartbeat: '20ms', fallback: 'none' }
      return startEvents({}, { coordination, events: { driver: 'memory', follow } })
    }
    const [second, third] = [await copy(), await copy()]
    const position = (await first.ask('/streams/order-1', structured('one'))).headers.get('log-position')!
    for (const { ask } of [second, third])
      expect((await ask('/streams/order-1', { headers: { 'log-position': position } })).status).toBe(200)
    await first.node.stop(AbortSignal.abort())
    const promote = async ({ admin }: typeof first): Promise<unknown> => {
      const init = { method: 'POST', body: '{ "force": true }' }
      return (await fetch(`${admin}/api/replicas/events/promote`, init)).json()
    }
    expect(await promote(second)).toMatchObject({ how: 'emergency', epoch: 2 })
    expect(await promote(third)).toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
      detail: expect.stringContaining('epoch 2 of this log has begun elsewhere') as string,
    })

    // At another address, where its successor does not look for it.
    const back = await startEvents({}, old)
    const refused = await back.ask('/streams/order-1', structured('two'))
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { type: 'urn:banyan:problem:log-fenced' },
    ])
    expect((await second.ask('/streams/order-1', structured('two'))).status).toBe(201)
  })

  test('a copy that is too old for a read lets the leader answer', async () => {
    const first = await startEvents()
    await first.ask('/streams/order-1', structured('one'))
    const follow = { leader: first.admin, wait: '1ms' }
    const { ask, admin } = await startEvents({}, { events: { driver: 'memory', follow } })
    await expect.poll(async () => (await fetch(`${admin}/readyz`)).status).toBe(200)
    const here = await ask('/streams/order-1')
    expect(here.headers.get('age')).toMatch(/^\d+$/)
    const there = await ask('/streams/order-1', { headers: { 'cache-control': 'max-age=0' } })
    expect(await there.json()).toMatchObject([{ id: 'one' }])
    expect([there.headers.get('age'), there.headers.get('stream-revision')]).toEqual([null, '0'])
    expect(await replicasOf(admin)).toMatchObject([{ following: { reads: { here: 1, leader: 1 } } }])
    const none = await ask('/streams/order-2', { method: 'HEAD', headers: { 'cache-control': 'max-age=0' } })
    expect(none.headers.get('stream-revision')).toBe('none')
    expect((await ask('', { headers: { 'cache-control': 'max-age=soon' } })).status).toBe(400)
  })

  test('a copy of another log is not ready, and says so', async () => {
    const [first, second] = [await startEvents(), await startEvents()]
    await Promise.all([first, second].map(({ ask }) => ask('/streams/order-1', structured('one'))))
    const path = join(directory, 'foreign')
    const config = (leader: string) => ({ events: { driver: 'sqlite', path, follow: { leader } } })
    const copy = await startEvents({}, config(first.admin))
    await expect.poll(async () => (await fetch(`${copy.admin}/readyz`)).status).toBe(200)
    await copy.node.stop(AbortSignal.abort())
    const { admin } = await startEvents({}, config(second.admin))
    await expect
      .poll(async () => (await fetch(`${admin}/readyz`)).json())
      .toMatchObject({ status: 'waiting', events: expect.stringContaining('nothing in common') as string })
    expect(await replicasOf(admin)).toMatchObject([{ role: 'follower', following: { state: 'stopped' } }])
  })

  test('a route lets nobody in who may only read and append', async () => {
    const { ask } = await startEvents()
    expect((await ask('/replica/state', { method: 'POST', body: '{}' })).status).toBe(404)
  })
})

describe.skipIf(postgresMissing())('a database', () => {
  test('is watched, and its follower promoted', async () => {
    await using a = await PostgresServer.start({ fsync: 'off', wal_keep_size: '256MB' })
    await using b = await a.standby()
    const replicas = { shop: { nodes: { a: a.url(), b: b.url() }, interval: '30ms', ttl: '1s' } }
    const { admin } = await startCoordination({ driver: 'memory' }, { replicas })
    await expect
      .poll(() => replicasOf(admin), { timeout: 30_000 })
      .toMatchObject([
        { name: 'shop', agreed: true, leader: 'a', nodes: [{ healthy: true }, { healthy: true }] },
      ])
    const seen = await run('replicas', '--admin', admin)
    expect(seen).toMatchObject({ code: 0, stderr: '' })
    expect(seen.stdout).toMatch(
      /\nshop +a +leader +- +- +timeline 1 *\n +b +follower +\d+ \S+ +\S+ +timeline 1 *\n$/,
    )
    expect(await (await fetch(`${admin}/metrics`)).text()).toContain(
      'banyan_replicas_healthy{banyan_replicas="shop",banyan_replicas_node="b"} 1',
    )
    const asked = await run('replicas', 'promote', 'shop', '--to', 'b', '--admin', admin)
    expect(asked.code).toBe(2)
    expect(asked.stderr).toMatch(
      /makes b the leader of shop in the place of a\. a is stopped first: .* nothing is lost/,
    )
    const done = await run('replicas', 'promote', 'shop', '--yes', '--admin', admin)
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toBe('b leads shop on timeline 2, in the place of a: nothing is lost\n')
    await expect
      .poll(() => replicasOf(admin), { timeout: 30_000 })
      .toMatchObject([{ leader: 'b', nodes: [{ role: 'old leader', fenced: true }, { role: 'leader' }] }])
    const refused = await run('replicas', 'promote', 'shop', '--to', 'c', '--yes', '--admin', admin)
    expect(refused.stderr).toContain('there is no server c among a, b')
    const again = await run('replicas', 'promote', 'shop', '--to', 'b', '--yes', '--admin', admin)
    expect(again.stdout).toBe('b leads shop on timeline 2, and the coordinator says so\n')
  })

  test('that nobody can reach is told of, and nobody promoted without a coordinator', async () => {
    const nodes = { a: 'postgres://app:secret@127.0.0.1:1/shop', b: 'postgres://app:secret@127.0.0.1:2/shop' }
    const { admin, node } = await startEvents({}, { replicas: { shop: { nodes } } })
    await expect
      .poll(() => replicasOf(admin))
      .toMatchObject([{}, { name: 'shop', agreed: false, problem: 'no server can be reached' }])
    expect(JSON.stringify(await replicasOf(admin))).not.toContain('secret')
    const init = { method: 'POST', body: '{ "force": true }' }
    expect(await (await fetch(`${admin}/api/replicas/shop/promote`, init)).json()).toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
      detail: expect.stringContaining('this node has no coordinator') as string,
    })
    await node.apply({ ...node.spec, replicas: {} })
    expect(await replicasOf(admin)).toMatchObject([{ name: 'events' }])
  })
})
