import { afterEach } from 'vitest'
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
    await scheduler.ready()
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

/** A process whose connection ends: with it, or without. */
export function mortal(cluster: Cluster): {
  coordinator: DriverCoordinator
  die: () => Promise<never>
  cut: () => void
} {
  const driver = cluster.store.connect()
  let isCut = false
  const never = new Promise<never>(() => undefined)
  const through = <Name extends keyof CoordinatorDriver>(name: Name): CoordinatorDriver[Name] => {
    const call = driver[name] as (...args: unknown[]) => unknown
    return ((...args: unknown[]) => (isCut ? never : call.apply(driver, args))) as CoordinatorDriver[Name]
  }
  const cut = (): void => {
    isCut = true
  }
  return {
    coordinator: cluster.coordinator(0, {
      capabilities: driver.capabilities,
      get: through('get'),
      list: through('list'),
      put: through('put'),
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
  }
}
