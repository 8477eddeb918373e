import { describe, expect, test } from 'vitest'
import { sleep } from '../../src/core/clock.js'
import { seededRandom } from '../../src/core/random.js'
import { openCoordinator, promoteReplica, type Coordinator } from '../../src/coordination/index.js'
import { NodeFault } from '../../src/coordination/replication/node.js'
import { placeOf, tokenOf } from '../../src/coordination/replication/token.js'
import { Timelines } from '../../src/coordination/replication/timelines.js'
import { virtualRuntime } from '../../src/testing/virtual-clock.js'
import { SEED, times } from '../support/effort.js'
import { ReplicaWorld, routerOf } from '../support/replica-world.js'

const EXPECTED = new Set([
  ...['BANYAN_REPLICA_LOST', 'BANYAN_OUTCOME_UNKNOWN', 'BANYAN_LEADER_UNKNOWN'],
  ...['BANYAN_FOLLOWER_BEHIND', 'BANYAN_TOKEN_LOST'],
])

/** Any order of crashes, promotions, restarts and repairs. */
async function simulate(seed: number, tells: boolean): Promise<{ served: number; lost: number }> {
  const runtime = virtualRuntime({ seed })
  const random = seededRandom(seed)
  const world = new ReplicaWorld(['a', 'b', 'c'], runtime.clock, random, tells)
  const router = routerOf(world.servers, runtime, {
    interval: 20,
    wait: 50,
    failover: 200,
    fence: random.next() < 0.5,
  })
  const pick = () => [...world.servers.values()][Math.floor(random.next() * 3)]!
  const acknowledged: { id: string; token: string }[] = []
  const count = { served: 0, lost: 0 }
  const expected = (error: unknown): void => {
    const { code } = error as { code: string }
    if (!EXPECTED.has(code)) throw error
  }
  let ended = false

  const disturb = async (): Promise<void> => {
    for (let step = 0; step < 40; step++) {
      await sleep(runtime.clock, random.next() * 60)
      const server = pick()
      const { leader } = world
      switch (Math.floor(random.next() * 6)) {
        case 0:
          server.crash()
          break
        case 1:
          if (!server.up) server.restart()
          break
        case 2:
          // Whoever is promoted knows which timelines there were, as with an archive that all share.
          if (server.up && server.role === 'follower' && (!leader?.up || random.next() < 0.2))
            await server.promote().catch(() => undefined)
          break
        case 3:
          if (leader?.up && server !== leader) server.upstream = leader.place
          break
        case 4:
          if (leader?.up && server !== leader) server.rebuild(leader)
          break
      }
    }
    for (const server of world.servers.values()) if (!server.up) server.restart()
    ended = true
  }
  const replicate = async (): Promise<void> => {
    while (!ended) {
      for (const server of world.servers.values())
        server.follow(Math.floor(random.next() * 4), Math.floor(random.next() * 4))
      await sleep(runtime.clock, 5)
    }
  }
  const write = async (writer: number): Promise<void> => {
    for (let number = 0; !ended; number++) {
      const id = `${writer}.${number}`
      const known = router.state.timeline ?? 0
      await router
        .write((db) => db.add(id))
        .then(({ token }) => {
          expect(placeOf(token).timeline).toBeGreaterThanOrEqual(known)
          acknowledged.push({ id, token })
        }, expected)
      await sleep(runtime.clock, random.next() * 10)
    }
  }
  const read = async (): Promise<void> => {
    while (!ended) {
      const last = acknowledged.length - 1
      const recent = acknowledged[Math.max(0, last - Math.floor(random.next() ** 3 * 40))]
      if (recent) {
        const { id, token } = recent
        await router
          .read((db) => db.has(id), { after: token, fallback: random.next() < 0.5 ? 'leader' : 'refuse' })
          .then(
            ({ result }) => {
              if (!result) throw new Error(`stale: ${id} after ${token}`)
              count.served++
            },
            (error: unknown) => {
              expected(error)
              if ((error as { code: string }).code !== 'BANYAN_TOKEN_LOST') return
              count.lost++
              const { leader } = world
              const isThere = leader?.log.some((entry) => entry.id === id)
              if (tells && router.state.timeline === world.newest && isThere)
                throw new Error(`said to be lost, and there: ${id} after ${token}`)
            },
          )
      }
      await sleep(runtime.clock, random.next() * 10)
    }
  }
  await runtime.clock.settle(
    Promise.all([disturb(), replicate(), write(1), write(2), read(), read(), read()]),
  )
  await runtime.clock.settle(router.close())
  return count
}

describe('routing to replicas, on virtual time', () => {
  test.each([true, false])(
    'no read is stale against a token, whatever happens (histories told: %s)',
    async (tells) => {
      const total = { served: 0, lost: 0 }
      for (let seed = SEED; seed < SEED + times(40); seed++) {
        try {
          const { served, lost } = await simulate(seed, tells)
          total.served += served
          total.lost += lost
        } catch (error) {
          throw new Error(`BANYAN_SEED=${seed}`, { cause: error })
        }
      }
      expect(total.served).toBeGreaterThan(0)
      expect(total.lost).toBeGreaterThan(0)
    },
  )

  test('two that lead one timeline: nobody writes, also when one of them goes away', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b', 'c'], runtime.clock, runtime.random)
    await using router = routerOf(world.servers, runtime, { failover: 500 })
    await runtime.clock.advance(300)
    world.get('a').crash()
    // Neither has heard of the other.
    for (const name of ['b', 'c']) Object.assign(world.get(name), { role: 'leader', timeline: 2 })
    await runtime.clock.advance(500)
    expect(router.state.problem).toContain('b and c both lead timeline 2')
    await expect(runtime.clock.settle(router.write((db) => db.add('x')))).rejects.toMatchObject({
      code: 'BANYAN_LEADER_UNKNOWN',
    })
    world.get('c').crash()
    await runtime.clock.advance(500)
    expect(router.state.leader).toBeUndefined()
  })

  test('more writes than the buffer holds fail at once while there is no leader; the others wait for the next', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    await using router = routerOf(world.servers, runtime, { buffer: 2, failover: '10s' })
    await runtime.clock.advance(300)
    world.get('a').crash()
    await runtime.clock.advance(300)
    const waiting = [router.write((db) => db.add('1')), router.write((db) => db.add('2'))]
    await expect(router.write((db) => db.add('3'))).rejects.toThrow('2 writes wait for one already')
    await runtime.clock.settle(world.get('b').promote())
    const written = await runtime.clock.settle(Promise.all(waiting))
    expect(written.map(({ node }) => node)).toEqual(['b', 'b'])
  })

  test('staleness is known though nothing is written, and grows while the leader is away', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    await using router = routerOf(world.servers, runtime)
    await runtime.clock.advance('1m')
    const fresh = await runtime.clock.settle(router.read((db) => db.has('x'), { maxStaleness: 300 }))
    expect(fresh.node).toBe('b')
    expect(fresh.staleness).toBeLessThan(300)
    world.get('a').crash()
    await runtime.clock.advance('1m')
    const old = await runtime.clock.settle(router.read((db) => db.has('x')))
    expect(old.staleness).toBeGreaterThanOrEqual(59_000)
    await expect(
      runtime.clock.settle(router.read((db) => db.has('x'), { maxStaleness: '10s' })),
    ).rejects.toMatchObject({ code: 'BANYAN_LEADER_UNKNOWN' })
  })

  test('thousands that wait for one follower cost one look at a time', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    let looks = 0
    const b = world.get('b')
    const look = b.look.bind(b)
    b.look = () => (looks++, look())
    await using router = routerOf(world.servers, runtime)
    const { token } = await runtime.clock.settle(router.write((db) => db.add('x')))
    looks = 0
    const reads = Array.from({ length: 2000 }, () =>
      router.read((db) => db.has('x'), { after: token, wait: '10s', fallback: 'refuse' }),
    )
    await runtime.clock.advance('1s')
    expect(looks).toBeLessThan(120)
    b.follow(1, 1)
    const served = await runtime.clock.settle(Promise.all(reads))
    expect(served.every(({ result, node }) => result && node === 'b')).toBe(true)
  })

  test('a follower that was too far behind takes reads again only when it is well within the limit', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    await using router = routerOf(world.servers, runtime, { maxLag: '2s', interval: 100 })
    const [a, b] = [world.get('a'), world.get('b')]
    const writing = async (seconds: number, behind: number): Promise<boolean> => {
      for (let turn = 0; turn < seconds * 10; turn++) {
        a.log.push({ timeline: 1, id: 'x' })
        a.replayed = a.log.length
        b.follow(Infinity, Math.max(0, a.log.length - behind * 10 - b.replayed))
        await runtime.clock.advance(100)
      }
      return router.state.nodes[1]!.healthy
    }
    expect(await writing(5, 1)).toBe(true)
    expect(await writing(5, 4)).toBe(false)
    expect(router.state.nodes[1]!.problem).toBe('it is too far behind')
    expect(await writing(5, 1.5)).toBe(false)
    expect(await writing(5, 0.5)).toBe(true)
  })
})

describe('a leader of which nobody can be sure', () => {
  const options = { ttl: '2s', interval: 100, failover: 50, fence: false } as const

  test('does not make what follows it fresh, when the coordinator was not heard for half the ttl', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    const coordinator = await openCoordinator('memory:', { runtime })
    await using router = routerOf(world.servers, runtime, { ...options, coordinator })
    await runtime.clock.advance('1s')
    const read = () => router.read(() => 1, { maxStaleness: '1s', wait: 0 })
    expect((await runtime.clock.settle(read())).node).toBe('b')
    coordinator.get = () => Promise.reject(new Error('cut off'))
    await runtime.clock.advance('5s')
    await expect(runtime.clock.settle(read())).rejects.toMatchObject({ code: 'BANYAN_LEADER_UNKNOWN' })
  })

  test('says of a commit that came after the promotion of another that it may be lost', async () => {
    const runtime = virtualRuntime()
    const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
    await using router = routerOf(world.servers, runtime, options)
    await runtime.clock.advance('1s')
    const a = world.get('a')
    const write = a.write.bind(a)
    a.write = async (admit, work, permit) => {
      const written = await write(admit, work, permit)
      await world.get('b').promote()
      await sleep(runtime.clock, 1000)
      return written
    }
    await expect(runtime.clock.settle(router.write((db) => db.add('x')))).rejects.toMatchObject({
      code: 'BANYAN_OUTCOME_UNKNOWN',
    })
  })

  test('stays fenced for who has taken a promotion over, when the first operator gives up', async () => {
    const runtime = virtualRuntime()
    const { clock } = runtime
    const world = new ReplicaWorld(['a', 'b'], clock, runtime.random)
    const [a, b] = [world.get('a'), world.get('b')]
    const coordinator = await openCoordinator('memory:', { runtime })
    await using router = routerOf(world.servers, runtime, { ...options, coordinator })
    await clock.advance('1s')
    await clock.settle(router.write((db) => db.add('x')))
    const first = promoteReplica(coordinator, router, { to: 'b', wait: '1s' })
    await Promise.all([
      expect(clock.settle(first)).rejects.toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED' }),
      sleep(clock, 500).then(async () => {
        const second = promoteReplica(coordinator, router, { to: 'b', wait: '10s' })
        await sleep(clock, 2000)
        expect(a.readOnly).toBe(true)
        b.follow(Infinity, Infinity)
        expect(await second).toMatchObject({ to: 'b', planned: true, lostBytes: 0 })
      }),
      clock.advance('8s'),
    ])
  })
})

test('a read that waits for a frozen follower is done elsewhere', async () => {
  const runtime = virtualRuntime()
  const world = new ReplicaWorld(['a', 'b'], runtime.clock, runtime.random)
  await using router = routerOf(world.servers, runtime, { answerWithin: '1s' })
  await runtime.clock.advance('1s')
  const b = world.get('b')
  const frozen = new AbortController()
  b.look = () => new Promise(() => undefined)
  b.read = () =>
    new Promise((_, reject) => {
      frozen.signal.addEventListener('abort', () => reject(new NodeFault('unsent', 'given up')))
    })
  b.abandon = () => frozen.abort()
  const asked = runtime.clock.now()
  const { node } = await runtime.clock.settle(router.read(() => 1))
  expect(node).toBe('a')
  expect(runtime.clock.now() - asked).toBeLessThan(2000)
})

describe('who promotes by force, on virtual time', () => {
  /** Where gets fail from some moment on. */
  const deaf = (coordinator: Coordinator): { coordinator: Coordinator; isDeaf: boolean } => {
    const ear = {
      isDeaf: false,
      coordinator: new Proxy(coordinator, {
        get: (target, name) => {
          if (name === 'get' && ear.isDeaf) return () => Promise.reject(new Error('cut off'))
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      }),
    }
    return ear
  }

  test('begins only when a router that hears nothing of it has stopped to write', async () => {
    for (let seed = SEED; seed < SEED + times(20); seed++) {
      const runtime = virtualRuntime({ seed })
      const { clock, random } = runtime
      const world = new ReplicaWorld(['a', 'b'], clock, random)
      const coordinator = await openCoordinator('memory:', { runtime })
      const ear = deaf(coordinator)
      const options = { ttl: '3s', failover: 50, fence: false } as const
      const router = routerOf(world.servers, runtime, { ...options, coordinator: ear.coordinator })
      await clock.advance('1s')
      // The operator reaches neither the old leader nor the router, which reaches the old leader.
      const cut = new ReplicaWorld(['a', 'b'], clock, random)
      cut.get('a').crash()
      const seen = new Map([
        ['a', cut.get('a')],
        ['b', world.get('b')],
      ])
      const operator = routerOf(seen, runtime, { ...options, coordinator })
      let promotedAt = Infinity
      let lastWrite = 0
      const writing = (async () => {
        while (promotedAt === Infinity) {
          await router
            .write((db) => db.add('x'))
            .then(
              () => (lastWrite = clock.now()),
              () => undefined,
            )
          await sleep(clock, random.next() * 100)
        }
      })()
      await clock.advance(random.next() * 3000)
      ear.isDeaf = true
      await clock.advance(random.next() * 500)
      const promote = world.get('b').promote.bind(world.get('b'))
      world.get('b').promote = () => {
        promotedAt = clock.now()
        return promote()
      }
      const promotion = await clock.settle(promoteReplica(coordinator, operator, { to: 'b', force: true }))
      await clock.settle(writing)
      expect(promotion).toMatchObject({ to: 'b', timeline: 2, planned: false })
      expect(lastWrite).toBeLessThan(promotedAt)
      await clock.settle(Promise.all([router.close(), operator.close(), coordinator.close()]))
    }
  })
})

test('a token comes back from its text as it was', () => {
  const random = seededRandom(SEED)
  for (let round = 0; round < 200; round++) {
    const position = BigInt(Math.floor(random.next() * 2 ** 48)) << BigInt(Math.floor(random.next() * 16))
    const place = { cluster: String(7e18 + round), timeline: 1 + Math.floor(random.next() * 1e6), position }
    expect(placeOf(tokenOf(place))).toEqual(place)
    expect(encodeURIComponent(tokenOf(place))).toBe(tokenOf(place))
  }
})

test('what is known of timelines is never more than what is so', () => {
  const random = seededRandom(SEED)
  for (let round = 0; round < times(200); round++) {
    // A tree of timelines, and some of what there is to know, in any order.
    const parents = new Map<number, { timeline: number; end: bigint }>()
    const start = new Map([[1, 0n]])
    for (let timeline = 2; timeline <= 8; timeline++) {
      const parent = 1 + Math.floor(random.next() * (timeline - 1))
      const end = start.get(parent)! + BigInt(Math.floor(random.next() * 10))
      parents.set(timeline, { timeline: parent, end })
      start.set(timeline, end)
    }
    const shared = (timeline: number, ancestor: number): bigint | undefined => {
      const parent = parents.get(timeline)
      if (!parent) return undefined
      if (parent.timeline === ancestor) return parent.end
      const older = shared(parent.timeline, ancestor)
      return older === undefined || older < parent.end ? older : parent.end
    }
    const timelines = new Timelines()
    for (let fact = 0; fact < 6; fact++) {
      const timeline = 2 + Math.floor(random.next() * 7)
      const parent = parents.get(timeline)!
      const lower = BigInt(Math.floor(random.next() * 3))
      timelines.learn(timeline, {
        timeline: parent.timeline,
        end: parent.end > lower ? parent.end - lower : 0n,
      })
    }
    for (let timeline = 2; timeline <= 8; timeline++)
      for (const { timeline: ancestor, end } of timelines.ancestors(timeline))
        expect(end).toBeLessThanOrEqual(shared(timeline, ancestor)!)
  }
})
