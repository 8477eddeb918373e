import { checkOptions, type OptionTable } from '../../core/options.js'
import { BanyanError } from '../../core/errors.js'
import type { Coordinator } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { KEYSPACE } from '../keyspace.js'
import { LineLock, LOCK_OPTIONS, type Lock, type LockOptions } from '../line/lock.js'
import { fieldsOf, memberOf } from '../line/member.js'

/** Options of {@link semaphore}. */
export interface SemaphoreOptions extends LockOptions {
  /** How many hold it at a time, at least 1. Everybody has to say the same. */
  permits: number
}

const OPTIONS: OptionTable<SemaphoreOptions> = {
  ...LOCK_OPTIONS,
  permits: { kind: 'number', min: 1, integer: true, doc: 'how many hold it at a time' },
}

/** See {@link semaphore}. */
export interface Semaphore extends Lock {
  readonly permits: number
}

/**
 * Something that up to `permits` hold at a time, among all that use the same coordinator. First come, first served.
 *
 * @throws (acquiring) `BANYAN_NAME_CLASH` while somebody with another number of permits is in line before
 */
export function semaphore(coordinator: Coordinator, name: string, options: SemaphoreOptions): Semaphore {
  checkOptions('semaphore', OPTIONS, options)
  const { permits, ...others } = options
  if ((permits as number | undefined) === undefined)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'semaphore: permits is missing')
  const line = new LineLock(coordinator, name, others, {
    noun: 'semaphore',
    kind: 'semaphore',
    space: KEYSPACE.semaphores,
    fields: { permits },
    waitsFor(ahead) {
      const [first] = ahead
      // All others have compared themselves with who was first for them.
      const theirs = first && fieldsOf(first)['permits']
      if (first && theirs !== permits)
        throw coordinationError(
          'BANYAN_NAME_CLASH',
          `the semaphore ${JSON.stringify(name)} has ${String(theirs)} permits for ${memberOf(first).holder}, ` +
            `who was there before, and ${permits} here`,
        )
      return ahead.length < permits ? undefined : { keys: ahead.map(({ key }) => key), may: permits - 1 }
    },
  })
  return Object.assign(line, { permits })
}
