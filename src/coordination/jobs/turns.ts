import { formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator, Entry, Lease } from '../coordinator.js'
import { execute } from './execution.js'
import { noteRuns } from './history.js'
import type { JobMeter } from './meter.js'
import type { JobSettings } from './options.js'
import { Timetable, type JobPlan } from './plan/timetable.js'
import type { EndedJobRun, JobRun } from './record.js'
import { changeRecord, giveBackRun, takeRun, type Changed } from './store.js'
import type { Surroundings } from './surroundings.js'
import { claim, decide, finish, lose } from './transitions.js'

/** What is known of the job of {@link Turns}. */
export interface Knowledge {
  readonly meter: JobMeter
  /** Undefined if the plan cannot be read here. */
  timesOf(plan: JobPlan): Timetable | undefined
  seeRecord(revision: number, entry: Entry): void
  seeRun(revision: number, entry: Entry | undefined): void
  log(level: 'warn' | 'error', message: string): void
}

/** One job's runs in one process: from the key of a run to what became of it. */
export class Turns {
  readonly #name: string
  readonly #job: JobSettings
  readonly #around: Surroundings
  readonly #known: Knowledge
  readonly #runtime: Runtime
  /** Tells keys of this one from those of all others, also of this process, which may have the same holder and lease. */
  readonly #id: string
  #count = 0
  /** What it has put, or is about to put, at the key of the run. */
  #held: string | undefined
  /** Aborts when that is taken away from the run. */
  #taken: AbortController | undefined

  constructor(name: string, job: JobSettings, around: Surroundings, known: Knowledge) {
    this.#name = name
    this.#job = job
    this.#around = around
    this.#known = known
    this.#runtime = around.coordinator.runtime
    this.#id = Math.floor(this.#runtime.random.next() * 2 ** 52).toString(36)
  }

  /** Whether a run is under way. */
  get isRunning(): boolean {
    return this.#taken !== undefined
  }

  /**
   * Somebody has the key of the run, or nobody.
   *
   * @returns whether it is one that was put here with an answer that was lost, and that nobody waits for any more
   */
  see(entry: Entry | undefined): boolean {
    if (entry?.value !== this.#held) this.#taken?.abort()
    return entry !== undefined && entry.value.includes(this.#id) && entry.value !== this.#held
  }

  /** Takes the key of the run, then what is to be done; so nobody else can. */
  async take(): Promise<void> {
    const { session, closing, places } = this.#around
    if (places.isFull) return
    places.take()
    try {
      await this.#takeKey(await session.lease({ signal: closing }))
    } finally {
      places.give()
    }
  }

  async #takeKey(lease: Lease): Promise<void> {
    const { holder } = this.#around
    const id = `${this.#id}-${++this.#count}`
    const value = JSON.stringify({ holder, since: this.#runtime.clock.wall(), id })
    this.#held = value
    try {
      await this.#takeAs(value, lease)
    } finally {
      this.#held = undefined
    }
  }

  async #takeAs(value: string, lease: Lease): Promise<void> {
    const { coordinator, ended } = this.#around
    const taken = await takeRun(coordinator, this.#name, value, lease, ended)
    if (!taken) return
    const { created: token, revision } = taken
    this.#known.seeRun(revision, taken)
    if (taken.value !== value) return
    try {
      const run = await this.#claim(token, lease)
      if (run) await this.#execute(run, lease)
    } finally {
      await this.giveBack(token)
    }
  }

  /** Nobody has the key of this token any more. */
  async giveBack(token: number): Promise<void> {
    const { coordinator, ended } = this.#around
    const gone = await giveBackRun(coordinator, this.#name, token, ended)
    if (gone !== undefined) this.#known.seeRun(gone, undefined)
  }

  /** Decides what is to be run, and says so in the record, before anything is done. */
  async #claim(token: number, lease: Lease): Promise<JobRun | undefined> {
    const { coordinator, holder, closing, ended } = this.#around
    const { rules, timeout } = this.#job
    let lost: EndedJobRun | undefined
    const changed = await changeRecord(
      coordinator,
      this.#name,
      (record) => {
        if (!record || record.running?.token === token) return record
        lease.check()
        const now = this.#runtime.clock.wall()
        const times = this.#known.timesOf(record.plan)
        if (!times) return record
        // Who ran it does not have the key any more, as it is here.
        const free = record.running ? lose(record, now, rules) : record
        lost = record.running && free.last
        const { record: next, run } = decide(free, now, times, rules)
        if (closing.aborted) return free
        const until = timeout === undefined ? {} : { until: now + timeout }
        return run ? claim(next, { ...run, token, holder, started: now, ...until }) : next
      },
      ended,
    )
    if (!changed) return undefined
    this.#changed(changed)
    const { record, before } = changed
    if (lost) {
      this.#known.log('warn', `the run ${describeRun(lost)} of ${lost.holder} is lost`)
      this.#known.meter.ended(lost)
      await noteRuns(coordinator, this.#name, before?.last ? [before.last, lost] : [lost])
    }
    return record.running?.token === token ? record.running : undefined
  }

  async #execute(run: JobRun, lease: Lease): Promise<void> {
    const { clock, telemetry } = this.#runtime
    const { stopped, coordinator, ended: over } = this.#around
    this.#around.started(this.#name, run)
    this.#known.meter.started(run)
    const span = telemetry.span('banyan.job', {
      attributes: { 'banyan.job': this.#name, 'banyan.job.attempt': run.attempt },
    })
    const taken = new AbortController()
    let overruns = false
    this.#taken = taken
    const { outcome, error } = await execute(this.#name, this.#job, run, {
      lease,
      stopped,
      taken: taken.signal,
      clock,
      goesOn: (since, reason) => {
        if (!overruns) this.#known.meter.overruns()
        overruns = true
        this.#known.log(
          'warn',
          `the run ${describeRun(run)} was told to end ${formatDuration(since)} ago and goes on: ${String(reason)}`,
        )
      },
    })
    this.#taken = undefined
    if (outcome !== 'succeeded') span?.fail(outcome, error)
    span?.end()
    const ended: EndedJobRun = { ...run, ended: clock.wall(), outcome, ...(error !== undefined && { error }) }
    if (outcome !== 'succeeded')
      this.#known.log(
        outcome === 'interrupted' ? 'warn' : 'error',
        `the run ${describeRun(run)} ${outcome}: ${error}`,
      )
    this.#known.meter.ended(ended)
    try {
      await this.#finish(ended, coordinator, over)
    } finally {
      this.#around.finished(this.#name, ended)
    }
  }

  async #finish(run: EndedJobRun, coordinator: Coordinator, over: AbortSignal): Promise<void> {
    let previous: EndedJobRun | undefined
    const changed = await changeRecord(
      coordinator,
      this.#name,
      (record) => {
        // Somebody else has taken it for lost, or this was done before an answer was.
        if (record?.running?.token !== run.token) return record
        previous = record.last
        const times = this.#known.timesOf(record.plan) ?? new Timetable(this.#name, this.#job.plan)
        return finish(record, run, times, this.#job.rules)
      },
      over,
    )
    if (!changed) return
    this.#changed(changed)
    const { record } = changed
    if (record.last?.token !== run.token || record.last.outcome !== run.outcome) return
    await noteRuns(coordinator, this.#name, previous ? [previous, run] : [run])
  }

  #changed({ entry, record, before }: Changed): void {
    this.#known.seeRecord(entry.revision, entry)
    if (before) this.#known.meter.passed(before.counts, record.counts)
  }
}

function describeRun({ scheduledFor, attempt, asked }: JobRun): string {
  const time = new Date(scheduledFor).toISOString()
  return asked ? `asked for at ${time}` : `for ${time}${attempt > 1 ? `, try ${attempt},` : ''}`
}
