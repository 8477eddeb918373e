import type { Coordinator } from '../coordinator.js'
import { isPassing } from '../errors.js'
import { KEYSPACE, segment } from '../keyspace.js'
import type { EndedJobRun } from './record.js'

/** How many runs of a job are kept. */
const KEPT = 20

/** The last runs of a job, newest first. */
export async function readHistory(coordinator: Coordinator, name: string): Promise<readonly EndedJobRun[]> {
  const entry = await coordinator.get(historyKey(name))
  return entry ? runsOf(entry.value) : []
}

/**
 * Notes runs that have ended, as well as it goes: the record of the job counts them in any case, and knows the last one, so
 * that this is noted with the next.
 */
export async function noteRuns(
  coordinator: Coordinator,
  name: string,
  runs: readonly EndedJobRun[],
): Promise<void> {
  const key = historyKey(name)
  try {
    for (;;) {
      const entry = await coordinator.get(key)
      const byToken = new Map([...(entry ? runsOf(entry.value) : []), ...runs].map((run) => [run.token, run]))
      const kept = [...byToken.values()].sort((a, b) => b.token - a.token).slice(0, KEPT)
      const result = await coordinator.put(key, JSON.stringify(kept), {
        expected: entry?.revision ?? 'absent',
      })
      if (result.ok) return
    }
  } catch (error) {
    if (!isPassing(error)) throw error
    coordinator.runtime.telemetry.log('debug', `a run of ${name} is not in its history yet: ${error.message}`)
  }
}

/** The key with the last runs of a job. */
export function historyKey(name: string): string {
  return `${KEYSPACE.history}jobs/${segment(name)}`
}

/** What is no history is begun anew: nothing depends on it. */
function runsOf(value: string): readonly EndedJobRun[] {
  try {
    const runs: unknown = JSON.parse(value)
    return Array.isArray(runs) ? (runs as EndedJobRun[]) : []
  } catch {
    return []
  }
}
