import { memoryReadModels, type MemoryTables } from '../../src/drivers/memory/read-models.js'
import { BanyanError } from '../../src/core/errors.js'
import { eventError } from '../../src/events/errors.js'
import type { EventLog, Recorded } from '../../src/events/log.js'
import {
  projection,
  readModels,
  type Projection,
  type ReadModels,
  type ReadModelStore,
} from '../../src/events/projections/index.js'
import type { SimulatedLog, SimulatedNode, World } from '../../src/testing/index.js'

interface Noted {
  type: 'Noted'
  data: { number: number }
}

const WRITERS = 3
const NOTES = 8
const VERSIONS = [1, 2]
/** How long after its cursor has passed it a side effect may still run: whoever stood still in the middle of it. */
const LATE_MS = 15_000

/** What the scenario knows of everything that happens. */
interface Facts {
  readonly log: SimulatedLog
  readonly store: ReadModelStore<MemoryTables>
  /** How many notes of each writer are acknowledged. */
  readonly acknowledged: Map<string, number>
  readonly done: Set<string>
  readonly sent: Map<string, number>
  /** Whether handlers fail at some events. */
  poisoned: boolean
  stormy: boolean
}

/** What is changed to see that the scenario notices it. */
export interface Sabotage {
  readonly store?: (store: ReadModelStore<MemoryTables>) => ReadModelStore<MemoryTables>
}

/**
 * Writers, who read what they wrote; projectors of two versions on several nodes; and somebody who switches between the
 * versions and tries parked events again. At every moment both read models are what the log says up to their checkpoint.
 */
export async function projectorsAndReaders(world: World, sabotage: Sabotage = {}): Promise<void> {
  const store = memoryReadModels()
  const facts: Facts = {
    log: world.log(),
    store: sabotage.store?.(store) ?? store,
    acknowledged: new Map(),
    done: new Set(),
    sent: new Map(),
    poisoned: world.random.chance(0.5),
    stormy: true,
  }
  for (let writer = 0; writer < WRITERS; writer++)
    world.node(`writer-${writer}`, (node) => writeAndRead(world, node, facts))
  for (const [index, version] of [1, 1, 2, 2].entries())
    world.node(`projector-${index}-v${version}`, async (node) => {
      const models = modelsOf(world, node, facts)
      const onError = index < 2 ? 'park' : 'stop'
      const projector = models.run(notes(world, node, facts, version), {
        onError,
        takeover: '3s',
        attempts: 3,
      })
      await projector.ended.catch((error: unknown) => {
        if (!(error instanceof BanyanError)) throw error
        node.note(error.message)
        // Whoever looks after processes starts it again.
        throw error
      })
    })
  world.node('administrator', (node) => administrate(world, node, facts))
  const checks = Array.from({ length: 5 }, () => world.random.below(6000)).sort((a, b) => a - b)
  let time = 0
  for (const at of checks) {
    await world.storm(at - time)
    time = at
    await check(facts)
  }
  facts.stormy = false
  facts.poisoned = false
  await world.calm(() => facts.done.size === WRITERS)
  const head = await facts.log.truth.head()
  await world.calm(async () => {
    const rows = await facts.store.read((view) => view.rows('notes'))
    const parked = await facts.store.read((view) => view.parked('notes', 1, { limit: 1 }))
    return rows.length === 3 && parked.length === 0 && rows.every(({ position }) => position >= head)
  })
  await check(facts)
  await checkEnd(facts)
}

/** A store over a network: a node may crash or stand still between any two steps, and answers are lost. */
function connected(
  world: World,
  node: SimulatedNode,
  { store, ...facts }: Facts,
): ReadModelStore<MemoryTables> {
  const step = (): Promise<void> => node.sleep(world.random.below(10))
  const mayFail = (): void => {
    if (facts.stormy && world.random.chance(0.03))
      throw eventError('BANYAN_READ_MODEL_UNAVAILABLE', 'the simulated store cannot be reached')
  }
  return {
    engine: store.engine,
    transactional: true,
    async read(work) {
      await step()
      mayFail()
      return store.read(work)
    },
    async write(work) {
      await step()
      const result = await store.write(async (transaction) => {
        const result = await work(transaction)
        await step()
        mayFail()
        return result
      })
      await step()
      mayFail()
      return result
    },
    close: () => Promise.resolve(),
  }
}

function modelsOf(world: World, node: SimulatedNode, facts: Facts): ReadModels<MemoryTables> {
  return readModels(connected(world, node, facts), node.open(facts.log), { runtime: node.runtime })
}

function notes(
  world: World,
  node: SimulatedNode,
  facts: Facts,
  version: number,
): Projection<Noted, MemoryTables> {
  return projection<Noted, MemoryTables>({
    name: 'notes',
    version,
    setup: ({ db, table }) => db.create(table('list')),
    on: {
      async Noted({ stream, data }, { db, table }) {
        const rows = db.table<number[]>(table('list'))
        const list = rows.get(stream) ?? []
        if (world.random.chance(0.2)) await node.sleep(world.random.below(20))
        rows.set(stream, [...list, data.number])
        if (version === 1 && facts.poisoned && data.number === 3) throw new Error('three is poison')
      },
    },
    effectsFrom: 'start',
    effects: {
      async Noted(event) {
        await node.sleep(world.random.below(20))
        await checkEffect(world, facts, event)
        facts.sent.set(event.id, (facts.sent.get(event.id) ?? 0) + 1)
      },
    },
  })
}

/** Appends, and reads what it has appended from the read model that is active then. */
async function writeAndRead(world: World, node: SimulatedNode, facts: Facts): Promise<void> {
  const log = node.open(facts.log)
  const models = modelsOf(world, node, facts)
  const stream = `note-${node.name}`
  for (let number = 0; number < NOTES; number++) {
    const token = await append(node, log, stream, number)
    facts.acknowledged.set(stream, Math.max(facts.acknowledged.get(stream) ?? 0, number + 1))
    const isStrong = world.random.chance(0.3)
    const before = new Map(facts.acknowledged)
    const seen = await models
      .query('notes', ({ db, table }) => new Map(db.table<number[]>(table('list')).entries()), {
        ...(isStrong ? { consistency: 'strong' } : { after: token }),
        timeout: '1s',
      })
      .catch((error: unknown) => {
        if (!(error instanceof BanyanError)) throw error
        node.note(error.code)
      })
    if (seen) {
      const expected = isStrong ? before : new Map([[stream, number + 1]])
      for (const [name, count] of expected)
        if ((seen.get(name)?.length ?? 0) < count)
          throw new Error(
            `${node.name} reads ${String(seen.get(name))} of ${name}, and ${count} were written`,
          )
    }
    await node.sleep(world.random.below(300))
  }
  facts.done.add(node.name)
}

async function append(node: SimulatedNode, log: EventLog, stream: string, number: number): Promise<string> {
  for (;;) {
    try {
      const result = await log.append({
        id: `${stream}/${number}`,
        streams: [{ stream, events: [{ type: 'Noted', data: { number } }] }],
      })
      if (result.ok) return result.position
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      await node.sleep('100ms')
    }
  }
}

async function administrate(world: World, node: SimulatedNode, facts: Facts): Promise<void> {
  const models = modelsOf(world, node, facts)
  for (;;) {
    await node.sleep(world.random.below(2000))
    try {
      if (world.random.chance(0.5)) await models.retryParked(notes(world, node, facts, 1))
      else await models.switch('notes', world.random.pick(VERSIONS), { timeout: '1s' })
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      node.note(error.message)
    }
  }
}

/** Each read model is what the events up to its checkpoint make of it: each once, those of a stream in order. */
async function check({ log, store }: Facts): Promise<void> {
  for (const version of VERSIONS) {
    const state = await store.read(async (view) => {
      const row = (await view.rows('notes')).find((known) => known.version === version)
      if (!row) return undefined
      const parked = await view.parked('notes', version, { limit: Infinity })
      return {
        position: row.position,
        parked: new Set(parked.map(({ position }) => position)),
        lists: new Map(view.db.table<number[]>(`notes_v${version}_list`).entries()),
      }
    })
    if (!state) continue
    const expected = new Map<string, number[]>()
    for await (const event of log.truth.read<Noted>({}, { to: state.position })) {
      if (state.parked.has(event.position)) continue
      expected.set(event.stream, [...(expected.get(event.stream) ?? []), event.data.number])
    }
    const [is, should] = [state.lists, expected].map((lists) => JSON.stringify([...lists].sort()))
    if (is !== should)
      throw new Error(`version ${version} at ${state.position} is ${is}, and the log makes it ${should}`)
  }
}

/** A side effect may run again when its process was lost, and not long after it was done. */
async function checkEffect(world: World, facts: Facts, event: Recorded<Noted>): Promise<void> {
  const rows = await facts.store.read((view) => view.rows('notes'))
  const cursor = rows.find(({ version }) => version === 0)!
  const isLate = cursor.position >= event.position && world.clock.wall() - cursor.updated > LATE_MS
  if (isLate) throw new Error(`the side effect of ${event.id} has run again after the cursor has passed it`)
  const active = rows.find((row) => row.active)!
  if (active.position < event.position && !facts.stormy)
    throw new Error(`the side effect of ${event.id} has run before the read model has it`)
}

async function checkEnd({ log, sent, store }: Facts): Promise<void> {
  for await (const { id } of log.truth.read()) if (!sent.has(id)) throw new Error(`${id} has had no effect`)
  const [first, second] = await store.read((view) =>
    VERSIONS.map((version) => JSON.stringify(view.db.table(`notes_v${version}_list`).entries())),
  )
  if (first !== second) throw new Error(`the rebuilt read model is ${second}, the live one ${first}`)
}
