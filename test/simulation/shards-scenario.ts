import {
  drainWorker,
  joinShards,
  mergeShard,
  moveShard,
  pauseShards,
  readShards,
  resumeShards,
  splitShard,
  unpinShard,
  type OwnedBucket,
  type ShardWorker,
} from '../../src/coordination/index.js'
import { isExpected } from '../../src/coordination/driver.js'
import type { Entry } from '../../src/coordination/coordinator.js'
import { BucketClaim } from '../../src/coordination/sharding/map/claim.js'
import { shardKeys } from '../../src/coordination/sharding/map/keys.js'
import { Ownership } from '../../src/coordination/sharding/map/owned-bucket.js'
import { overlap } from '../../src/coordination/sharding/map/layout.js'
import { BanyanError } from '../../src/core/errors.js'
import { memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { wrapDriver } from '../../src/testing/coordination/kit.js'
import type { World } from '../../src/testing/index.js'

/** What goes on beside workers that come and go. */
export type Bustle = 'nothing else' | 'loads that change' | 'an operator'

const NODES = 4
const BUCKETS = 6
const TTL = '2s'

/**
 * Workers of one map, over an engine that cannot be relied on, with clocks at other speeds: they crash, stand still, leave and come
 * back, and their work goes on after its end for a while. In the end every bucket is owned, and everybody has its part.
 */
export async function sharing(world: World, bustle: Bustle): Promise<void> {
  const { random } = world
  const faults = {
    cut: random.pick([0, 0.01, 0.05]),
    cutTime: '4s' as const,
    // At times too slow for the lease.
    delay: random.pick(['20ms', '20ms', '20ms', '600ms'] as const),
  }
  let violation: Error | undefined
  const ground = new Ground((problem) => (violation ??= new Error(problem)))
  const memory = memoryCoordinator({ clock: world.clock })
  const engine = world.coordination(
    wrapDriver(memory, {
      delete(key, expected) {
        const entry = key.includes('/owned/') ? (memory.get(key) as Entry | undefined) : undefined
        if (entry && isExpected(expected, entry)) ground.deleted(entry.revision)
        return memory.delete(key, expected)
      },
    }),
  )
  const workers = new Map<string, ShardWorker>()
  const done = new Set<string>()
  let [isCalm, isOver] = [false, false]
  for (let number = 0; number < NODES; number++) {
    const name = `node-${number}`
    const clockRate = random.pick([1, 1, 0.55 + random.below(400) / 1000, 1 + random.below(950) / 1000])
    world.node(
      name,
      async (node) => {
        ground.crashed(name)
        const coordinator = node.coordinate(engine, faults)
        for (;;) {
          const worker = joinShards(coordinator, 'x', {
            buckets: BUCKETS,
            worker: name,
            ttl: TTL,
            settle: '500ms',
            tolerance: bustle === 'loads that change' ? 0.3 : 0,
            movesAtOnce: 2,
            backoff: { base: '50ms', max: '500ms' },
            ...(bustle === 'loads that change' && {
              load: () => 1 + random.below(isCalm ? 2 : 10),
              reportEvery: '500ms' as const,
            }),
            own: async (owned) => {
              ground.comes(name, owned)
              try {
                while (!owned.signal.aborted) {
                  if (!owned.held) break
                  await owned.guard(async () => {
                    ground.look()
                    await node.sleep(random.below(500))
                  })
                  if (random.chance(0.02) && !isCalm) throw new BanyanError('BANYAN_LOCK_TIMEOUT', 'failed')
                }
                // Some work goes on for a while when it should have ended, but does nothing that only an owner may.
                if (random.chance(0.3)) await node.sleep(random.below(3000))
              } catch (error) {
                if (!(error instanceof BanyanError)) violation ??= error as Error
                throw error
              } finally {
                ground.goes(owned)
              }
            },
          })
          workers.set(name, worker)
          worker.on('change', ({ kind, bucket, epoch }) => {
            node.note(`${kind} ${bucket} at ${epoch}`)
            if (kind === 'owned') for (const each of worker.owned) ground.believes(name, each)
            ground.look()
          })
          while (!isOver && !(random.chance(0.05) && !isCalm)) await node.sleep(random.below(2000))
          if (!isOver && random.chance(0.3)) {
            const enough = new AbortController()
            void node.sleep(5000).then(() => enough.abort())
            await worker.drain({ signal: enough.signal }).catch(() => undefined)
          }
          await worker.close()
          if (isOver) break
        }
        await coordinator.close()
        done.add(name)
      },
      { clockRate },
    )
  }
  if (bustle === 'an operator')
    world.node('operator', async (node) => {
      const coordinator = node.coordinate(engine, faults)
      while (!isCalm) {
        await node.sleep(random.below(3000))
        const leaf = random.pick(['0', '1', '1/0', '1/1', '1/1/0', '2', '5'])
        const worker = `node-${random.below(NODES)}`
        const asked = random.pick([
          () => moveShard(coordinator, 'x', leaf, worker, { replace: random.chance(0.5) }),
          () => unpinShard(coordinator, 'x', leaf),
          () => splitShard(coordinator, 'x', random.pick(['1', '1/1', '2'])),
          () => splitShard(coordinator, 'x', random.pick(['1', '1/1', '2'])),
          () => mergeShard(coordinator, 'x', random.pick(['1', '1/1', '2'])),
          () => drainWorker(coordinator, 'x', worker, { undo: random.chance(0.5) }),
          () => pauseShards(coordinator, 'x'),
          () => resumeShards(coordinator, 'x'),
        ])
        await asked().catch(letPass)
      }
    })
  await world.storm(`${1 + random.below(30)}s`)
  isCalm = true
  const calm = (isDone: () => boolean | Promise<boolean>, within: '1m' | '3m'): Promise<void> =>
    world.calm(() => {
      if (violation) throw violation
      return isDone()
    }, within)
  if (bustle === 'an operator') {
    await world.calm(async () => (await readShards(engine.truth)).length > 0)
    await resumeShards(engine.truth, 'x')
    for (const worker of workers.keys())
      await drainWorker(engine.truth, 'x', worker, { undo: true }).catch(letPass)
  }
  await calm(async () => {
    const { owners, workers: all, unowned } = await readShards(engine.truth, 'x')
    return unowned === 0 && all.length === NODES && owners.every(isAtTarget)
  }, '3m')
  if (bustle === 'nothing else')
    await calm(() => {
      const counts = Array.from(workers.values(), ({ owned }) => owned.length).sort()
      return counts.join() === '1,1,2,2'
    }, '1m')
  await calm(async () => {
    const held = [...workers.values()].flatMap(({ owned }) => owned.map(({ bucket }) => bucket))
    const { owners } = await readShards(engine.truth, 'x')
    const leaves = owners.map(({ bucket }) => bucket)
    return held.sort().join() === leaves.sort().join()
  }, '1m')
  isOver = true
  await calm(() => done.size === NODES, '3m')
  await calm(async () => {
    const { entries } = await engine.truth.list('banyan/shards/x/')
    return entries.every(({ key }) => /\/(?:map|plan|wishes)$/.test(key))
  }, '1m')
}

/**
 * Nodes that claim a bucket and parts of it without any plan, as those might who follow plans of different times: no key has two
 * owners all the same.
 */
export async function claiming(world: World): Promise<void> {
  const { random } = world
  const engine = world.coordination()
  const keys = shardKeys('x')
  let violation: Error | undefined
  const ground = new Ground((problem) => (violation ??= new Error(problem)))
  let [isCalm, taken] = [false, 0]
  const done = new Set<string>()
  for (let number = 0; number < NODES; number++)
    world.node(`node-${number}`, async (node) => {
      ground.crashed(node.name)
      const coordinator = node.coordinate(engine, { cut: random.pick([0, 0.02]), cutTime: '1s' })
      while (!isCalm) {
        const lease = await coordinator.session(TTL).lease()
        const bucket = random.pick(['1', '1/0', '1/1', '1/1/0', '10'])
        const claim = new BucketClaim(coordinator, keys, node.name, bucket, lease)
        const epoch = await claim.take(lease.signal, () => false)
        if (epoch !== undefined && lease.held) {
          taken++
          ground.believes(node.name, new Ownership('x', bucket, epoch, 0, lease))
          await node.sleep(random.below(100))
          ground.gone(epoch)
        }
        await claim.release()
        if (random.chance(0.5)) await node.sleep(random.below(20))
      }
      await coordinator.close()
      done.add(node.name)
    })
  await world.storm('10s')
  isCalm = true
  await world.calm(() => done.size === NODES)
  if (violation) throw violation
  if (taken < 10) throw new Error(`only ${taken} claims have come to something`)
  await world.calm(async () => (await engine.truth.list(keys.prefix)).entries.length === 0)
}

const isAtTarget = ({
  worker,
  target,
}: {
  worker: string | undefined
  target: string | undefined
}): boolean => worker === target

/** Who believes to have what, and whose work goes on. */
class Ground {
  readonly #violated: (problem: string) => void
  readonly #believers = new Map<OwnedBucket, string>()
  /** Work that has not ended, by epoch. */
  readonly #working = new Map<number, string>()
  /** The highest epoch of each bucket. */
  readonly #epochs = new Map<string, number>()

  constructor(violated: (problem: string) => void) {
    this.#violated = violated
  }

  crashed(node: string): void {
    for (const [owned, name] of this.#believers) if (name === node) this.#believers.delete(owned)
    for (const [epoch, name] of this.#working) if (name === node) this.#working.delete(epoch)
  }

  believes(node: string, owned: OwnedBucket): void {
    if (this.#believers.has(owned)) return
    for (const [bucket, epoch] of this.#epochs)
      if (overlap(bucket, owned.bucket) && epoch >= owned.epoch)
        this.#violated(
          `${node} has ${owned.bucket} at ${owned.epoch}, and ${bucket} was had at ${epoch} before`,
        )
    this.#epochs.set(owned.bucket, owned.epoch)
    this.#believers.set(owned, node)
    this.look()
  }

  comes(node: string, owned: OwnedBucket): void {
    this.believes(node, owned)
    this.#working.set(owned.epoch, node)
  }

  goes(owned: OwnedBucket): void {
    this.#working.delete(owned.epoch)
  }

  /** It is given back, before its key is. */
  gone(epoch: number): void {
    for (const owned of this.#believers.keys()) if (owned.epoch === epoch) this.#believers.delete(owned)
  }

  /** The key of that epoch is deleted: its work must have ended. */
  deleted(epoch: number): void {
    const node = this.#working.get(epoch)
    if (node !== undefined)
      this.#violated(`${node} gives back the bucket of ${epoch}, and its work has not ended`)
  }

  /** Whether no key has two who believe to have it at this moment. */
  look(): void {
    const now = [...this.#believers].filter(([owned]) => {
      if (!owned.held) this.#believers.delete(owned)
      return owned.held
    })
    for (const [index, [a, nodeA]] of now.entries())
      for (const [b, nodeB] of now.slice(index + 1))
        if (overlap(a.bucket, b.bucket))
          this.#violated(
            `${nodeA} has ${a.bucket} at ${a.epoch} and ${nodeB} has ${b.bucket} at ${b.epoch}, at the same time`,
          )
  }
}

/** What goes wrong on the way is tried again. */
function letPass(error: unknown): void {
  if (!(error instanceof BanyanError)) throw error
}
