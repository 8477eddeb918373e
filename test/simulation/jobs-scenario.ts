import { BanyanError } from '../../src/core/errors.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import type { Clock } from '../../src/core/clock.js'
import { DriverCoordinator } from '../../src/coordination/driver-coordinator.js'
import {
  readJob,
  scheduleJobs,
  triggerJob,
  type JobContext,
  type JobOptions,
} from '../../src/coordination/jobs/index.js'
import { decodeRecord } from '../../src/coordination/jobs/record.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { faultyCoordinator } from './faulty-coordinator.js'

const NODES = 4
const EVERY_MS = 2000
const FAULTS = { delay: 20, refuse: 0.03, loseAnswer: 0.03, late: 1000 }

/** What differs between scenarios. */
export interface JobsVariant extends Partial<JobOptions> {
  /** Somebody asks for runs. */
  readonly isAskedFor?: boolean
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
  { isAskedFor = false, isFair = false, ...variant }: JobsVariant = {},
): Promise<void> {
  const store = new MemoryCoordination(world.clock)
  let isStormy = !isFair
  let violation: Error | undefined
  const violated = (what: string): void => {
    violation ??= new Error(what)
  }
  const witness = new Witness(variant.retry?.attempts ?? 1, violated)
  const asked = new Set<number>()
  const truth = new DriverCoordinator(store.connect(), {
    runtime: { clock: world.clock, random: { next: () => 0 }, telemetry: noTelemetry },
  })

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

  for (let number = 0; number < NODES; number++)
    world.node(`node-${number}`, async (node) => {
      const clock = driftingClock(world, node.runtime.clock)
      const coordinator = new DriverCoordinator(
        faultyCoordinator(world, node, store, FAULTS, () => isStormy),
        {
          runtime: {
            ...node.runtime,
            clock,
            telemetry: { ...node.runtime.telemetry, log: (_, text) => node.note(text) },
          },
        },
      )
      const scheduler = scheduleJobs(coordinator, {
        holder: `${node.name}-${node.starts}`,
        ttl: '2s',
        drain: '1s',
        jobs: { report: { every: EVERY_MS, ...variant, run: (context) => run(node, context) } },
      })
      await node.sleep(world.random.below(15_000))
      if (!isStormy || isFair || world.random.chance(0.5)) await new Promise(() => undefined)
      node.note('closes its scheduler')
      await scheduler.close()
      await coordinator.close()
      throw new BanyanError('BANYAN_COORDINATOR_UNAVAILABLE', 'it is started again')
    })

  if (isAskedFor)
    world.node('operator', async (node) => {
      const coordinator = new DriverCoordinator(
        faultyCoordinator(world, node, store, FAULTS, () => isStormy),
        {
          runtime: node.runtime,
        },
      )
      for (;;) {
        await node.sleep(world.random.below(5000))
        asked.add(node.runtime.clock.wall())
        await triggerJob(coordinator, 'report')
      }
    })

  await world.storm(`${10 + world.random.below(20)}s`)
  isStormy = false
  const calmSince = world.clock.wall()
  const isDone = async (): Promise<boolean> => {
    if (violation) throw violation
    const job = await readJob(truth, 'report').catch(() => undefined)
    if (!job || job.running || job.retry || job.waiting > 0 || job.asked) return false
    return job.last !== undefined && job.last.scheduledFor > calmSince + 10_000
  }
  await world.calm(isDone, '5m')
  if (violation) throw violation
  if (isAskedFor) return
  const { value } = store.get('banyan/jobs/report')!
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

/** A clock that goes faster or slower than that of the engine, and whose wall clock is set now and then. */
function driftingClock(world: World, clock: Clock): Clock {
  const rate = 0.8 + world.random.below(400) / 1000
  const start = clock.now()
  const wallStart = clock.wall()
  let offset = world.random.below(6000) - 3000
  const now = (): number => start + (clock.now() - start) * rate
  let setAgain = clock.now() + world.random.below(30_000)
  return {
    now,
    wall: () => {
      if (clock.now() >= setAgain) {
        offset = world.random.below(6000) - 3000
        setAgain = clock.now() + world.random.below(30_000)
      }
      return Math.round(wallStart + (clock.now() - start) + offset)
    },
    // Never early, not even by what division leaves over.
    schedule: (at, callback) => clock.schedule(start + (at - start) / rate + 1e-6, callback),
  }
}
