import type { Coordinator } from './coordinator.js'
import { KEYSPACE } from './keyspace.js'

/** How many are kept. */
const KEPT = 20
/** How often it is tried while others write the same history. */
const TRIES = 5

/**
 * Adds to what has happened to something, for operators: the last 20 are kept. Best effort: it never fails, and what cannot be
 * written now is left out.
 *
 * @param path - below `banyan/history/`: `elections/NAME`
 * @param happening - JSON
 */
export function remember(coordinator: Coordinator, path: string, happening: object): Promise<void> {
  return rewriteHistory(coordinator, path, (happenings) => [...happenings, happening])
}

/**
 * Changes what has happened to something, such as how it ended. Best effort, as {@link remember}.
 *
 * @param change - asked again if others write the same history
 */
export async function rewriteHistory(
  coordinator: Coordinator,
  path: string,
  change: (happenings: readonly object[]) => readonly object[],
): Promise<void> {
  const key = KEYSPACE.history + path
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const entry = await coordinator.get(key)
      const value = JSON.stringify(change(happeningsIn(entry?.value)).slice(-KEPT))
      const result = await coordinator.put(key, value, { expected: entry?.revision ?? 'absent' })
      if (result.ok) return
    }
  } catch (error) {
    coordinator.runtime.telemetry.log('debug', `the history ${key} was not written: ${String(error)}`)
  }
}

/** What has happened, oldest first; nothing if that cannot be read. */
export function happeningsIn(value: string | undefined): readonly object[] {
  if (value === undefined) return []
  try {
    const happenings: unknown = JSON.parse(value)
    return Array.isArray(happenings)
      ? happenings.filter((each): each is object => typeof each === 'object' && each !== null)
      : []
  } catch {
    return []
  }
}
