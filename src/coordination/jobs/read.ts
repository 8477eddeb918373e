import type { Coordinator } from '../coordinator.js'
import { GRACE_MS } from './execution.js'
import { readHistory } from './history.js'
import { unknown } from './operate.js'
import { describePlan, Timetable, type JobPlan } from './plan/timetable.js'
import {
  decodeRecord,
  type EndedJobRun,
  type JobCounts,
  type JobRecord,
  type JobRun,
  type Mark,
} from './record.js'
import { JOBS_PREFIX, placeOf, recordKey, runKey } from './store.js'
import { dueAt } from './transitions.js'

/**
 * What a job is doing. `overdue`: it should have been started a minute ago, so that nobody seems to run it. `lost`: who ran it is
 * gone, and nobody has found that yet. `overrunning`: its run was told to end by its `timeout`, and goes on.
 */
export type JobState = 'scheduled' | 'running' | 'overrunning' | 'lost' | 'overdue' | 'paused'

/** A job, as its keys say. All times in ms since the epoch. */
export interface JobStatus {
  readonly name: string
  readonly state: JobState
  readonly plan: JobPlan
  /** The plan in words. */
  readonly when: string
  readonly version: number
  /** Who brought the plan. */
  readonly registered: Mark
  /** When it is started next; undefined while it runs or is paused. */
  readonly next: number | undefined
  readonly running: JobRun | undefined
  readonly last: EndedJobRun | undefined
  /** How many times wait for a run. */
  readonly waiting: number
  /** The next try of a time whose run did not succeed. */
  readonly retry: { readonly scheduledFor: number; readonly attempt: number; readonly at: number } | undefined
  readonly asked: Mark | undefined
  readonly paused: Mark | undefined
  readonly counts: JobCounts
}

/** How late a run has to be until nobody seems to run the job, in ms. */
const OVERDUE_MS = 60_000

/** All jobs that anybody has scheduled, by name. */
export async function readJobs(coordinator: Coordinator): Promise<readonly JobStatus[]> {
  const { entries } = await coordinator.list(JOBS_PREFIX)
  const running = new Set<string>()
  for (const { key } of entries) {
    const place = placeOf(key)
    if (place?.kind === 'run') running.add(place.name)
  }
  const jobs: JobStatus[] = []
  for (const { key, value } of entries) {
    const place = placeOf(key)
    if (place?.kind !== 'record') continue
    const { name } = place
    jobs.push(statusOf(name, decodeRecord(key, value), running.has(name), coordinator.runtime.clock.wall()))
  }
  return jobs
}

/**
 * One job, with its last runs: up to 20, newest first.
 *
 * @throws `BANYAN_JOB_UNKNOWN`
 */
export async function readJob(
  coordinator: Coordinator,
  name: string,
): Promise<JobStatus & { readonly history: readonly EndedJobRun[] }> {
  const key = recordKey(name)
  const entry = await coordinator.get(key)
  if (!entry) throw unknown(name)
  const record = decodeRecord(key, entry.value)
  const isRunning = record.running !== undefined && (await coordinator.get(runKey(name))) !== undefined
  const history = await readHistory(coordinator, name)
  const { last } = record
  const isNoted = !last || history.some(({ token }) => token === last.token)
  return {
    ...statusOf(name, record, isRunning, coordinator.runtime.clock.wall()),
    history: isNoted ? history : [last, ...history],
  }
}

function statusOf(name: string, record: JobRecord, isRunning: boolean, now: number): JobStatus {
  const { plan, version, registered, running, last, waiting, retry, asked, paused, counts } = record
  const due = dueAt(record, new Timetable(name, plan))
  const state = (): JobState => {
    if (running) {
      if (!isRunning) return 'lost'
      return now > (running.until ?? Infinity) + GRACE_MS ? 'overrunning' : 'running'
    }
    if (paused) return 'paused'
    return due !== 0 && due < now - OVERDUE_MS ? 'overdue' : 'scheduled'
  }
  return {
    name,
    state: state(),
    plan,
    when: describePlan(plan),
    version,
    registered,
    next: due === Infinity ? undefined : Math.max(due, asked?.at ?? 0),
    running,
    last,
    waiting: waiting.length,
    retry,
    asked,
    paused,
    counts,
  }
}
