import type { EventLog, Metadata } from '../log.js'
import type { Started } from './records.js'

/** Who runs sagas in this process. */
export interface Starter {
  /**
   * Starts a saga, if it would be run here and there is room: it goes on at once, without waiting for its message.
   *
   * @returns whether it was started, false if it was there before; undefined if somebody else has to run it
   */
  start(id: string, started: Started, metadata?: Metadata): Promise<boolean | undefined>
}

/** By log and name of the saga. */
const starters = new WeakMap<EventLog, Map<string, Set<Starter>>>()

/** @returns takes it away */
export function addStarter(log: EventLog, name: string, starter: Starter): () => void {
  const byName = starters.get(log) ?? new Map<string, Set<Starter>>()
  starters.set(log, byName)
  const ofName = byName.get(name) ?? new Set()
  byName.set(name, ofName.add(starter))
  return () => ofName.delete(starter)
}

/** See {@link Starter.start}. */
export async function startHere(
  log: EventLog,
  id: string,
  started: Started,
  metadata?: Metadata,
): Promise<boolean | undefined> {
  for (const starter of starters.get(log)?.get(started.saga) ?? []) {
    const isNew = await starter.start(id, started, metadata)
    if (isNew !== undefined) return isNew
  }
  return undefined
}
