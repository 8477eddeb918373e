import { afterEach } from 'vitest'
import { coordinationError } from '../../src/coordination/errors.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { DriverCoordinator } from '../../src/coordination/driver-coordinator.js'
import {
  scheduleJobs,
  type EndedJobRun,
  type JobContext,
  type JobOptions,
  type Scheduler,
} from '../../src/coordination/jobs/index.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import { virtualRuntime, type VirtualRuntime } from '../../src/testing/index.js'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
/** When virtual time begins. */
export const START = Date.UTC(2026, 0, 1)

/** Processes that share one engine and, unless said otherwise, one clock. */
export class Cluster {
  readonly runtime: VirtualRuntime = virtualRuntime()
  readonly store = new MemoryCoordination(this.runtime.clock)
  readonly logged: string[] = []
  /** What was started, in order: by whom, for when. */
  readonly runs: { node: string; run: JobContext; at: number }[] = []
  readonly #open: (() => Promise<void>)[] = []

  /** @param ahead - by how many ms its wall clock is ahead */
  coordinator(
    ahead: number | (() => number) = 0,
    driver: CoordinatorDriver = this.store.connect(),
  ): DriverCoordinator {
    const { clock, random, telemetry } = this.runtime
    const offset = typeof ahead === 'number' ? () => ahead : ahead
    const coordinator = new DriverCoordinator(driver, {
      runtime: {
        clock: {
          now: () => clock.now(),
          wall: () => clock.wall() + offset(),
          schedule: (at, call) => clock.schedule(at, call),
        },
        random,
        telemetry: { ...telemetry, log: (level, message) => this.logged.push(`${level}: ${message}`) },
      },
    })
    this.#open.push(() => coordinator.close())
    return coordinator
  }

  /** A process that schedules the job `report`. */
  async node(
    name: string,
    job: Partial<JobOptions>,
    { ahead = 0, coordinator = this.coordinator(ahead), drain = 0 }: NodeOptions = {},
  ): Promise<Scheduler> {
    const { run = () => undefined } = job
    const scheduler = scheduleJobs(coordinator, {
      holder: name,
      drain,
      jobs: {
        report: {
          ...(job.cron === undefined && { every: '1m' }),
          ...job,
          run: (context) => {
            this.runs.push({ node: name, run: context, at: this.runtime.clock.wall() })
            return run(context)
          },
        },
      },
    })
    this.#open.push(() => scheduler.close())
    await scheduler.ready
    return scheduler
  }

  /** It takes some time in any case. */
  sleep(ms: number): Promise<void> {
    const { clock } = this.runtime
    return new Promise((resolve) => clock.schedule(clock.now() + ms, resolve))
  }

  /** The times that were started, in minutes since the beginning. */
  get minutes(): number[] {
    return this.runs.map(({ run }) => (run.scheduledFor - START) / MINUTE)
  }

  async close(): Promise<void> {
    const closed = Promise.all(this.#open.reverse().map((close) => close()))
    await this.runtime.clock.settle(closed)
  }
}

interface NodeOptions {
  ahead?: number | (() => number)
  coordinator?: DriverCoordinator
  drain?: number
}

const clusters: Cluster[] = []

/** Closed after the test. */
export function newCluster(): Cluster {
  const cluster = new Cluster()
  clusters.push(cluster)
  return cluster
}

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close()
})

/** What became of runs, oldest first. */
export function outcomes(runs: readonly EndedJobRun[]): string[] {
  return runs.map(({ outcome }) => outcome).reverse()
}

/** Settles when somebody is told to end. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** A process whose connection ends: with it, or without; or that stands still for some time. */
export interface Mortal {
  readonly coordinator: DriverCoordinator
  /** Dies in the middle of what it does. */
  readonly die: () => Promise<never>
  /** Is cut off from the engine, and goes on. */
  readonly cut: () => void
  /** Stands still from when it has claimed a run, before it knows it. */
  readonly stallAfterClaim: () => void
  /** Goes on, with the answers that it has missed. */
  readonly resume: () => void
  /** The answer to its next change of a key that begins so is lost; it is done at once, or so many ms later. */
  readonly loseAnswer: (prefix: string, later?: number) => void
}

export function mortal(cluster: Cluster): Mortal {
  const driver = cluster.store.connect()
  let isCut = false
  let stallsAfterClaim = false
  const never = new Promise<never>(() => undefined)
  let lost: { prefix: string; later: number } | undefined
  let resume = (): void => undefined
  const resumed = new Promise<void>((resolve) => (resume = resolve))
  const through = <Name extends keyof CoordinatorDriver>(name: Name): CoordinatorDriver[Name] => {
    const call = driver[name] as (...args: unknown[]) => unknown
    return ((...args: unknown[]) => (isCut ? never : call.apply(driver, args))) as CoordinatorDriver[Name]
  }
  const put = through('put')
  const cut = (): void => {
    isCut = true
  }
  return {
    coordinator: cluster.coordinator(0, {
      capabilities: driver.capabilities,
      get: through('get'),
      list: through('list'),
      put: async (key, value, expected, lease) => {
        if (lost && key.startsWith(lost.prefix)) {
          const { later } = lost
          lost = undefined
          const { clock } = cluster.runtime
          if (later > 0) clock.schedule(clock.now() + later, () => void put(key, value, expected, lease))
          else await put(key, value, expected, lease)
          throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'the answer is lost')
        }
        const result = await put(key, value, expected, lease)
        if (stallsAfterClaim && value.includes('"running"')) {
          cut()
          await resumed
        }
        return result
      },
      delete: through('delete'),
      head: through('head'),
      grant: through('grant'),
      renew: through('renew'),
      revoke: () => undefined,
      watch: through('watch'),
      close: () => undefined,
    }),
    die: () => {
      cut()
      return never
    },
    cut,
    stallAfterClaim: () => {
      stallsAfterClaim = true
    },
    resume: () => {
      isCut = false
      resume()
    },
    loseAnswer: (prefix, later = 0) => {
      lost = { prefix, later }
    },
  }
}
