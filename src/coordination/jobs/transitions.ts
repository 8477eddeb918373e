import { isSamePlan, type JobPlan, type Timetable } from './plan/timetable.js'
import type { EndedJobRun, JobCounts, JobRecord, JobRun, Mark, Retry, JobOutcome } from './record.js'

/**
 * How the record of a job changes, without any I/O. A time is behind `reached`, then it is decided about: it waits, or is
 * counted as missed or overlapped; what waits is claimed, and becomes a run; the run ends, and may leave a retry.
 *
 * ```
 *                    missed, overlapped
 *                     ▲
 *   next ── pass ─────┴──► waiting ── claim ──► running ── finish ──► last
 *   (behind reached)      ask ──────────▲          └────── lose ────► last
 *                        retry ─────────┴─ ◄────── both, with tries left
 * ```
 */

/** What becomes of times at which no run could be started: nothing, one run for the last of them, one run for each. */
export type Passed = 'skip' | 'last' | 'all'

/** How a job deals with what is not as planned. All times in ms. */
export interface Rules {
  readonly missed: Exclude<Passed, 'skip'>
  readonly overlap: Passed
  /** How late a run may start; Infinity for no limit. */
  readonly startWithin: number
  /** How many times may wait. */
  readonly limit: number
  /** How often a time is tried. */
  readonly attempts: number
  /** How long to wait after the `failures`th try has failed. */
  wait(failures: number): number
}

/** A run that may be started now. */
export type Intent = Pick<JobRun, 'scheduledFor' | 'attempt' | 'asked'>

const NO_COUNTS: JobCounts = {
  started: 0,
  succeeded: 0,
  failed: 0,
  timeout: 0,
  interrupted: 0,
  lost: 0,
  missed: 0,
  overlapped: 0,
}

/** A job that nobody knew before: its first time is the next one. */
export function create(plan: JobPlan, version: number, by: string, now: number, times: Timetable): JobRecord {
  return {
    plan,
    version,
    registered: { at: now, by },
    reached: now,
    next: times.next(now),
    waiting: [],
    counts: NO_COUNTS,
  }
}

/** Whether a plan takes the place of the one that is there. */
export function isReplaced(record: JobRecord, plan: JobPlan, version: number): boolean {
  return version > record.version || (version === record.version && !isSamePlan(plan, record.plan))
}

/** Another plan takes the place of the one that is there. What was due by the old one is run. */
export function replacePlan(
  record: JobRecord,
  { plan, version, by, now }: { plan: JobPlan; version: number; by: string; now: number },
  times: { readonly old: Timetable; readonly new: Timetable },
  rules: Rules,
): JobRecord {
  let settled = record
  if (!record.paused) {
    settled = record.running
      ? pass(record, now, times.old, 'overlapped', rules)
      : passUntil(record, now, times.old, rules)
    // Its run was to start a little later, and nobody would know of it any more.
    if (settled.next <= now) settled = queue(settled, [settled.next], 'missed', rules)
  }
  const reached = Math.max(settled.reached, now)
  return { ...settled, plan, version, registered: { at: now, by }, reached, next: times.new.next(reached) }
}

/** When there is something to do for whoever can run it, in ms since the epoch; Infinity if there is not. */
export function dueAt(record: JobRecord, times: Timetable): number {
  if (record.running) return Infinity
  // Whenever that was by the clock of who asked.
  if (record.asked) return 0
  if (record.paused) return Infinity
  if (record.retry) return record.retry.at
  return record.waiting[0] ?? times.startOf(record.next)
}

/** What is to be run now of a job that does not run, and the record as it is then. */
export function decide(
  record: JobRecord,
  now: number,
  times: Timetable,
  rules: Rules,
): { readonly record: JobRecord; readonly run?: Intent } {
  const settled = record.paused ? record : expire(passUntil(record, now, times, rules), now, times, rules)
  const { asked, paused, retry, waiting } = settled
  if (asked)
    return {
      record: { ...settled, asked: undefined },
      run: { scheduledFor: asked.at, attempt: 1, asked: true },
    }
  if (paused) return { record }
  if (retry) {
    if (retry.at > now) return { record: settled }
    const { scheduledFor, attempt } = retry
    return { record: { ...settled, retry: undefined }, run: { scheduledFor, attempt } }
  }
  const [scheduledFor, ...rest] = waiting
  if (scheduledFor === undefined) return { record: settled }
  return { record: { ...settled, waiting: rest }, run: { scheduledFor, attempt: 1 } }
}

/** A run begins. */
export function claim(record: JobRecord, run: JobRun): JobRecord {
  return { ...record, running: run, counts: counted(record.counts, 'started') }
}

/** A run has ended in the hands of who ran it. */
export function finish(
  record: JobRecord,
  { ended, outcome, error }: { ended: number; outcome: JobOutcome; error?: string | undefined },
  times: Timetable,
  rules: Rules,
): JobRecord {
  const run = record.running!
  const closed = close(record, { ...run, ended, outcome, ...(error !== undefined && { error }) })
  const retry = outcome === 'succeeded' ? undefined : retryOf(run, outcome, ended, rules)
  if (retry) return { ...closed, retry }
  return closed.paused || closed.retry ? closed : pass(closed, ended, times, 'overlapped', rules)
}

/** The key of a run is gone, and the run has not ended in the record: nobody knows how far it came. */
export function lose(record: JobRecord, now: number, rules: Rules): JobRecord {
  const run = record.running!
  const closed = close(record, { ...run, ended: now, outcome: 'lost' })
  const retry = retryOf(run, 'lost', now, rules)
  return retry ? { ...closed, retry } : closed
}

/** Somebody asks for a run now. Asked for twice before it has begun, it is the same one. */
export function ask(record: JobRecord, mark: Mark): JobRecord {
  // The answer to an earlier attempt may have been lost, and the run may have begun.
  const hasBegun = [record.running, record.last].some((run) => run?.asked && run.scheduledFor === mark.at)
  return record.asked || hasBegun ? record : { ...record, asked: mark }
}

/** No run is started any more but those that are asked for. */
export function pause(record: JobRecord, mark: Mark): JobRecord {
  return record.paused ? record : { ...record, paused: mark }
}

/** It goes on with the next run; those meanwhile were not wanted. */
export function resume(record: JobRecord, now: number, times: Timetable): JobRecord {
  if (!record.paused) return record
  const reached = Math.max(record.reached, times.lastStarted(now))
  return { ...record, paused: undefined, reached, next: times.next(reached) }
}

function close(record: JobRecord, last: EndedJobRun): JobRecord {
  return { ...record, running: undefined, last, counts: counted(record.counts, last.outcome) }
}

function retryOf(run: JobRun, outcome: JobOutcome, ended: number, rules: Rules): Retry | undefined {
  const { scheduledFor, attempt, asked, started } = run
  if (asked || attempt >= rules.attempts) return undefined
  return { scheduledFor, attempt: attempt + 1, at: retryAt(outcome, { started, ended, attempt }, rules) }
}

/** What was lost or interrupted has not failed: there is nothing to wait for. */
function retryAt(
  outcome: JobOutcome,
  { started, ended, attempt }: { started: number; ended: number; attempt: number },
  rules: Rules,
): number {
  // Nobody knows when it was lost. What came since it was started was missed then, not held up by it.
  if (outcome === 'lost') return started
  return outcome === 'interrupted' ? ended : ended + rules.wait(attempt)
}

/** Decides about everything up to now. What came while a try was waited for was held up by that, the rest was missed. */
function passUntil(record: JobRecord, now: number, times: Timetable, rules: Rules): JobRecord {
  if (!record.retry) return pass(record, now, times, 'missed', rules)
  const held = pass(record, Math.min(now, record.retry.at), times, 'overlapped', rules)
  return now < record.retry.at ? held : pass(held, now, times, 'missed', rules)
}

/** Decides about the times whose runs would have started by then. */
function pass(
  record: JobRecord,
  upTo: number,
  times: Timetable,
  reason: 'missed' | 'overlapped',
  rules: Rules,
): JobRecord {
  // Cheaper than asking for the last one, and what is usual.
  if (record.next > upTo) return record
  const last = times.lastStarted(upTo)
  if (last < record.next) return record
  const keep: Passed = reason === 'missed' ? rules.missed : rules.overlap
  const kept = keep === 'skip' ? [] : keep === 'last' ? [last] : times.between(record.next, last, rules.limit)
  const { waiting, counts } = queue(record, kept, reason, rules)
  const dropped = times.count(record.next, last) - kept.length
  return {
    ...record,
    reached: last,
    next: times.next(last),
    waiting,
    counts: counted(counts, reason, dropped),
  }
}

/** More times wait. Those that were there stay, up to the limit, unless only the last one is to be run. */
function queue(
  record: JobRecord,
  times: readonly number[],
  reason: 'missed' | 'overlapped',
  { missed, overlap, limit }: Rules,
): JobRecord {
  if (times.length === 0) return record
  // With overlap: 'all' what waits for a run to be over was not missed.
  const isLine = missed === 'all' || overlap === 'all'
  const waiting = isLine ? [...record.waiting, ...times].slice(-limit) : times
  const dropped = record.waiting.length + times.length - waiting.length
  return { ...record, waiting, counts: counted(record.counts, reason, dropped) }
}

/** Gives up what waits for too long. */
function expire(record: JobRecord, now: number, times: Timetable, { startWithin }: Rules): JobRecord {
  const waiting = record.waiting.filter((time) => times.startOf(time) >= now - startWithin)
  const dropped = record.waiting.length - waiting.length
  return dropped === 0 ? record : { ...record, waiting, counts: counted(record.counts, 'missed', dropped) }
}

function counted(counts: JobCounts, what: keyof JobCounts, by = 1): JobCounts {
  return by === 0 ? counts : { ...counts, [what]: counts[what] + by }
}
