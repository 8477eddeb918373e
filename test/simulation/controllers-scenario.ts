import {
  controller,
  defineResource,
  garbageCollector,
  openResources,
  type Coordinator,
  type ReconcileContext,
  type Resource,
} from '../../src/coordination/index.js'
import { BanyanError } from '../../src/core/errors.js'
import { KEYSPACE } from '../../src/coordination/keyspace.js'
import { memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { wrapDriver } from '../../src/testing/coordination/kit.js'
import { intercepted } from '../coordination/reconciliation/kinds.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'

/** Who works on a key. */
export type By = 'one process' | 'an election' | 'shards'

const Batch = defineResource<{ pieces: number }, { observedGeneration?: number }>({
  group: 'test.example',
  kind: 'Batch',
  plural: 'batches',
  status: { type: 'object', properties: { observedGeneration: { type: 'integer' } } },
})
const Piece = defineResource({ group: 'test.example', kind: 'Piece' })

const BATCHES = 4
const MOST_PIECES = 4
const TTL = '2s'
const PIECES = `${KEYSPACE.resources}test.example/pieces/`
const OWNERS = `${KEYSPACE.resources}test.example/batches/`

/**
 * Nodes that make as many pieces as batches want, with names drawn by chance, so that whoever does not see what was made before
 * makes too many; somebody who changes what is wanted, deletes batches and makes them anew, and takes pieces away.
 */
export async function controllers(world: World, by: By): Promise<void> {
  const { random } = world
  let violation: Error | undefined
  const violated = (what: string): void => void (violation ??= new Error(what))
  const memory = memoryCoordinator({ clock: world.clock })
  /** Pieces that somebody has deleted who may. */
  const unwanted = new Set<string>()
  /** Uids of batches that were gone once: a creation that arrives twice may bring them back at any moment, and nobody can know. */
  const gone = new Set<string>()
  const engine = world.coordination(
    wrapDriver(memory, {
      delete(key, expected) {
        const deleted = memory.get(key) as { value: string } | undefined
        if (key.startsWith(PIECES) && !unwanted.has(key)) {
          const owner = ownerOf(deleted)
          const found = owner && (memory.get(owner.key) as { value: string } | undefined)
          if (found && uidOf(found) === owner.uid && !gone.has(owner.uid))
            violated(`${key} was collected, and its owner is there`)
        }
        const result = memory.delete(key, expected)
        if (key.startsWith(OWNERS) && deleted && memory.get(key) === undefined)
          gone.add((JSON.parse(deleted.value) as Resource).metadata.uid)
        return result
      },
    }),
  )
  const faults = { cut: random.pick([0, 0.01, 0.03]), cutTime: '4s', delay: '20ms' } as const
  /** Who works on each key. */
  const busy = new Map<string, { node: string; isWorking: () => boolean }>()
  const reconcile = async (node: SimulatedNode, key: string, ctx: ReconcileContext<{ pieces: number }>) => {
    const other = busy.get(key)
    if (other?.isWorking()) violated(`${node.name} and ${other.node} work on ${key} at once`)
    const own = { node: node.name, isWorking: () => isAllowed(ctx) }
    busy.set(key, own)
    try {
      const batch = ctx.get()
      if (!batch || batch.metadata.deletionTimestamp) return
      const pieces = ctx.owned(Piece)
      for (let count = pieces.length; count < batch.spec.pieces; count++) {
        await node.sleep(random.below(100))
        await ctx.api.create(Piece, ctx.child({ metadata: { generateName: 'p-' }, spec: {} }))
      }
      for (const { metadata } of pieces.slice(batch.spec.pieces)) {
        unwanted.add(`${PIECES}${metadata.namespace}/${metadata.name}`)
        await ctx.api.delete(Piece, metadata, { preconditions: { uid: metadata.uid } })
      }
    } finally {
      if (busy.get(key) === own) busy.delete(key)
    }
  }

  for (let number = 0; number < (by === 'one process' ? 1 : 3); number++)
    world.node(
      `node-${number}`,
      async (node) => {
        for (const [key, { node: name }] of busy) if (name === node.name) busy.delete(key)
        const coordinator = node.coordinate(engine, faults)
        const store = openResources(coordinator, { window: random.pick([3, 1000]) })
        const lag = random.pick([1, 1, 1500])
        // Owners come later than what belongs to them.
        const api = intercepted(store, {
          async *watch(kind, options) {
            for await (const event of store.watch(kind, options)) {
              if (kind.kind === Batch.kind) await node.sleep(random.below(lag))
              yield event
            }
          },
        })
        const { runtime } = coordinator
        const mandate = mandateOf(by, coordinator, node.name)
        const running = controller({
          name: 'batches',
          api,
          resource: Batch,
          owns: [Piece],
          resync: false,
          runtime,
          ...mandate,
          reconcile: (key, ctx) => reconcile(node, key, ctx),
        })
        const garbage = garbageCollector(api, [Batch, Piece], {
          runtime,
          election: { coordinator, holder: node.name, ttl: TTL },
        })
        await node.sleep(random.below(20_000))
        if (!isStormy || random.chance(0.5)) await new Promise(() => undefined)
        node.note('closes its controller')
        await Promise.all([running.close(), garbage.close()])
        await api.close()
        await coordinator.close()
        throw new BanyanError('BANYAN_COORDINATOR_UNAVAILABLE', 'it is started again')
      },
      { clockRate: by === 'one process' ? 1 : random.pick([1, 1, 0.55 + random.below(400) / 1000, 1.9]) },
    )

  let isStormy = true
  world.node('user', async (node) => {
    const api = openResources(node.coordinate(engine, faults))
    while (isStormy) {
      await node.sleep(random.below(1500))
      await meddle(world, api, unwanted).catch(letPass)
    }
  })
  await world.storm(`${5 + random.below(20)}s`)
  isStormy = false
  const truth = openResources(engine.truth)
  await world.calm(async () => {
    if (violation) throw violation
    const [batches, pieces] = await Promise.all([truth.list(Batch), truth.list(Piece)])
    const owners = pieces.items.map(({ metadata }) => metadata.ownerReferences![0]!.uid)
    const isMade = batches.items.every(
      ({ metadata, spec }) => owners.filter((uid) => uid === metadata.uid).length === spec.pieces,
    )
    const uids = new Set(batches.items.map(({ metadata }) => metadata.uid))
    const isSaid = batches.items.every(
      ({ metadata, status }) => status?.observedGeneration === metadata.generation,
    )
    return isMade && isSaid && owners.every((uid) => uids.has(uid))
  }, '10m')
  if (violation) throw violation
  await truth.close()
}

function mandateOf(by: By, coordinator: Coordinator, name: string) {
  if (by === 'one process') return {}
  if (by === 'an election') return { election: { coordinator, holder: name, ttl: TTL } as const }
  return { shards: { coordinator, worker: name, ttl: TTL, buckets: 4, settle: '500ms' } as const }
}

/** Does something at random, as a user would. */
async function meddle(
  { random }: World,
  api: ReturnType<typeof openResources>,
  unwanted: Set<string>,
): Promise<void> {
  const name = `b${random.below(BATCHES)}`
  const spec = { pieces: random.below(MOST_PIECES + 1) }
  const what = random.below(10)
  if (what < 4) await api.create(Batch, { metadata: { name }, spec })
  else if (what < 7) await api.patch(Batch, { name }, { type: 'merge', patch: { spec } })
  else if (what < 9) {
    const propagationPolicy = random.pick(['Background', 'Foreground'] as const)
    await api.delete(Batch, { name }, { propagationPolicy })
  } else {
    const { items } = await api.list(Piece)
    const piece: Resource | undefined = items[random.below(Math.max(1, items.length))]
    if (!piece) return
    const { name: taken, namespace } = piece.metadata
    unwanted.add(`${PIECES}${namespace}/${taken}`)
    await api.delete(Piece, { name: taken })
  }
}

function ownerOf(entry: { value: string } | undefined): { key: string; uid: string } | undefined {
  if (!entry) return undefined
  const { metadata } = JSON.parse(entry.value) as Resource
  const owner = metadata.ownerReferences?.[0]
  return (
    owner && {
      key: `${OWNERS}${metadata.namespace}/${owner.name}`,
      uid: owner.uid,
    }
  )
}

/** Undefined if it waits only for what belongs to it. */
function uidOf({ value }: { value: string }): string | undefined {
  const { metadata } = JSON.parse(value) as Resource
  return metadata.deletionTimestamp === undefined ? metadata.uid : undefined
}

function isAllowed({ check }: ReconcileContext<{ pieces: number }>): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}

/** What goes wrong on the way is tried again. */
function letPass(error: unknown): void {
  if (!(error instanceof BanyanError)) throw error
}
