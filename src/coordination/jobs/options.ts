import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { backoffWait } from '../../core/backoff.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Random } from '../../core/random.js'
import { thisHolder } from '../holder.js'
import { checkKey } from '../keys.js'
import type { JobContext } from './context.js'
import { Timetable, type JobPlan } from './plan/timetable.js'
import { runKey } from './store.js'
import type { Passed, Rules } from './transitions.js'

/** Options of a job. It has either `cron` or `every`. */
export interface JobOptions {
  /**
   * When it runs: minute, hour, day of the month, month, day of the week, as in crontab(5); or `@hourly`, `@daily`, `@weekly`,
   * `@monthly`, `@yearly`.
   */
  cron?: string
  /** Where the clock hangs that `cron` is about, as in the IANA database: `Europe/Berlin`. Default `UTC`. */
  timeZone?: string
  /** Instead of `cron`: runs at equal distances, of at least a second. */
  every?: Duration
  /** One of the times of `every`, past or future: ms since the epoch, or a date as `2026-01-05T06:00:00Z`, in UTC unless it says otherwise. Default: the epoch. */
  anchor?: number | string
  /** What it does. It has failed if this throws, or rejects. */
  run: (run: JobContext) => unknown
  /**
   * What becomes of times that passed while nobody could start them: `last` (default) runs once, for the last of them; `all`
   * runs once for each, one after the other, oldest first; `skip` runs for none that is later than `startWithin`.
   */
  missed?: 'skip' | 'last' | 'all'
  /** How late a run may start, at least 1 s, behind which its time is missed for good. Default: no limit; with `missed: 'skip'` `'1m'`. */
  startWithin?: Duration
  /**
   * What becomes of times that come while a run is not over: `skip` (default) passes over them, `last` runs once more when it is
   * over, `all` (default with `missed: 'all'`) once for each. Two runs of a job are never under way. What waits for a run to be over
   * is not missed, but `startWithin` counts for it too: with `missed: 'skip'` say that as well.
   */
  overlap?: 'skip' | 'last' | 'all'
  /** How many times may wait, with `all`; the oldest ones are missed. Default 100, at most 1,000. */
  limit?: number
  /** How long a run may take until its signal aborts. Default: as long as it likes. */
  timeout?: Duration
  /** Runs start up to this much later, by chance, and before the next time. For jobs that would all start at midnight. Default 0. */
  jitter?: Duration
  /**
   * With it a time is started again, up to `attempts` (default 3) in all, if its run fails, takes too long, or is lost: at least
   * once. A try that has failed is waited after: `base` (default `'1s'`), each time `factor` (2) longer, up to `max` (`'5m'`),
   * less up to half of it by chance. Without it every time is started at most once.
   */
  retry?: { attempts?: number; base?: Duration; factor?: number; max?: Duration }
  /**
   * Of the plan. A plan with a higher version takes the place of one with a lower version, and never the other way round;
   * with the same version the one that was brought last counts. Default 0.
   */
  version?: number
}

const JOB: OptionTable<JobOptions> = {
  cron: { kind: 'string', doc: 'when it runs, as in crontab(5)' },
  timeZone: { kind: 'string', doc: 'the time zone of cron' },
  every: { kind: 'duration', min: 1000, doc: 'runs at equal distances' },
  anchor: {
    kind: 'either',
    of: [
      { kind: 'number', doc: 'ms since the epoch' },
      { kind: 'string', doc: 'a date' },
    ],
    doc: 'one of the times of every',
  },
  run: { kind: 'code', type: 'function', doc: 'what it does' },
  missed: {
    kind: 'choice',
    values: ['skip', 'last', 'all'],
    doc: 'what becomes of times nobody could start',
  },
  startWithin: { kind: 'duration', min: 1000, doc: 'how late a run may start' },
  overlap: { kind: 'choice', values: ['skip', 'last', 'all'], doc: 'what becomes of times during a run' },
  limit: { kind: 'number', min: 1, max: 1000, integer: true, doc: 'how many times may wait' },
  timeout: { kind: 'duration', min: 1, doc: 'how long a run may take' },
  jitter: { kind: 'duration', doc: 'up to how much later runs start' },
  retry: {
    kind: 'group',
    options: {
      attempts: { kind: 'number', min: 2, max: 1000, integer: true, doc: 'tries of a time in all' },
      base: { kind: 'duration', doc: 'the first wait' },
      factor: { kind: 'number', min: 1, max: 100, doc: 'by how much each wait is longer than the last' },
      max: { kind: 'duration', doc: 'the longest wait' },
    },
    doc: 'starts a time again if its run fails or is lost',
  },
  version: { kind: 'number', min: 0, integer: true, doc: 'of the plan' },
}

/** Options of {@link scheduleJobs}. */
export interface SchedulerOptions {
  /** The jobs that this process can run, by name; the same name is the same job in every process. */
  jobs: Readonly<Record<string, JobOptions>>
  /** How long the engine keeps a run for a process that is silent, until others may start the next. Default `'10s'`. */
  ttl?: Duration
  /** What others see of this process. Default its host and process id. */
  holder?: string
  /** How many runs may be under way in this process; others start then elsewhere, or wait. Default 100. */
  concurrency?: number
  /** How long closing waits for runs before it tells them to end. Default `'30s'`. */
  drain?: Duration
  /** Closes the scheduler when it aborts. */
  signal?: AbortSignal
}

const SCHEDULER: OptionTable<SchedulerOptions> = {
  jobs: { kind: 'code', type: 'object', doc: 'the jobs, by name' },
  ttl: { kind: 'duration', doc: 'how long a run is kept for a silent process' },
  holder: { kind: 'string', doc: 'what others see of this process' },
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'runs under way in this process' },
  drain: { kind: 'duration', doc: 'how long closing waits for runs' },
  signal: { kind: 'code', type: 'object', doc: 'closes it' },
}

/** A job as its options say, in ms. */
export interface JobSettings {
  readonly plan: JobPlan
  readonly version: number
  readonly rules: Rules
  readonly timeout: number | undefined
  readonly run: (run: JobContext) => unknown
}

/** A scheduler as its options say, in ms. */
export interface SchedulerSettings {
  readonly jobs: ReadonlyMap<string, JobSettings>
  readonly ttl: number
  readonly holder: string
  readonly concurrency: number
  readonly drain: number
  readonly signal: AbortSignal | undefined
}

/** How late a run may be with `missed: 'skip'`, in ms: a process that is replaced in this time misses nothing. */
const SKIP_MS = 60_000

/** @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_KEY` */
export function settingsOf(options: SchedulerOptions, random: Random): SchedulerSettings {
  checkOptions('scheduleJobs', SCHEDULER, options)
  const jobs = new Map<string, JobSettings>()
  for (const [name, job] of Object.entries(options.jobs)) jobs.set(name, settingsOfJob(name, job, random))
  if (jobs.size === 0) throw new BanyanError('BANYAN_INVALID_OPTIONS', 'scheduleJobs: there are no jobs')
  const { ttl = '10s', holder = thisHolder(), concurrency = 100, drain = '30s', signal } = options
  return { jobs, ttl: duration(ttl, 'ttl'), holder, concurrency, drain: duration(drain, 'drain'), signal }
}

function settingsOfJob(name: string, options: JobOptions, random: Random): JobSettings {
  checkKey(runKey(name))
  const owner = `the job ${JSON.stringify(name)}`
  checkOptions(owner, JOB, options)
  const refuse = (problem: string): BanyanError =>
    new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${problem}`)
  if (typeof (options as Partial<JobOptions>).run !== 'function') throw refuse('run must be a function')
  const { missed = 'last', version = 0, limit = 100, timeout, run, retry } = options
  const { overlap = missed === 'all' ? 'all' : 'skip' } = options
  if (missed === 'all' && overlap === 'last')
    throw refuse(
      "overlap is 'last', which would drop what waits because of missed: 'all'; say 'skip' or 'all'",
    )
  if (missed === 'skip' && overlap !== 'skip' && options.startWithin === undefined)
    throw refuse(
      `missed: 'skip' gives up what is a minute late, and so what waits because of overlap: '${overlap}'; say with startWithin how late a run may be`,
    )
  const { startWithin = missed === 'skip' ? SKIP_MS : Infinity } = options
  const plan = planOf(options, refuse)
  // What cannot be read is said now, and not when it is due.
  new Timetable(name, plan)
  const { attempts = 3, base = '1s', factor = 2, max = '5m' } = retry ?? {}
  const growth = { base: duration(base, 'base'), factor, max: duration(max, 'max') }
  return {
    plan,
    version,
    timeout: timeout === undefined ? undefined : duration(timeout, 'timeout'),
    run,
    rules: {
      missed: missed === 'all' ? 'all' : 'last',
      overlap: overlap satisfies Passed,
      startWithin: startWithin === Infinity ? Infinity : duration(startWithin, 'startWithin'),
      limit,
      attempts: retry ? attempts : 1,
      wait: (failures) => backoffWait(growth, failures, 'equal', random),
    },
  }
}

function planOf(options: JobOptions, refuse: (problem: string) => BanyanError): JobPlan {
  const { cron, timeZone, every, anchor = 0 } = options
  const jitter = duration(options.jitter ?? 0, 'jitter')
  if (cron !== undefined) {
    if (every !== undefined || options.anchor !== undefined)
      throw refuse('it has cron, and every or anchor; one of the two says when it runs')
    return { cron, timeZone: timeZone ?? 'UTC', jitter }
  }
  if (every === undefined) throw refuse('nothing says when it runs; give it cron, or every')
  if (timeZone !== undefined) throw refuse('timeZone is for cron; distances are the same everywhere')
  const from = typeof anchor === 'number' ? anchor : dateOf(anchor)
  if (!Number.isFinite(from))
    throw refuse(`anchor must be a date as 2026-01-05T06:00:00Z, got ${JSON.stringify(anchor)}`)
  return { every: duration(every, 'every'), anchor: from, jitter }
}

/** Ends with its distance from UTC. */
const ZONED = /(?:z|[+-]\d{2}(?::?\d{2})?)$/i
/** As ISO 8601 says, with or without a time. */
const DATE = /^[+-]?\d{4,6}(?:-\d{2}){0,2}(?:[t ](.*))?$/i

/** A date in ms, NaN for none: the same on all machines, wherever their clocks hang. */
function dateOf(text: string): number {
  const [isDate, time] = DATE.exec(text) ?? []
  if (isDate === undefined) return NaN
  return Date.parse(time === undefined || ZONED.test(time) ? text : `${text}Z`)
}
