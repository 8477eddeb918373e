import { sleep } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { openResources } from '../../coordination/resources/store/resources.js'
import type { Choices } from '../seed.js'
import { NODE_FAULTS, type NodeFaults } from '../simulator/faults.js'
import { simulate, type Simulated } from '../simulator/simulate.js'
import type { SimulatedNode } from '../simulator/node.js'
import type { SimulatedCoordination } from '../simulator/world-context.js'
import type { World } from '../simulator/world.js'
import { ChangeBook, type RecordedChange } from './change-book.js'
import { mixedFaults, OF_RESOURCES, RESOURCE_FAULTS, type ResourceFaults } from './faulty-resources.js'
import { restlessness } from './restlessness.js'

/** A process that runs a controller, from its start to its end or its crash. */
export interface ControllerProcess {
  /** That of the controller, and its number if there are several. */
  readonly name: string
  /** The resources, over a connection that fails: see {@link ResourceFaults}. */
  readonly api: ResourceApi
  /** Time and chance: give it to everything that takes a `runtime`. */
  readonly runtime: Runtime
  /** Of the same resources, for elections and shards. Made when it is asked for. */
  coordinator(): Coordinator
  /** Writes a line into the trace. */
  note(text: string): void
}

/** Options of {@link simulateController}. */
export interface SimulateControllerOptions {
  /**
   * What is tried, by name: each starts a controller, or whatever else works on resources, over the API that it is given. It is
   * started anew after each crash of its process, and must keep nothing outside of it. Writes are told under its name.
   */
  controllers: Readonly<Record<string, (process: ControllerProcess) => unknown>>
  /** How many processes run each; default 1. More than one need an election or shards. */
  processes?: number
  /** Makes what there is at first, through an API that does not fail. */
  resources: (user: ResourceApi, random: Choices) => Promise<void>
  /**
   * What users do meanwhile: called from time to time as long as things go wrong. Errors with codes, such as conflicts, are of no
   * matter. Default nothing.
   */
  disturb?: (user: ResourceApi, random: Choices) => Promise<void>
  /**
   * Whether everything is as it must be: says so, or throws what is not. Asked when nothing goes wrong any more, and nothing was
   * written for a while.
   */
  // An assertion that does not throw says nothing.
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type
  converged: (user: ResourceApi) => Promise<boolean | void>
  /** How long things go wrong, in virtual time; default `'20s'`. */
  storm?: Duration
  /**
   * How long nothing must have been written, in virtual time; default `'6m'`, as a `controller` that fights is slowed down to a write
   * every five minutes. Shorter if something is written from time to time although nothing has happened.
   */
  quiet?: Duration
  /** How long it may take to converge when nothing goes wrong any more; default `'30m'`. */
  within?: Duration
  /** How many runs, each with a seed of its own; default 100. `BANYAN_SEED` runs that one seed instead. */
  seeds?: number
  /** The first seed; default 1. */
  firstSeed?: number
  /** What goes wrong, how often; in each run some faults are left out, and others come more often. */
  faults?: ResourceFaults & NodeFaults
}

const OPTIONS: OptionKinds = {
  controllers: { kind: 'code', type: 'object', doc: 'what is tried, by name' },
  processes: { kind: 'number', integer: true, min: 1, doc: 'How many run each.' },
  resources: { kind: 'code', type: 'function', doc: 'makes what there is at first' },
  disturb: { kind: 'code', type: 'function', doc: 'what users do meanwhile' },
  converged: { kind: 'code', type: 'function', doc: 'whether everything is as it must be' },
  storm: { kind: 'duration', min: 0, doc: 'How long things go wrong.' },
  quiet: { kind: 'duration', min: 1, doc: 'How long nothing must have been written.' },
  within: { kind: 'duration', min: 1, doc: 'How long it may take to converge.' },
  seeds: { kind: 'number', integer: true, min: 1, doc: 'How many runs.' },
  firstSeed: { kind: 'number', integer: true, doc: 'The first seed.' },
  faults: {
    kind: 'group',
    options: { ...RESOURCE_FAULTS, ...NODE_FAULTS },
    doc: 'What goes wrong, how often.',
  },
}

/** After so many changes of one resource in a calm it is not asked any longer whether they end. */
const LOOP = 500
/** How often it is looked whether it is quiet, in ms. */
const LOOK_MS = 10_000
/** From one disturbance to the next at most, in ms. */
const DISTURBED_EVERY = 2000
const TIME_LIMIT = '24h'
const STEP_LIMIT = 2_000_000

/**
 * Runs controllers again and again, with another seed each time. In each run the API fails in all ways that {@link ResourceFaults}
 * name, processes crash, stand still, and are started again with nothing in their memory, and users change things meanwhile. Then
 * nothing goes wrong any more, and the controllers must come to rest with everything as it must be.
 *
 * Those that do not come to rest are told apart: a controller that is woken by its own writes, two that fight over a field, and
 * one that has come to rest somewhere else. All time is virtual: controllers must take time and chance from `runtime`, and wait for
 * nothing but that and the API.
 *
 * @throws {@link SimulationError} with what was wrong, the seed, and the trace of the first run that failed;
 *   `BANYAN_INVALID_OPTIONS`
 */
export function simulateController(options: SimulateControllerOptions): Promise<Simulated> {
  checkOptions<object>('simulateController', OPTIONS, options)
  const { seeds, firstSeed, faults = {} } = options
  const ofWorld = Object.entries(faults).filter(([name]) => !OF_RESOURCES.includes(name))
  return simulate({
    ...(seeds !== undefined && { seeds }),
    ...(firstSeed !== undefined && { firstSeed }),
    faults: Object.fromEntries(ofWorld),
    timeLimit: TIME_LIMIT,
    stepLimit: STEP_LIMIT,
    run: (world) => trial(world, options),
  })
}

async function trial(world: World, options: SimulateControllerOptions): Promise<void> {
  const { clock, random } = world
  const { controllers, processes = 1, resources, disturb, storm = '20s' } = options
  const engine = world.coordination()
  const truth = openResources(engine.truth)
  const changes: RecordedChange[] = []
  let last = 0
  const book = new ChangeBook((change) => {
    changes.push(change)
    last = clock.now()
    world.note(lineOf(change))
  })
  const user = book.handle(truth, 'user')
  await resources(user, random)

  const faults = mixedFaults(options.faults ?? {}, random)
  for (const [name, start] of Object.entries(controllers))
    for (let number = 1; number <= processes; number++)
      world.node(processes === 1 ? name : `${name}-${number}`, async (node) => {
        await start(processOn(node, node.reach(book.handle(truth, name), faults), engine))
        await new Promise(() => undefined)
      })

  const until = clock.now() + duration(storm, 'storm')
  while (clock.now() < until) {
    await sleep(clock, 1 + random.below(DISTURBED_EVERY))
    await disturb?.(user, random).catch((error: unknown) => {
      if (!(error instanceof BanyanError)) throw error
    })
  }
  await world.calm()
  changes.length = 0
  await mustConverge(options, { world, user, changes, last: () => last })
}

interface Calm {
  readonly world: World
  readonly user: ResourceApi
  /** Since it is calm. */
  readonly changes: readonly RecordedChange[]
  /** When the last one was. */
  readonly last: () => number
}

async function mustConverge(options: SimulateControllerOptions, calm: Calm): Promise<void> {
  const { clock } = calm.world
  const { converged } = options
  const quiet = duration(options.quiet ?? '6m', 'quiet')
  const within = duration(options.within ?? '30m', 'within')
  const began = clock.now()
  for (let why: unknown = 'nobody has asked yet'; ;) {
    await sleep(clock, LOOK_MS)
    const isQuiet = clock.now() - Math.max(calm.last(), began) >= quiet
    if (isQuiet) {
      why = await whyNot(converged, calm.user)
      if (why === undefined) return
    }
    const isOver = clock.now() - began > within
    if (calm.changes.length > LOOP || (isOver && !isQuiet))
      throw new Error(
        `nothing goes wrong for ${Math.round((clock.now() - began) / 1000)} s, and it does not come to rest, after ${calm.changes.length} changes.\n${restlessness(calm.changes)}`,
      )
    if (isOver) {
      const text = why instanceof Error ? why.message : String(why)
      throw new Error(`it has come to rest, and is not as it must be: ${text}`, { cause: why })
    }
  }
}

/** Undefined if it has converged. */
async function whyNot(
  converged: SimulateControllerOptions['converged'],
  user: ResourceApi,
): Promise<unknown> {
  try {
    return (await converged(user)) === false ? '`converged` says so' : undefined
  } catch (error) {
    return error ?? 'nobody knows why'
  }
}

function processOn(node: SimulatedNode, api: ResourceApi, engine: SimulatedCoordination): ControllerProcess {
  let coordinator: Coordinator | undefined
  return {
    name: node.name,
    api,
    runtime: node.runtime,
    coordinator: () => (coordinator ??= node.coordinate(engine)),
    note: node.note,
  }
}

function lineOf({ writer, resource, fields }: RecordedChange): string {
  const list = Array.from(fields, ([path, [before, after]]) =>
    path === '' ? `${before} → ${after}` : `${path} ${before} → ${after}`,
  )
  return `${writer} writes ${resource}: ${list.join(', ')}`
}
