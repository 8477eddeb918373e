import { checkOptions } from '../../core/options.js'
import type { Coordinator, Entry } from '../coordinator.js'
import { KEYSPACE } from '../keyspace.js'
import { LineLock, LOCK_OPTIONS, type Lock, type LockOptions } from '../line/lock.js'
import { fieldsOf } from '../line/member.js'
import { waitsForAll } from './lock.js'

/** See {@link readWriteLock}. */
export interface ReadWriteLock {
  readonly name: string
  /** Held by any number of readers at a time. */
  readonly read: Lock
  /** Held by one writer, and then by no reader. */
  readonly write: Lock
}

/**
 * A lock that many readers hold together, or one writer alone. Fair: a reader that comes after a waiting writer waits for it,
 * so that writers do not starve. Its name is one of {@link lock}, too: whoever locks that is a writer.
 *
 * A reader that wants to write must let go first; holding both would wait for itself.
 */
export function readWriteLock(
  coordinator: Coordinator,
  name: string,
  options: LockOptions = {},
): ReadWriteLock {
  checkOptions('readWriteLock', LOCK_OPTIONS, options)
  const shared = { noun: 'lock', space: KEYSPACE.locks }
  return {
    name,
    read: new LineLock(coordinator, name, options, {
      ...shared,
      kind: 'read lock',
      fields: { mode: 'read' },
      waitsFor(ahead) {
        const writer = ahead.findLast((entry) => !isReader(entry))
        return writer && { keys: [writer.key], may: 0 }
      },
    }),
    write: new LineLock(coordinator, name, options, {
      ...shared,
      kind: 'write lock',
      fields: { mode: 'write' },
      waitsFor: waitsForAll,
    }),
  }
}

/** Whether somebody in a line of a lock shares it with other readers. */
export function isReader(entry: Entry): boolean {
  return fieldsOf(entry)['mode'] === 'read'
}
