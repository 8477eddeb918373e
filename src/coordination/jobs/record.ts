import { coordinationError } from '../errors.js'
import type { JobPlan } from './plan/timetable.js'

/** Who did something, and when (ms since the epoch). */
export interface Mark {
  readonly at: number
  readonly by: string
}

/** A run that has been started. */
export interface JobRun {
  /** Which of its times it is for, in ms since the epoch; if it was asked for, when. */
  readonly scheduledFor: number
  /** 1 for the first try of this time, 2 for the second one. */
  readonly attempt: number
  /** Rises with each run of the job, for ever: a fencing token. */
  readonly token: number
  /** Who runs it. */
  readonly holder: string
  /** When it was started, by that one's clock. */
  readonly started: number
  /** When its `timeout` has passed, by that one's clock; undefined without one. */
  readonly until?: number
  /** It was asked for, see `triggerJob`. */
  readonly asked?: boolean
}

/**
 * What became of a run. `timeout`: it was told to end, as it took too long. `interrupted`: it was told to end, as its
 * process was about to. `lost`: its process has died, or could not hold its lease; it may have done its work, or not.
 */
export type JobOutcome = 'succeeded' | 'failed' | 'timeout' | 'interrupted' | 'lost'

/** A run that has ended. */
export interface EndedJobRun extends JobRun {
  readonly ended: number
  readonly outcome: JobOutcome
  /** Why it did not succeed, shortened. */
  readonly error?: string
}

/** How often each has come to pass since the job is known. */
export interface JobCounts {
  readonly started: number
  readonly succeeded: number
  readonly failed: number
  readonly timeout: number
  readonly interrupted: number
  readonly lost: number
  /** Times that nobody started in time. */
  readonly missed: number
  /** Times that came while a run was not over, and were passed over for that. */
  readonly overlapped: number
}

/** Another try that is due. */
export interface Retry {
  readonly scheduledFor: number
  readonly attempt: number
  /** Not before this. */
  readonly at: number
}

/**
 * What stands in the key of a job. Whoever changes it compares its revision, so that every time is decided about once;
 * `running` is set and taken away only by whoever holds the key of the run.
 */
export interface JobRecord {
  readonly plan: JobPlan
  /** Of the plan: one with a lower version does not take its place. */
  readonly version: number
  /** Who brought the plan. */
  readonly registered: Mark
  /** About all times up to this one it is decided: never goes back, whatever clocks do. */
  readonly reached: number
  /** The first time behind it. */
  readonly next: number
  /** Times up to `reached` that are still to be run, rising. */
  readonly waiting: readonly number[]
  readonly retry?: Retry | undefined
  /** A run was asked for that has not begun. */
  readonly asked?: Mark | undefined
  readonly paused?: Mark | undefined
  readonly running?: JobRun | undefined
  readonly last?: EndedJobRun | undefined
  readonly counts: JobCounts
}

/** Raised when older versions would not understand what is stored. */
const FORMAT = 1

/** What is stored of a record. */
export function encodeRecord(record: JobRecord): string {
  return JSON.stringify({ format: FORMAT, ...record })
}

/**
 * The record of what is stored.
 *
 * @throws `BANYAN_COORDINATOR_FORMAT` if a newer version has written it, `BANYAN_COORDINATOR_CORRUPT` if it is none
 */
export function decodeRecord(key: string, value: string): JobRecord {
  let stored: { format?: unknown }
  try {
    stored = JSON.parse(value) as { format?: unknown }
  } catch (error) {
    throw coordinationError(
      'BANYAN_COORDINATOR_CORRUPT',
      `what stands in ${key} is no record of a job`,
      error,
    )
  }
  const { format, ...record } = stored
  if (format === FORMAT) return record as JobRecord
  throw coordinationError(
    'BANYAN_COORDINATOR_FORMAT',
    `${key} was written by a version of Banyan that this one does not know, or by something else: its format is ${JSON.stringify(format)}`,
  )
}
