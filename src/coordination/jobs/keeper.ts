import { backoffWait } from '../../core/backoff.js'
import type { Timer } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator, Entry, Lease, Session } from '../coordinator.js'
import { hasCode, isPassing } from '../errors.js'
import { execute } from './execution.js'
import { noteRuns } from './history.js'
import { JobInstruments } from './instruments.js'
import type { JobSettings } from './options.js'
import { describePlan, isSamePlan, Timetable, type JobPlan } from './plan/timetable.js'
import { decodeRecord, type EndedJobRun, type JobRecord, type JobRun } from './record.js'
import { changeRecord, giveBackRun, recordKey, runKey, takeRun } from './store.js'
import { claim, create, decide, dueAt, finish, isReplaced, lose, replacePlan } from './transitions.js'

/** What the jobs of a scheduler share. */
export interface Surroundings {
  readonly coordinator: Coordinator
  readonly session: Session
  readonly holder: string
  /** No run is started any more. */
  readonly closing: AbortSignal
  /** Runs are told to end. */
  readonly stopped: AbortSignal
  /** Nobody waits for anything any more. */
  readonly ended: AbortSignal
  /** The runs of this process, of all jobs. */
  readonly places: Places
  started(name: string, run: JobRun): void
  finished(name: string, run: EndedJobRun): void
}

/** How many runs may be under way. */
export interface Places {
  readonly taken: number
  readonly isFull: boolean
  take(): void
  give(): void
}

/** At the latest after so many ms it is looked again what the wall clock says: it may have been set. */
const LOOK_MS = 60_000
/** Whoever runs nothing goes first, and whoever has a run less goes this many ms earlier. */
const SPREAD_MS = 100
const LONGEST_SPREAD_MS = 2000
/** What other clocks may be ahead by before it is worth a word. */
const AHEAD_MS = 60_000
const RETRY = { base: 100, factor: 2, max: 5000 }

/** Something that may be there, and since which revision. */
interface Seen<Thing> {
  revision: number
  thing: Thing | undefined
}

/**
 * One job in one process: knows its record and its run from the watch of the scheduler, sees when something is due, and tries
 * to be the one who does it.
 */
export class JobKeeper {
  readonly name: string
  readonly recordKey: string
  readonly runKey: string
  readonly #job: JobSettings
  readonly #around: Surroundings
  readonly #runtime: Runtime
  readonly #instruments: JobInstruments
  readonly #record: Seen<JobRecord> = { revision: -1, thing: undefined }
  readonly #run: Seen<Entry> = { revision: -1, thing: undefined }
  #timetable: { readonly plan: JobPlan; readonly times: Timetable | undefined } | undefined
  #timer: Timer | undefined
  #isRegistered = false
  #isRunning = false
  #work: Promise<void> | undefined
  #failures = 0
  /** Tells keys of this one from those of all others, also of this process, which may have the same holder and lease. */
  readonly #id: string
  #takes = 0
  /** What it has put, or is about to put, at the key of the run. */
  #held: string | undefined
  /** Aborts when that is taken away from the run. */
  #taken: AbortController | undefined
  #isAhead = false

  constructor(name: string, job: JobSettings, around: Surroundings) {
    this.name = name
    this.recordKey = recordKey(name)
    this.runKey = runKey(name)
    this.#job = job
    this.#around = around
    this.#runtime = around.coordinator.runtime
    this.#id = Math.floor(this.#runtime.random.next() * 2 ** 52).toString(36)
    this.#instruments = new JobInstruments(this.#runtime, name, () => Number(this.#isRunning))
  }

  /** Settles when nothing is under way. */
  get idle(): Promise<void> {
    return this.#work ?? Promise.resolve()
  }

  close(): void {
    this.#timer?.cancel()
    this.#instruments.close()
  }

  /** Makes the job known, or its plan the one that counts. */
  async register(): Promise<void> {
    const { coordinator, holder, closing } = this.#around
    const { plan, version, rules } = this.#job
    const wasRegistered = this.#isRegistered
    const changed = await changeRecord(
      coordinator,
      this.name,
      (record) => {
        const now = this.#runtime.clock.wall()
        const times = new Timetable(this.name, plan)
        if (!record) return create(plan, version, holder, now, times)
        if (wasRegistered || !isReplaced(record, plan, version)) return record
        const old = this.#timesOf(record.plan) ?? times
        return replacePlan(record, { plan, version, by: holder, now }, { old, new: times }, rules)
      },
      closing,
    )
    this.#isRegistered = true
    this.look()
    if (!changed) return
    const { before, entry, record } = changed
    if (before && before !== record && !isSamePlan(before.plan, plan))
      this.#log(
        'warn',
        `runs ${describePlan(plan)} from now on, instead of ${describePlan(before.plan)}, which ${before.registered.by} has brought`,
      )
    else if (before && !isSamePlan(before.plan, plan))
      this.#log('warn', `runs ${describePlan(before.plan)}, as version ${before.version} of its plan says`)
    this.seeRecord(entry.revision, entry)
  }

  /** What the record is since a revision. */
  seeRecord(revision: number, entry: Entry | undefined): void {
    if (revision <= this.#record.revision) return
    this.#record.revision = revision
    try {
      this.#record.thing = entry && decodeRecord(entry.key, entry.value)
      if (this.#record.thing) this.#compareClocks(this.#record.thing)
    } catch (error) {
      this.#record.thing = undefined
      this.#log('error', `cannot be run here: ${String(error)}`)
      return
    }
    if (!entry && this.#isRegistered) this.#begin(() => this.register())
    this.look()
  }

  /** Who runs it since a revision. */
  seeRun(revision: number, entry: Entry | undefined): void {
    if (revision <= this.#run.revision) return
    this.#run.revision = revision
    this.#run.thing = entry
    if (this.#held && entry?.value !== this.#held) this.#taken?.abort()
    if (entry?.value.includes(this.#id) && entry.value !== this.#held) this.#giveBackStray(entry)
    this.look()
  }

  /** Sees when something is to be done. */
  readonly look = (): void => {
    this.#timer?.cancel()
    if (this.#work || this.#around.closing.aborted || !this.#isRegistered) return
    const due = this.#dueAt()
    if (due === Infinity) return
    const { clock } = this.#runtime
    const wait = Math.max(0, due - clock.wall())
    this.#timer = clock.schedule(
      clock.now() + Math.min(wait, LOOK_MS),
      wait > LOOK_MS ? this.look : () => this.#approach(),
    )
  }

  /** It is due: gives way to others that have less to do. */
  #approach(): void {
    const { clock, random } = this.#runtime
    const rank = this.#around.places.taken + random.next()
    const retry = this.#failures > 0 ? backoffWait(RETRY, this.#failures, 'equal', random) : 0
    const wait = Math.max(Math.min(rank * SPREAD_MS, LONGEST_SPREAD_MS), retry)
    this.#timer = clock.schedule(clock.now() + wait, () => {
      if (this.#dueAt() > clock.wall()) this.look()
      else this.#begin(() => this.#take())
    })
  }

  /** In ms since the epoch; Infinity while somebody is at it, or nobody can be. */
  #dueAt(): number {
    const record = this.#record.thing
    if (!record || this.#run.thing || this.#around.places.isFull) return Infinity
    // Its run is gone without a word.
    if (record.running) return 0
    const times = this.#timesOf(record.plan)
    return times ? dueAt(record, times) : Infinity
  }

  #begin(work: () => Promise<void>): void {
    const failed = (error: unknown): void => {
      if (hasCode(error, 'BANYAN_COORDINATOR_CLOSED') || this.#around.ended.aborted) return
      this.#failures++
      if (this.#around.closing.aborted) return
      const level = isPassing(error) || hasCode(error, 'BANYAN_LEASE_LOST') ? 'warn' : 'error'
      this.#log(level, `could not be looked after, which is tried again: ${String(error)}`)
    }
    const before = this.#work ?? Promise.resolve()
    const next = before
      .then(work)
      .then(() => void (this.#failures = 0), failed)
      .finally(() => {
        if (this.#work !== next) return
        this.#work = undefined
        this.look()
      })
    this.#work = next
  }

  /** Takes the key of the run, then what is to be done; so nobody else can. */
  async #take(): Promise<void> {
    const { session, closing, places } = this.#around
    if (places.isFull) return
    places.take()
    try {
      await this.#takeKey(await session.lease(closing))
    } finally {
      places.give()
    }
  }

  async #takeKey(lease: Lease): Promise<void> {
    const { holder } = this.#around
    const id = `${this.#id}-${++this.#takes}`
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
    const taken = await takeRun(coordinator, this.name, value, lease, ended)
    if (!taken) return
    const { created: token, revision } = taken
    this.seeRun(revision, taken)
    if (taken.value !== value) return
    try {
      const run = await this.#claim(token, lease)
      if (run) await this.#execute(run, lease)
    } finally {
      const gone = await giveBackRun(coordinator, this.name, token, ended)
      if (gone !== undefined) this.seeRun(gone, undefined)
    }
  }

  /** Decides what is to be run, and says so in the record, before anything is done. */
  async #claim(token: number, lease: Lease): Promise<JobRun | undefined> {
    const { coordinator, holder, closing, ended } = this.#around
    const { rules } = this.#job
    let lost: EndedJobRun | undefined
    const changed = await changeRecord(
      coordinator,
      this.name,
      (record) => {
        if (!record || record.running?.token === token) return record
        lease.check()
        const now = this.#runtime.clock.wall()
        const times = this.#timesOf(record.plan)
        if (!times) return record
        // Who ran it does not have the key any more, as it is here.
        const free = record.running ? lose(record, now, rules) : record
        lost = record.running && free.last
        const { record: next, run } = decide(free, now, times, rules)
        if (closing.aborted) return free
        return run ? claim(next, { ...run, token, holder, started: now }) : next
      },
      ended,
    )
    if (!changed) return undefined
    const { entry, record, before } = changed
    this.seeRecord(entry.revision, entry)
    if (before) this.#instruments.passed(before.counts, record.counts)
    if (lost) {
      this.#log('warn', `the run ${describeRun(lost)} of ${lost.holder} is lost`)
      this.#instruments.ended(lost)
      await noteRuns(coordinator, this.name, [lost])
    }
    return record.running?.token === token ? record.running : undefined
  }

  async #execute(run: JobRun, lease: Lease): Promise<void> {
    const { clock, telemetry } = this.#runtime
    const { stopped, coordinator, ended: over } = this.#around
    this.#isRunning = true
    this.#around.started(this.name, run)
    this.#instruments.started(run)
    const span = telemetry.span('banyan.job', {
      attributes: { 'banyan.job': this.name, 'banyan.job.attempt': run.attempt },
    })
    const taken = new AbortController()
    this.#taken = taken
    const { outcome, error } = await execute(this.name, this.#job, run, {
      lease,
      stopped,
      taken: taken.signal,
      clock,
    })
    this.#taken = undefined
    if (outcome !== 'succeeded') span?.fail(outcome, error)
    span?.end()
    this.#isRunning = false
    const ended: EndedJobRun = { ...run, ended: clock.wall(), outcome, ...(error !== undefined && { error }) }
    if (outcome !== 'succeeded')
      this.#log(
        outcome === 'interrupted' ? 'warn' : 'error',
        `the run ${describeRun(run)} ${outcome}: ${error}`,
      )
    this.#instruments.ended(ended)
    try {
      await this.#finish(ended, coordinator, over)
    } finally {
      this.#around.finished(this.name, ended)
    }
  }

  async #finish(run: EndedJobRun, coordinator: Coordinator, over: AbortSignal): Promise<void> {
    let previous: EndedJobRun | undefined
    const changed = await changeRecord(
      coordinator,
      this.name,
      (record) => {
        // Somebody else has taken it for lost, or this was done before an answer was.
        if (record?.running?.token !== run.token) return record
        previous = record.last
        const times = this.#timesOf(record.plan) ?? new Timetable(this.name, this.#job.plan)
        return finish(record, run, times, this.#job.rules)
      },
      over,
    )
    if (!changed) return
    const { entry, record, before } = changed
    this.seeRecord(entry.revision, entry)
    if (before) this.#instruments.passed(before.counts, record.counts)
    if (record.last?.token !== run.token || record.last.outcome !== run.outcome) return
    await noteRuns(coordinator, this.name, previous ? [previous, run] : [run])
  }

  /** What was put with an answer that was lost may arrive when nobody waits for it any more. */
  #giveBackStray({ created }: Entry): void {
    const { coordinator, ended } = this.#around
    this.#begin(async () => {
      const gone = await giveBackRun(coordinator, this.name, created, ended)
      if (gone !== undefined) this.seeRun(gone, undefined)
    })
  }

  /** Those of the plan that counts; undefined if this version of Banyan cannot read it. */
  #timesOf(plan: JobPlan): Timetable | undefined {
    if (this.#timetable && isSamePlan(this.#timetable.plan, plan)) return this.#timetable.times
    try {
      this.#timetable = { plan, times: new Timetable(this.name, plan) }
    } catch (error) {
      this.#timetable = { plan, times: undefined }
      this.#log('error', `cannot be run here, as its plan is not understood: ${String(error)}`)
    }
    return this.#timetable.times
  }

  /** Whoever is far ahead takes times away from all: nobody runs them twice, so nobody runs them when they come. */
  #compareClocks({ reached, running, last }: JobRecord): void {
    const ahead = reached - this.#runtime.clock.wall()
    const wasAhead = this.#isAhead
    this.#isAhead = ahead > AHEAD_MS
    if (wasAhead || !this.#isAhead) return
    this.#log(
      'warn',
      `its times up to ${new Date(reached).toISOString()} are decided about, which is ${formatDuration(ahead)} ahead of ` +
        `the clock here; compare it with that of ${(running ?? last)?.holder ?? 'other processes'}`,
    )
  }

  #log(level: 'warn' | 'error', message: string): void {
    this.#runtime.telemetry.log(level, `job ${this.name}: ${message}`, { 'banyan.job': this.name })
  }
}

function describeRun({ scheduledFor, attempt, asked }: JobRun): string {
  const time = new Date(scheduledFor).toISOString()
  return asked ? `asked for at ${time}` : `for ${time}${attempt > 1 ? `, try ${attempt},` : ''}`
}
