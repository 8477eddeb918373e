import {
  lock,
  readLocks,
  readSemaphores,
  readWriteLock,
  semaphore,
  type Held,
  type Lock,
} from '../../src/coordination/index.js'
import { forceUnlock } from '../../src/coordination/index.js'
import { BanyanError } from '../../src/core/errors.js'
import type { Coordinator } from '../../src/coordination/index.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { Arena, type Believer } from './arena.js'

/** What is contended for. */
export type Contended = 'lock' | 'read-write lock' | 'semaphore' | 'forced lock'

const NODES = 4
const PERMITS = 2
const TTL = '2s'
const AGAIN = 2

/**
 * Nodes that acquire something, work with it, and give it back, over an engine that cannot be relied on, with clocks at other
 * speeds; some give up waiting. In the end everybody has had it, and nothing is left.
 */
export async function contention(world: World, contended: Contended): Promise<void> {
  const engine = world.coordination()
  const { random } = world
  const permits = contended === 'semaphore' ? PERMITS : 1
  const arena = new Arena(world, { permits, forced: contended === 'forced lock' })
  const faults = { cut: random.pick([0, 0.01, 0.05]), cutTime: '4s' as const }
  let isOver = false
  const done = new Set<string>()
  for (let number = 0; number < NODES; number++) {
    const name = `node-${number}`
    // Twice as fast or slow is what leases are made for; there no margin is left.
    const clockRate = random.pick([1, 1, 0.55 + random.below(400) / 1000, 1 + random.below(950) / 1000])
    world.node(
      name,
      async (node) => {
        arena.crashed(name)
        const coordinator = node.coordinate(engine, faults)
        const kinds = kindsOf(coordinator, contended, name)
        while (!isOver) {
          const { kind, mutex } = random.pick(kinds)
          const held = await attempt(node, world, mutex)
          if (held) await use(node, world, arena, held, kind)
          await node.sleep(random.below(50))
        }
        await coordinator.close()
        done.add(name)
      },
      { clockRate },
    )
  }
  if (contended === 'forced lock')
    world.node('operator', async (node) => {
      const coordinator = node.coordinate(engine, faults)
      while (!isOver) {
        await node.sleep(random.below(5000))
        await forceUnlock(coordinator, 'x').catch(letPass)
      }
    })
  await world.storm(`${1 + random.below(20)}s`)
  const before = new Map(arena.had)
  await world.calm(
    () =>
      Array.from({ length: NODES }, (_, number) => `node-${number}`).every(
        (name) => (arena.had.get(name) ?? 0) >= (before.get(name) ?? 0) + AGAIN,
      ),
    '3m',
  )
  isOver = true
  await world.calm(() => done.size === NODES, '3m')
  await world.calm(async () => {
    const left = [...(await readLocks(engine.truth)), ...(await readSemaphores(engine.truth))]
    return left.length === 0
  }, '1m')
}

function kindsOf(
  coordinator: Coordinator,
  contended: Contended,
  holder: string,
): { kind: Believer['kind']; mutex: Lock }[] {
  const options = { ttl: TTL, holder } as const
  if (contended === 'semaphore')
    return [{ kind: 'alone', mutex: semaphore(coordinator, 'x', { ...options, permits: PERMITS }) }]
  if (contended !== 'read-write lock') return [{ kind: 'alone', mutex: lock(coordinator, 'x', options) }]
  const { read, write } = readWriteLock(coordinator, 'x', options)
  return [
    { kind: 'shared', mutex: read },
    { kind: 'alone', mutex: write },
  ]
}

/** Some wait as long as it takes, some do not. */
async function attempt(node: SimulatedNode, world: World, mutex: Lock): Promise<Held | undefined> {
  const { random } = world
  try {
    const way = random.below(10)
    if (way < 5) return await mutex.acquire()
    if (way < 8) return await mutex.acquire({ timeout: random.below(3000) })
    if (way < 9) return await mutex.tryAcquire({ timeout: '3s' })
    const stop = new AbortController()
    const { clock } = node.runtime
    const timer = clock.schedule(clock.now() + random.below(1000), () =>
      stop.abort(new BanyanError('BANYAN_LOCK_TIMEOUT', 'not wanted any more')),
    )
    try {
      return await mutex.acquire({ signal: stop.signal })
    } finally {
      timer.cancel()
    }
  } catch (error) {
    letPass(error)
    return undefined
  }
}

async function use(
  node: SimulatedNode,
  world: World,
  arena: Arena,
  held: Held,
  kind: Believer['kind'],
): Promise<void> {
  const believer: Believer = { node: node.name, token: held.token, kind, believes: () => held.held }
  node.note(`holds it with token ${held.token}, ${kind}`)
  arena.comes(believer)
  try {
    for (let step = world.random.below(4); step > 0; step--) {
      held.check()
      arena.look()
      arena.write(believer)
      await node.sleep(world.random.below(400))
    }
    held.check()
    node.note(`gives ${held.token} back`)
  } catch (error) {
    letPass(error)
    node.note(`has lost ${held.token}`)
  }
  const released = held.release()
  if (held.held) throw new Error(`${node.name} believes to hold what it has released`)
  arena.goes(believer)
  await released
}

/** What goes wrong on the way is tried again. */
function letPass(error: unknown): void {
  if (!(error instanceof BanyanError)) throw error
}
