/**
 * Scheduled jobs: each time of a job is run by exactly one of the processes that schedule it.
 *
 * Two keys say everything. The record (`record.ts`) has the plan (`plan/`), up to which time it is decided what is run, and what
 * is run now; it outlives everything, and each change of it expects the revision before (`transitions.ts` says which changes
 * there are). The key of the run has the lease of the process that runs it. Whoever sees that something is due (`keeper.ts`)
 * takes its turn (`turns.ts`):
 *
 * 1. It puts the key of the run, if it is not there: from now on nobody else can start a run.
 * 2. It reads the record. If a run stands there, it is lost, as its key was gone.
 * 3. It writes the run into the record, with the revision of the key as its token, and how far it is decided: from now on nobody
 *    runs that time again, unless it is tried again.
 * 4. It asks whether the lease is held, and runs it (`execution.ts`).
 * 5. It writes into the record how it has ended, and then deletes the key.
 *
 * So a process that stalls anywhere finds, if it goes on, either its key still held, or its write refused, or its lease lost.
 */
export { scheduleJobs, type Scheduler, type SchedulerEvents } from './scheduler.js'
export type { JobOptions, SchedulerOptions } from './options.js'
export type { JobContext } from './context.js'
export { readJob, readJobs, type JobState, type JobStatus } from './read.js'
export { pauseJob, removeJob, resumeJob, triggerJob, type JobOperatorOptions } from './operate.js'
export type { EndedJobRun, JobCounts, JobRun, JobOutcome } from './record.js'
export type { CronPlan, IntervalPlan, JobPlan } from './plan/timetable.js'
