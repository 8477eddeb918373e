import {
  forceUnlock,
  lock,
  lockAll,
  readLocks,
  readSemaphores,
  readWriteLock,
  semaphore,
  type AcquireOptions,
  type Coordinator,
  type Held,
  type Lock,
} from '../../src/coordination/index.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { BanyanError } from '../../src/core/errors.js'
import { memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { wrapDriver } from '../../src/testing/coordination/kit.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { Arena, type Believer } from './arena.js'

/** What is contended for. */
export type Contended = 'lock' | 'read-write lock' | 'semaphore' | 'forced lock' | 'two locks at once'

const NODES = 4
const PERMITS = 2
const TTL = '2s'
const AGAIN = 2

/**
 * Nodes that acquire something, work with it, and give it back, over an engine that cannot be relied on, with clocks at other
 * speeds; some give up waiting. In the end everybody has had it, and nothing is left.
 */
export async function contention(world: World, contended: Contended): Promise<void> {
  const { random } = world
  const memory = memoryCoordinator({ clock: world.clock })
  const engine = world.coordination(random.chance(0.5) ? inOneStep(memory) : memory)
  const permits = contended === 'semaphore' ? PERMITS : 1
  const arenas = Array.from(
    { length: contended === 'two locks at once' ? 2 : 1 },
    () => new Arena(world, { permits, forced: contended === 'forced lock' }),
  )
  const faults = {
    cut: random.pick([0, 0.01, 0.05]),
    cutTime: '4s' as const,
    // At times too slow for the lease.
    delay: random.pick(['20ms', '20ms', '20ms', '600ms'] as const),
  }
  let isOver = false
  const done = new Set<string>()
  for (let number = 0; number < NODES; number++) {
    const name = `node-${number}`
    // Twice as fast or slow is what leases are made for; there no margin is left.
    const clockRate = random.pick([1, 1, 0.55 + random.below(400) / 1000, 1 + random.below(950) / 1000])
    world.node(
      name,
      async (node) => {
        for (const arena of arenas) arena.crashed(name)
        const coordinator = node.coordinate(engine, faults)
        const ways = waysOf(coordinator, contended, name, arenas)
        while (!isOver) {
          const way = random.pick(ways)
          const all = await attempt(node, world, way)
          await Promise.all(all.map((held, index) => use(node, world, way.arenas[index]!, held, way.kind)))
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
  for (const { had } of arenas) {
    const before = new Map(had)
    await world.calm(
      () =>
        Array.from({ length: NODES }, (_, number) => `node-${number}`).every(
          (name) => (had.get(name) ?? 0) >= (before.get(name) ?? 0) + AGAIN,
        ),
      '3m',
    )
  }
  isOver = true
  await world.calm(() => done.size === NODES, '3m')
  await world.calm(async () => {
    const left = [...(await readLocks(engine.truth)), ...(await readSemaphores(engine.truth))]
    return left.length === 0
  }, '1m')
}

/** A way to have something, or several things at once. */
interface Way {
  readonly kind: Believer['kind']
  /** One for each of what it is about. */
  readonly arenas: readonly Arena[]
  readonly acquire: (options?: AcquireOptions) => Promise<readonly Held[]>
  readonly tryAcquire: (options: AcquireOptions) => Promise<readonly Held[]>
}

function waysOf(
  coordinator: Coordinator,
  contended: Contended,
  holder: string,
  arenas: readonly Arena[],
): readonly Way[] {
  const options = { ttl: TTL, holder } as const
  const way = (mutex: Lock, arena = arenas[0]!, kind: Believer['kind'] = 'alone'): Way => ({
    kind,
    arenas: [arena],
    acquire: async (how) => [await mutex.acquire(how)],
    tryAcquire: async (how) => {
      const held = await mutex.tryAcquire(how)
      return held ? [held] : []
    },
  })
  if (contended === 'semaphore') return [way(semaphore(coordinator, 'x', { ...options, permits: PERMITS }))]
  if (contended === 'read-write lock') {
    const { read, write } = readWriteLock(coordinator, 'x', options)
    return [way(read, arenas[0], 'shared'), way(write)]
  }
  const x = lock(coordinator, 'x', options)
  if (contended !== 'two locks at once') return [way(x)]
  const y = lock(coordinator, 'y', options)
  const both = (...locks: Lock[]): Way => {
    const acquire = async (how?: AcquireOptions): Promise<readonly Held[]> => {
      const { byName } = await lockAll(locks, how)
      return [byName.get('x')!, byName.get('y')!]
    }
    return { kind: 'alone', arenas, acquire, tryAcquire: acquire }
  }
  return [way(x), way(y, arenas[1]), both(x, y), both(y, x)]
}

/** An engine that sets a key and reads the line in one step. */
function inOneStep(driver: CoordinatorDriver): CoordinatorDriver {
  return wrapDriver(driver, {
    putAndList: async (key, value, expected, lease, prefix) => ({
      put: await driver.put(key, value, expected, lease),
      listing: await driver.list(prefix),
    }),
  })
}

/** Some wait as long as it takes, some do not. */
async function attempt(
  node: SimulatedNode,
  world: World,
  { acquire, tryAcquire }: Way,
): Promise<readonly Held[]> {
  const { random } = world
  try {
    const way = random.below(10)
    if (way < 5)
      return await acquire().catch((error: unknown) => {
        throw new Error(`${node.name} was to wait as long as it takes: ${String(error)}`)
      })
    if (way < 8) return await acquire({ timeout: random.below(3000) })
    if (way < 9) return await tryAcquire({ timeout: '3s' })
    const stop = new AbortController()
    const { clock } = node.runtime
    const timer = clock.schedule(clock.now() + random.below(1000), () =>
      stop.abort(new BanyanError('BANYAN_LOCK_TIMEOUT', 'not wanted any more')),
    )
    try {
      return await acquire({ signal: stop.signal })
    } finally {
      timer.cancel()
    }
  } catch (error) {
    letPass(error)
    return []
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
