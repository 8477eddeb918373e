import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { thisHolder } from '../holder.js'
import { historyKey } from './history.js'
import { Timetable } from './plan/timetable.js'
import type { JobRecord } from './record.js'
import { changeRecord, recordKey } from './store.js'
import { ask, pause, resume } from './transitions.js'

/** Options of {@link triggerJob} and {@link pauseJob}. */
export interface JobOperatorOptions {
  /** Who does it, for those who look later. Default this process. */
  by?: string
}

const OPTIONS: OptionTable<JobOperatorOptions> = {
  by: { kind: 'string', doc: 'who does it' },
}

/** How long an operator waits for an engine, in ms. */
const PATIENCE_MS = 10_000

/**
 * Asks for a run of a job now; also of one that is paused. If it runs at the moment, it runs once more when that is over. Asked
 * for again before it has begun, it is the same one. It is not tried again if it fails.
 *
 * @throws `BANYAN_JOB_UNKNOWN`; `BANYAN_INVALID_OPTIONS`; `BANYAN_COORDINATOR_UNAVAILABLE` or `BANYAN_OUTCOME_UNKNOWN` if the engine is away for long
 */
export async function triggerJob(
  coordinator: Coordinator,
  name: string,
  options: JobOperatorOptions = {},
): Promise<void> {
  checkOptions('triggerJob', OPTIONS, options)
  const { by = thisHolder() } = options
  const mark = { at: coordinator.runtime.clock.wall(), by }
  await change(coordinator, name, (record) => ask(record, mark))
}

/**
 * No run of a job is started any more, but those that are asked for, until {@link resumeJob}. A run that is under way goes on.
 *
 * @throws as {@link triggerJob}
 */
export async function pauseJob(
  coordinator: Coordinator,
  name: string,
  options: JobOperatorOptions = {},
): Promise<void> {
  checkOptions('pauseJob', OPTIONS, options)
  const { by = thisHolder() } = options
  const mark = { at: coordinator.runtime.clock.wall(), by }
  await change(coordinator, name, (record) => pause(record, mark))
}

/**
 * A job that was paused goes on with its next time. Times while it was paused are not made up for.
 *
 * @throws as {@link triggerJob}
 */
export async function resumeJob(coordinator: Coordinator, name: string): Promise<void> {
  await change(coordinator, name, (record) =>
    resume(record, coordinator.runtime.clock.wall(), new Timetable(name, record.plan)),
  )
}

/**
 * Forgets a job that nobody schedules any more, and its history. Whoever still does makes it known again.
 *
 * @throws as {@link triggerJob}, but not `BANYAN_JOB_UNKNOWN`
 */
export async function removeJob(coordinator: Coordinator, name: string): Promise<void> {
  await coordinator.delete(recordKey(name))
  await coordinator.delete(historyKey(name))
}

async function change(
  coordinator: Coordinator,
  name: string,
  step: (record: JobRecord) => JobRecord,
): Promise<void> {
  const patience = new AbortController()
  const { clock } = coordinator.runtime
  const timer = clock.schedule(clock.now() + PATIENCE_MS, () => patience.abort())
  try {
    const changed = await changeRecord(coordinator, name, (record) => record && step(record), patience.signal)
    if (!changed) throw unknown(name)
  } finally {
    timer.cancel()
  }
}

/** There is no such job. */
export function unknown(name: string): Error {
  return coordinationError(
    'BANYAN_JOB_UNKNOWN',
    `there is no job ${JSON.stringify(name)}: nobody has scheduled it yet`,
  )
}
