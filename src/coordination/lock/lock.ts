import { checkOptions } from '../../core/options.js'
import type { Coordinator } from '../coordinator.js'
import { KEYSPACE } from '../keyspace.js'
import type { Line } from '../line/line.js'
import { LineLock, LOCK_OPTIONS, type Lock, type LockOptions } from '../line/lock.js'

/**
 * A lock that one holds at a time, among all that use the same coordinator: mutual exclusion in a line of keys, first come,
 * first served (the recipe of etcd and ZooKeeper).
 *
 * It is not re-entrant: who holds it and acquires it again waits for itself.
 *
 * A lease is no mutual exclusion for what is outside of the coordinator: between a look at the clock and a write anything may
 * happen. Send `token` along, and let the resource refuse a lower one than it has seen.
 */
export function lock(coordinator: Coordinator, name: string, options: LockOptions = {}): Lock {
  checkOptions('lock', LOCK_OPTIONS, options)
  return new LineLock(coordinator, name, options, {
    noun: 'lock',
    kind: 'lock',
    space: KEYSPACE.locks,
    waitsFor: waitsForAll,
  })
}

/** Whoever is alone in it waits for the one before, who waits for the one before. */
export const waitsForAll: Line['waitsFor'] = (ahead) => {
  const last = ahead.at(-1)
  return last && { keys: [last.key], may: 0 }
}
