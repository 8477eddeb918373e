import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'
import type { EndedJobRun, JobCounts, JobRun } from './record.js'

/**
 * What is measured of jobs, each by `banyan.job`; by the process that did it.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.job.duration` | s | runs that have ended, and how long they took, by `banyan.job.outcome`: `succeeded`, `failed`, `timeout`, `interrupted`, `lost` |
 * | `banyan.job.delay` | s | from the time a run is for to its start |
 * | `banyan.job.passed` | `{run}` | times for which there is no run, by `banyan.job.reason`: `missed`, `overlapped` |
 * | `banyan.job.overruns` | `{run}` | runs that were told to end, by their timeout or as their lease was lost, and went on for more than 5 s |
 * | `banyan.job.running` | `{run}` | runs that are under way in this process |
 */
export class JobMeter {
  readonly #duration: Histogram
  readonly #delay: Histogram
  readonly #passed: Counter
  readonly #overruns: Counter
  readonly #stop: () => void
  readonly #attributes: { readonly 'banyan.job': string }

  constructor({ telemetry }: Runtime, job: string, running: () => number) {
    const attributes = { 'banyan.job': job }
    this.#attributes = attributes
    this.#duration = telemetry.histogram('banyan.job.duration', {
      description: 'How long runs of jobs took.',
      unit: 's',
    })
    this.#delay = telemetry.histogram('banyan.job.delay', {
      description: 'Time from when a run of a job was due to its start.',
      unit: 's',
    })
    this.#passed = telemetry.counter('banyan.job.passed', {
      description: 'Times of jobs for which there is no run.',
      unit: '{run}',
    })
    this.#overruns = telemetry.counter('banyan.job.overruns', {
      description: 'Runs of jobs that were told to end and went on.',
      unit: '{run}',
    })
    this.#stop = telemetry.gauge(
      'banyan.job.running',
      { description: 'Runs of jobs that are under way in this process.', unit: '{run}', attributes },
      running,
    )
  }

  started({ started, scheduledFor }: JobRun): void {
    this.#delay.record(Math.max(0, started - scheduledFor) / 1000, this.#attributes)
  }

  ended({ started, ended, outcome }: EndedJobRun): void {
    const seconds = Math.max(0, ended - started) / 1000
    this.#duration.record(seconds, { ...this.#attributes, 'banyan.job.outcome': outcome })
  }

  /** A run was told to end a while ago, and has not. */
  overruns(): void {
    this.#overruns.add(1, this.#attributes)
  }

  /** What this process has decided with one change of the record. */
  passed(before: JobCounts, after: JobCounts): void {
    for (const reason of ['missed', 'overlapped'] as const) {
      const count = after[reason] - before[reason]
      if (count > 0) this.#passed.add(count, { ...this.#attributes, 'banyan.job.reason': reason })
    }
  }

  close(): void {
    this.#stop()
  }
}
