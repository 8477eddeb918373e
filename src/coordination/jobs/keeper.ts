import { backoffWait } from '../../core/backoff.js'
import type { Timer } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Entry } from '../coordinator.js'
import { hasCode, isPassing } from '../errors.js'
import { JobMeter } from './meter.js'
import type { JobSettings } from './options.js'
import { describePlan, isSamePlan, Timetable, type JobPlan } from './plan/timetable.js'
import { decodeRecord, type JobRecord } from './record.js'
import { changeRecord, recordKey, runKey } from './store.js'
import type { Surroundings } from './surroundings.js'
import { create, dueAt, isReplaced, replacePlan } from './transitions.js'
import { Turns } from './turns.js'

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
  readonly #meter: JobMeter
  readonly #turns: Turns
  readonly #record: Seen<JobRecord> = { revision: -1, thing: undefined }
  readonly #run: Seen<Entry> = { revision: -1, thing: undefined }
  #timetable: { readonly plan: JobPlan; readonly times: Timetable | undefined } | undefined
  #timer: Timer | undefined
  #isRegistered = false
  #work: Promise<void> | undefined
  #failures = 0
  #isAhead = false
  /** The last run whose key was given back as nobody's. */
  #swept = 0

  constructor(name: string, job: JobSettings, around: Surroundings) {
    this.name = name
    this.recordKey = recordKey(name)
    this.runKey = runKey(name)
    this.#job = job
    this.#around = around
    this.#runtime = around.coordinator.runtime
    this.#meter = new JobMeter(this.#runtime, name, () => Number(this.isRunning))
    this.#turns = new Turns(name, job, around, {
      meter: this.#meter,
      timesOf: (plan) => this.#timesOf(plan),
      seeRecord: (revision, entry) => this.seeRecord(revision, entry),
      seeRun: (revision, entry) => this.seeRun(revision, entry),
      log: (level, message) => this.#log(level, message),
    })
  }

  /** Whether a run is under way here. */
  get isRunning(): boolean {
    return this.#turns.isRunning
  }

  /** Settles when nothing is under way. */
  get idle(): Promise<void> {
    return this.#work ?? Promise.resolve()
  }

  close(): void {
    this.#timer?.cancel()
    this.#meter.close()
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
    if (!entry && this.#isRegistered && !this.#around.closing.aborted) this.#begin(() => this.register())
    this.look()
  }

  /** Who runs it since a revision. */
  seeRun(revision: number, entry: Entry | undefined): void {
    if (revision <= this.#run.revision) return
    this.#run.revision = revision
    this.#run.thing = entry
    if (this.#turns.see(entry)) this.#begin(() => this.#turns.giveBack(entry!.created))
    this.look()
  }

  /** A put whose answer was lost may have arrived behind the delete, when its run was not quite over here. */
  #sweep(): void {
    const { thing: entry } = this.#run
    if (!entry || entry.created === this.#swept || !this.#turns.see(entry)) return
    this.#swept = entry.created
    this.#begin(() => this.#turns.giveBack(entry.created))
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
      else this.#begin(() => this.#turns.take())
    })
  }

  /** In ms since the epoch; Infinity while somebody is at it, or nobody can be. */
  #dueAt(): number {
    const record = this.#record.thing
    if (!record || this.#run.thing || this.#around.places.isFull) return Infinity
    const times = this.#timesOf(record.plan)
    if (!times) return Infinity
    // Its run is gone without a word.
    return record.running ? 0 : dueAt(record, times)
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
        this.#sweep()
        this.look()
      })
    this.#work = next
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
