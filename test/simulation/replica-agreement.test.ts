import { describe, expect, test } from 'vitest'
import { openCoordinator, promoteReplica, type Coordinator } from '../../src/coordination/index.js'
import type { ReplicaReadOptions } from '../../src/coordination/replication/options.js'
import { recordIn, recordKey, valueOf, type LeaderRecord } from '../../src/coordination/replication/record.js'
import { tokenOf } from '../../src/coordination/replication/token.js'
import type { Telemetry } from '../../src/core/telemetry.js'
import { virtualRuntime, type VirtualRuntime } from '../../src/testing/virtual-clock.js'
import { recordingTelemetry } from '../support/telemetry.js'
import { ReplicaWorld, routerOf } from '../support/replica-world.js'

const OPTIONS = { ttl: '2s', interval: 100, failover: 50, fence: false } as const

/** `a` is lost when `b` has all of timeline 1, and `c` has not; then `b` is promoted, and is lost, too. */
async function fork(runtime: VirtualRuntime, coordinator?: Coordinator) {
  const world = new ReplicaWorld(['a', 'b', 'c'], runtime.clock, runtime.random)
  const [a, b, c] = [world.get('a'), world.get('b'), world.get('c')]
  const router = routerOf(world.servers, runtime, { ...OPTIONS, ...(coordinator && { coordinator }) })
  await runtime.clock.advance('1s')
  for (const id of ['x1', 'x2', 'x3']) await runtime.clock.settle(router.write((db) => db.add(id)))
  const { token: old } = await runtime.clock.settle(router.write((db) => db.add('x4')))
  b.follow(Infinity, Infinity)
  c.follow(1, 1)
  a.crash()
  await runtime.clock.settle(b.promote())
  await runtime.clock.advance('1s')
  const { token } = await runtime.clock.settle(router.write((db) => db.add('y'), { failover: '10s' }))
  const has = await runtime.clock.settle(router.read((db) => db.has('x4'), { after: old, wait: 0 }))
  expect(has).toMatchObject({ result: true, node: 'b' })
  b.crash()
  await runtime.clock.advance('1s')
  return { world, router, a, b, c, old, token }
}

type ScriptedServer = ReturnType<ReplicaWorld['get']>

/** Begins timeline 2 once more, from less, and goes on until it is further than the other. */
function leadApart(world: ReplicaWorld, c: ScriptedServer): void {
  const end = c.log.length
  for (let entry = 0; entry < 20; entry++) c.log.push({ timeline: 2, id: `z${entry}` })
  Object.assign(c, { role: 'leader', timeline: 2, replayed: c.log.length, recovered: end })
  c.ancestors = () => Promise.resolve([{ timeline: 1, end: BigInt(end) }])
}

describe('one timeline that two have begun, apart from each other', () => {
  test('no token of it counts any more, nor what the other one had of older ones', async () => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const { world, router, b, c, old, token } = await fork(runtime)
    leadApart(world, c)
    await clock.advance('1s')
    expect(router.state.problem).toContain('promoted apart from each other')
    // The operator decides for one of them.
    b.rebuild(c)
    await clock.advance('1s')
    expect(router.state).toMatchObject({ leader: 'c', timeline: 2 })
    for (const after of [old, token])
      for (const prefer of ['follower', 'leader'] as const)
        await expect(
          clock.settle(router.read((db) => db.has('x4'), { after, prefer })),
        ).rejects.toMatchObject({ code: 'BANYAN_TOKEN_LOST' })
    expect(router.state.nodes[1]!.problem).toContain('b and c have both led timeline 2')
    expect(await clock.settle(router.read((db) => db.has('z1')))).toMatchObject({ node: 'c', result: true })
    // The next promotion begins one that there is only once.
    c.crash()
    await clock.settle(b.promote())
    b.ancestors = () =>
      Promise.resolve([
        { timeline: 1, end: 1n },
        { timeline: 2, end: 21n },
      ])
    await clock.advance('1s')
    const { cluster } = router.state as { cluster: string }
    const early = tokenOf({ cluster, timeline: 1, position: 1n })
    expect(await clock.settle(router.read((db) => db.has('x1'), { after: early }))).toMatchObject({
      result: true,
    })
    await expect(clock.settle(router.read((db) => db.has('x4'), { after: token }))).rejects.toMatchObject({
      code: 'BANYAN_TOKEN_LOST',
    })
    await clock.settle(router.close())
  })

  test('is known, too, where only the coordinator tells of the other one', async () => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const coordinator = await openCoordinator('memory:', { runtime })
    const { world, router, b, c, old } = await fork(runtime, coordinator)
    await clock.settle(router.close())
    leadApart(world, c)
    b.rebuild(c)
    await using late = routerOf(world.servers, runtime, { ...OPTIONS, coordinator })
    await clock.advance('3s')
    expect(late.state.problem).toContain('the coordinator says that b leads, on timeline 2')
    await expect(
      clock.settle(late.read((db) => db.has('x4'), { after: old, prefer: 'follower' })),
    ).rejects.toMatchObject({ code: 'BANYAN_TOKEN_LOST' })
    // Which of them it is to be, an operator says.
    await expect(clock.settle(promoteReplica(coordinator, late, { to: 'c' }))).rejects.toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
    })
    await clock.settle(promoteReplica(coordinator, late, { to: 'c', force: true }))
    await clock.advance('1s')
    expect(await clock.settle(late.write((db) => db.add('w')))).toMatchObject({ node: 'c' })
  })
})

describe('a coordinator that knows of something else', () => {
  const record = (runtime: VirtualRuntime, says: Partial<LeaderRecord>): string =>
    valueOf({
      ...{ kind: 'leading', cluster: 'c1', node: 'a', timeline: 1, since: runtime.clock.wall() },
      ...{ ttl: 2000, ancestors: [], ...says },
    })

  test.each<[string, Partial<LeaderRecord>, string]>([
    ['of another cluster', { cluster: 'c0' }, 'as cluster c0'],
    ['of another cluster that was further', { cluster: 'c0', timeline: 5 }, 'as cluster c0'],
    ['of another ttl', { ttl: 9000 }, 'have the ttl 9s'],
    ['of a server that went by another name', { node: 'old-a' }, 'that old-a leads'],
  ])('%s: nobody writes, and why is said, until an operator replaces it', async (_, says, why) => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const world = new ReplicaWorld(['a', 'b'], clock, runtime.random)
    const coordinator = await openCoordinator('memory:', { runtime })
    await coordinator.put(recordKey('main'), record(runtime, says))
    await using router = routerOf(world.servers, runtime, { ...OPTIONS, coordinator })
    await clock.advance('5s')
    expect(router.state.problem).toContain(why)
    expect(router.state.problem).toContain('promote a by force')
    await expect(clock.settle(router.write((db) => db.add('x')))).rejects.toMatchObject({
      code: 'BANYAN_LEADER_UNKNOWN',
    })
    // Reads do without.
    expect(await clock.settle(router.read(() => 1))).toMatchObject({ node: 'b' })
    await expect(clock.settle(promoteReplica(coordinator, router, { to: 'a' }))).rejects.toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
      message: expect.stringContaining('`force` replaces it') as string,
    })
    const begun = clock.now()
    expect(await clock.settle(promoteReplica(coordinator, router, { to: 'a', force: true }))).toMatchObject({
      to: 'a',
      timeline: 1,
      lostBytes: 0,
    })
    expect(clock.now() - begun).toBeGreaterThanOrEqual(says.ttl ?? 2000)
    expect(recordIn((await coordinator.get(recordKey('main')))!)).toMatchObject({
      ...{ kind: 'leading', cluster: 'c1', node: 'a', timeline: 1, ttl: 2000 },
    })
    await clock.advance('1s')
    expect(await clock.settle(router.write((db) => db.add('x')))).toMatchObject({ node: 'a' })
  })

  test('of a timeline that no server has: it is said whose word that is', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    const coordinator = await openCoordinator('memory:', { runtime })
    await coordinator.put(recordKey('main'), record(runtime, { node: 'b', timeline: 4 }))
    await using router = routerOf(world.servers, runtime, { ...OPTIONS, coordinator })
    await runtime.clock.advance('5s')
    expect(router.state.problem).toBe(
      'no server leads timeline 4, which b leads by the word of the coordinator',
    )
  })

  test('of which cluster, counts where as many servers are of one as of another', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    Object.assign(world.get('b'), { cluster: 'c2', role: 'leader' })
    const coordinator = await openCoordinator('memory:', { runtime })
    await coordinator.put(recordKey('main'), record(runtime, {}))
    await using router = routerOf(world.servers, runtime, { ...OPTIONS, coordinator })
    await runtime.clock.advance('5s')
    expect(router.state).toMatchObject({ cluster: 'c1', leader: 'a' })
  })
})

describe('two operators at once', () => {
  test('who was overtaken looks once more right before the follower takes over, and gives up', async () => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const world = new ReplicaWorld(['a', 'b', 'c'], clock, runtime.random)
    const coordinator = await openCoordinator('memory:', { runtime })
    await using router = routerOf(world.servers, runtime, { ...OPTIONS, coordinator })
    await clock.advance('1s')
    world.get('a').crash()
    await clock.advance('1s')
    const b = world.get('b')
    const promote = b.promote.bind(b)
    // It reaches its server only when somebody else has taken over, as a process that stood still.
    b.promote = async (permit) => {
      await sleeping
      return promote(permit)
    }
    let wake: () => void
    const sleeping = new Promise<void>((resolve) => (wake = resolve))
    const first = promoteReplica(coordinator, router, { to: 'b', force: true }).catch(
      (error: unknown) => error,
    )
    await clock.advance('3s')
    const other = await clock.settle(promoteReplica(coordinator, router, { to: 'c', force: true }))
    expect(other).toMatchObject({ to: 'c', timeline: 2 })
    wake!()
    expect(await clock.settle(first)).toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED' })
    expect(b.role).toBe('follower')
    await clock.advance('1s')
    expect(router.state).toMatchObject({ leader: 'c', timeline: 2 })
  })
})

describe('a token of a timeline that this router has not seen yet', () => {
  test.each(['follower', 'leader'] as const)('is waited for (prefer: %s)', async (prefer) => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const world = new ReplicaWorld(['a', 'b'], clock, runtime.random)
    await using router = routerOf(world.servers, runtime, { ...OPTIONS, interval: '10s', wait: '1s' })
    await clock.advance('1s')
    await clock.settle(world.get('b').promote())
    const after = tokenOf({ cluster: 'c1', timeline: 2, position: 0n })
    expect(await clock.settle(router.read(() => 1, { after, prefer }))).toMatchObject({ node: 'b' })
    const begun = clock.now()
    const ahead = tokenOf({ cluster: 'c1', timeline: 9, position: 0n })
    await expect(clock.settle(router.read(() => 1, { after: ahead, prefer }))).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_BEHIND',
    })
    expect(clock.now() - begun).toBeGreaterThanOrEqual(1000)
  })
})

test('what is routed is counted by who served it and why, what fails by its code, and servers have gauges', async () => {
  const { telemetry, counts } = recordingTelemetry()
  const gauges = new Map<string, () => number>()
  const shows: Telemetry = {
    ...telemetry,
    gauge: (name, { attributes = {} }, read) => {
      const key = [name, ...Object.values(attributes)].join(' ')
      gauges.set(key, read)
      return () => void gauges.delete(key)
    },
  }
  const runtime = virtualRuntime({ telemetry: shows })
  const { clock } = runtime
  const world = new ReplicaWorld(['a', 'b'], clock, runtime.random)
  const router = routerOf(world.servers, runtime, OPTIONS)
  await clock.advance('1s')
  const { token } = await clock.settle(router.write((db) => db.add('x')))
  const read = (options: ReplicaReadOptions) => clock.settle(router.read(() => 1, options))
  await read({})
  await read({ prefer: 'leader' })
  await read({ after: token })
  const waiting = router.read(() => 1, { after: token, wait: '5s' })
  await clock.advance('1s')
  expect(gauges.get('banyan.replicas.lag.bytes main b')!()).toBe(1)
  world.get('b').follow(1, 1)
  await clock.settle(waiting)
  world.get('b').crash()
  await clock.advance('1s')
  await read({ after: token })
  await expect(read({ fallback: 'refuse' })).rejects.toMatchObject({ code: 'BANYAN_FOLLOWER_BEHIND' })
  await expect(read({ after: 'x' })).rejects.toMatchObject({ code: 'BANYAN_INVALID_TOKEN' })
  expect(Object.fromEntries(counts)).toEqual({
    'banyan.replicas.writes{banyan.replicas.node=a,banyan.replicas=main}': 1,
    'banyan.replicas.reads{banyan.replicas.node=b,banyan.replicas=main,banyan.why=fresh}': 1,
    'banyan.replicas.reads{banyan.replicas.node=a,banyan.replicas=main,banyan.why=preferred}': 1,
    'banyan.replicas.reads{banyan.replicas.node=a,banyan.replicas=main,banyan.why=behind}': 1,
    'banyan.replicas.reads{banyan.replicas.node=b,banyan.replicas=main,banyan.why=waited}': 1,
    'banyan.replicas.reads{banyan.replicas.node=a,banyan.replicas=main,banyan.why=alone}': 1,
    'banyan.replicas.wait{banyan.replicas=main}': 2,
    'banyan.replicas.failures{banyan.mode=read,banyan.replicas=main,error.type=BANYAN_FOLLOWER_BEHIND}': 1,
  })
  expect(gauges.get('banyan.replicas.leader main')!()).toBe(1)
  expect(gauges.get('banyan.replicas.healthy main b')!()).toBe(0)
  await clock.settle(router.close())
  expect(gauges.size).toBe(0)
})
