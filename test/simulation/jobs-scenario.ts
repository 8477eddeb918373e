import type { Coordinator } from '../../src/coordination/coordinator.js'
import {
  pauseJob,
  readJob,
  resumeJob,
  scheduleJobs,
  triggerJob,
  type JobContext,
  type JobOptions,
} from '../../src/coordination/jobs/index.js'
import { decodeRecord, type JobRecord } from '../../src/coordination/jobs/record.js'
import { BanyanError } from '../../src/core/errors.js'
import type { Runtime } from '../../src/core/runtime.js'
import { memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { wrapDriver } from '../../src/testing/coordination/kit.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'

const NODES = 4
const EVERY_MS = 2000

/** What differs between scenarios. */
export interface JobsVariant extends Partial<JobOptions> {
  /** Somebody asks for runs. */
  readonly isAskedFor?: boolean
  /** Processes bring different plans, and somebody pauses and resumes the job. */
  readonly isReplanned?: boolean
  /** Nothing goes wrong between nodes and engine, and all work succeeds. */
  readonly isFair?: boolean
}

/** What was seen of the runs of a job, and whether it may be. */
class Witness {
  readonly succeeded = new Set<number>()
  readonly begun: string[] = []
  readonly #attempts: number
  readonly #violated: (what: string) => void
  #last: JobContext | undefined
  #highest = 0

  constructor(attempts: number, violated: (what: string) => void) {
    this.#attempts = attempts
    this.#violated = violated
  }

  /** A run begins; those that were asked for have no order among the others. */
  begins(run: JobContext, isAsked: boolean): void {
    if (run.token <= this.#highest) this.#violated(`${show(run)} begins after ${this.#highest}`)
    this.#highest = run.token
    if (isAsked) return
    const last = this.#last
    this.#last = run
    if (run.attempt > this.#attempts) this.#violated(`${show(run)} has too many tries`)
    if (!last) return
    if (run.scheduledFor < last.scheduledFor) this.#violated(`${show(run)} begins after ${show(last)}`)
    if (run.scheduledFor === last.scheduledFor && run.attempt <= last.attempt)
      this.#violated(`${show(run)} begins again after ${show(last)}`)
  }

  /** Nothing that waits is dropped. */
  changes(before: JobRecord | undefined, { waiting, running }: JobRecord): void {
    const dropped = before?.waiting.filter(
      (time) => time !== running?.scheduledFor && !waiting.includes(time),
    )
    if (dropped && dropped.length > 0) this.#violated(`${dropped.join(', ')} waited, and nobody starts it`)
  }

  /** Something is done that its check has allowed. */
  does(run: JobContext): void {
    if (run.token < this.#highest) this.#violated(`${show(run)} goes on, though ${this.#highest} has begun`)
  }
}

function show({ scheduledFor, attempt, token }: JobContext): string {
  return `the run for ${scheduledFor} (try ${attempt}, token ${token})`
}

/** Nodes that schedule a job, with clocks that differ, and crash, stall, come and go, over an engine that fails. */
export async function jobs(
  world: World,
  { isAskedFor = false, isReplanned = false, isFair = false, ...variant }: JobsVariant = {},
): Promise<void> {
  const memory = memoryCoordinator({ clock: world.clock })
  let before: JobRecord | undefined
  const engine = world.coordination(
    wrapDriver(memory, {
      put: async (key, value, expected, lease) => {
        const result = await memory.put(key, value, expected, lease)
        if (!result.ok || key !== 'banyan/jobs/report') return result
        const record = decodeRecord(key, value)
        if (variant.limit === 1000) witness.changes(before, record)
        before = record
        return result
      },
    }),
  )
  const faults = { cut: isFair ? 0 : world.random.pick([0, 0.003, 0.01]), cutTime: '4s' } as const
  let isStormy = !isFair
  let violation: Error | undefined
  const violated = (what: string): void => {
    violation ??= new Error(what)
  }
  const witness = new Witness(variant.retry?.attempts ?? 1, violated)
  const asked = new Set<number>()
  const run = async (node: SimulatedNode, context: JobContext): Promise<void> => {
    node.note(`begins ${show(context)}`)
    witness.begins(context, asked.has(context.scheduledFor))
    for (let steps = world.random.below(4); steps > 0; steps--) {
      await node.sleep(world.random.below(steps === 3 ? 3000 : 300))
      context.check()
      witness.does(context)
    }
    if (isStormy && world.random.chance(0.1)) throw new Error('it has failed')
    context.check()
    witness.does(context)
    witness.succeeded.add(context.scheduledFor)
    node.note(`ends ${show(context)}`)
  }

  const every = (): number => (isReplanned ? world.random.pick([EVERY_MS, 1.5 * EVERY_MS]) : EVERY_MS)
  for (let number = 0; number < NODES; number++)
    world.node(
      `node-${number}`,
      async (node) => {
        const coordinator = withClockSet(world, node, node.coordinate(engine, faults))
        const scheduler = scheduleJobs(coordinator, {
          holder: `${node.name}-${node.starts}`,
          ttl: '2s',
          drain: '1s',
          jobs: { report: { every: every(), ...variant, run: (context) => run(node, context) } },
        })
        await node.sleep(world.random.below(15_000))
        if (!isStormy || isFair || world.random.chance(0.5)) await new Promise(() => undefined)
        node.note('closes its scheduler')
        await scheduler.close()
        await coordinator.close()
        throw new BanyanError('BANYAN_COORDINATOR_UNAVAILABLE', 'it is started again')
      },
      { clockRate: isFair ? 1 : world.random.pick([1, 1, 0.8 + world.random.below(400) / 1000, 0.55, 1.9]) },
    )

  if (isAskedFor)
    world.node('operator', async (node) => {
      const coordinator = node.coordinate(engine, faults)
      for (;;) {
        await node.sleep(world.random.below(5000))
        asked.add(node.runtime.clock.wall())
        await triggerJob(coordinator, 'report')
      }
    })

  if (isReplanned)
    world.node('operator', async (node) => {
      const coordinator = node.coordinate(engine, faults)
      while (isStormy) {
        await node.sleep(world.random.below(4000))
        await pauseJob(coordinator, 'report')
        await node.sleep(world.random.below(4000))
        await resumeJob(coordinator, 'report')
      }
      // It may have crashed in between.
      await resumeJob(coordinator, 'report')
    })

  await world.storm(`${10 + world.random.below(20)}s`)
  isStormy = false
  const startedBefore = await readJob(engine.truth, 'report').then(
    ({ counts }) => counts.started,
    () => 0,
  )
  const isDone = async (): Promise<boolean> => {
    if (violation) throw violation
    const job = await readJob(engine.truth, 'report').catch(() => undefined)
    if (!job || job.running || job.retry || job.waiting > 0 || job.asked) return false
    return job.counts.started > startedBefore + 3
  }
  await world.calm(isDone, '5m')
  if (violation) throw violation
  if (isAskedFor || isReplanned) return
  const { value } = (await engine.truth.get('banyan/jobs/report'))!
  const { counts, reached, registered } = decodeRecord('banyan/jobs/report', value)
  const first = Math.floor(registered.at / EVERY_MS) + 1
  const tries = counts.failed + counts.timeout + counts.interrupted + counts.lost + counts.succeeded
  if (tries !== counts.started)
    throw new Error(`${counts.started} runs were started, and ${tries} have ended`)
  if (isFair && counts.succeeded < counts.started)
    throw new Error(`not all have succeeded: ${JSON.stringify(counts)}`)
  if (variant.retry) {
    for (let time = first * EVERY_MS; time <= reached; time += EVERY_MS)
      if (!witness.succeeded.has(time)) throw new Error(`nobody has run ${time}`)
    return
  }
  const total = reached / EVERY_MS - first + 1
  const decided = counts.started + counts.missed + counts.overlapped
  if (decided !== total)
    throw new Error(`of ${total} times ${decided} are accounted for: ${JSON.stringify(counts)}`)
}

/** The same coordinator for one whose wall clock is off, and is set now and then. */
function withClockSet(world: World, node: SimulatedNode, coordinator: Coordinator): Coordinator {
  const { clock, telemetry } = node.runtime
  const drawn = (): { offset: number; until: number } => ({
    offset: world.random.below(6000) - 3000,
    until: clock.now() + world.random.below(30_000),
  })
  let set = drawn()
  const wall = (): number => {
    if (clock.now() >= set.until) set = drawn()
    return clock.wall() + set.offset
  }
  const runtime: Runtime = {
    ...node.runtime,
    clock: { now: () => clock.now(), wall, schedule: (at, callback) => clock.schedule(at, callback) },
    telemetry: { ...telemetry, log: (_, text) => node.note(text) },
  }
  return new Proxy(coordinator, {
    get(target, name) {
      if (name === 'runtime') return runtime
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}
