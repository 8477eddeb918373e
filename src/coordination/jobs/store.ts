import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import type { Coordinator, Entry, Lease } from '../coordinator.js'
import { hasCode, isPassing } from '../errors.js'
import { KEYSPACE, nameOf, segment } from '../keyspace.js'
import { RETRY } from '../patiently.js'
import { decodeRecord, encodeRecord, type JobRecord } from './record.js'

/** Both the keys of records and those of runs begin with it: one watch has the changes of both, in their order. */
export const JOBS_PREFIX = 'banyan/jobs'

/** Where the record of a job stands. */
export function recordKey(name: string): string {
  return KEYSPACE.jobs + segment(name)
}

/** Where stands who runs a job. */
export function runKey(name: string): string {
  return KEYSPACE.jobsRunning + segment(name)
}

/** What a key under {@link JOBS_PREFIX} is about. */
export function placeOf(key: string): { readonly kind: 'record' | 'run'; readonly name: string } | undefined {
  if (key.startsWith(KEYSPACE.jobs)) return { kind: 'record', name: nameOf(key.slice(KEYSPACE.jobs.length)) }
  if (!key.startsWith(KEYSPACE.jobsRunning)) return undefined
  return { kind: 'run', name: nameOf(key.slice(KEYSPACE.jobsRunning.length)) }
}

/**
 * Does something until the engine answers.
 *
 * @throws what fails otherwise; what passes, if the signal aborts meanwhile
 */
export async function persistently<Value>(
  { runtime }: Coordinator,
  attempt: () => Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error
      await sleep(runtime.clock, backoffWait(RETRY, failures, 'equal', runtime.random), signal).catch(() => {
        throw error
      })
    }
  }
}

/**
 * Takes the key of a run: whoever has it is the only one who may start a run of the job.
 *
 * @param value - differs from what anybody else puts there
 * @returns what stands there now
 * @throws `BANYAN_LEASE_LOST`; what passes, if it is known that nothing was done
 */
export async function takeRun(
  coordinator: Coordinator,
  name: string,
  value: string,
  lease: Lease,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  const key = runKey(name)
  const take = async (): Promise<Entry | undefined> => {
    const result = await coordinator.put(key, value, { expected: 'absent', lease })
    // If the answer to an earlier attempt was lost, it is this value that is there.
    return result.ok ? { key, value, ...result, lease: lease.id } : result.actual
  }
  try {
    return await take()
  } catch (error) {
    if (!hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')) throw error
    // It has to be known: a key of this process that it does not know of would be kept as long as its lease.
    return persistently(coordinator, take, signal)
  }
}

/**
 * Gives the key of a run back.
 *
 * @returns the revision since which it is surely gone, if there is one
 */
export async function giveBackRun(
  coordinator: Coordinator,
  name: string,
  token: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const key = runKey(name)
  return persistently(
    coordinator,
    async () => {
      const result = await coordinator.delete(key, { expected: token })
      return result.ok ? result.revision : undefined
    },
    signal,
  )
}

/** What came of {@link changeRecord}. */
export interface Changed {
  readonly entry: Entry
  readonly record: JobRecord
  /** As it was before. */
  readonly before: JobRecord | undefined
}

/**
 * Changes the record of a job in one step, whatever others do at the same time.
 *
 * @param step - says what is to stand there: the same, or undefined, if nothing is to be done. It is asked again if something
 *   else came in between, or if the answer was lost: then with what it has made itself, if that was done
 * @returns how it is after that; undefined if there is no such job
 */
export async function changeRecord(
  coordinator: Coordinator,
  name: string,
  step: (record: JobRecord | undefined) => JobRecord | undefined,
  signal: AbortSignal,
): Promise<Changed | undefined> {
  const key = recordKey(name)
  for (;;) {
    const changed = await persistently(
      coordinator,
      async (): Promise<Changed | 'again' | undefined> => {
        const entry = await coordinator.get(key)
        const before = entry && decodeRecord(key, entry.value)
        const record = step(before)
        if (!record) return undefined
        if (record === before) return { entry: entry!, record, before }
        const value = encodeRecord(record)
        const result = await coordinator.put(key, value, { expected: entry?.revision ?? 'absent' })
        if (!result.ok) return 'again'
        const { revision, created } = result
        return { entry: { key, value, revision, created }, record, before }
      },
      signal,
    )
    if (changed !== 'again') return changed
  }
}
