import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator } from '../coordinator.js'
import { KEYSPACE } from '../keyspace.js'
import { inOrder } from '../line/line.js'
import { linePrefix } from '../line/lock.js'
import { memberOf, type Member } from '../line/member.js'
import { readLines } from '../line/read-lines.js'
import { isReader } from './read-write-lock.js'

/** Who holds a lock, and who waits for it. */
export interface LockState {
  readonly name: string
  /** Whether it is held for reading, which many can. */
  readonly mode: 'read' | 'write'
  readonly holders: readonly Member[]
  /** Who comes next comes first. */
  readonly waiting: readonly (Member & { readonly mode: 'read' | 'write' })[]
}

const FORCE: OptionTable<{ token?: number }> = {
  token: { kind: 'number', min: 1, integer: true, doc: 'only from the holder with this token' },
}

/** All locks that somebody holds, as the keys say, in the order of their names. */
export async function readLocks(coordinator: Coordinator): Promise<LockState[]> {
  const lines = await readLines(coordinator, KEYSPACE.locks)
  return lines.map(({ name, entries }) => {
    const writer = entries.findIndex((entry) => !isReader(entry))
    const readers = writer < 0 ? entries.length : writer
    const holding = Math.max(1, readers)
    return {
      name,
      mode: readers > 0 ? 'read' : 'write',
      holders: entries.slice(0, holding).map(memberOf),
      waiting: entries
        .slice(holding)
        .map((entry) => ({ ...memberOf(entry), mode: isReader(entry) ? 'read' : 'write' })),
    }
  })
}

/**
 * Takes a lock away from who holds it, for operators: its signal aborts at once, and the next in line has it, even if the work
 * of the first goes on. Only a fencing token keeps the two apart then. A holder that is gone needs no force: its lease ends.
 *
 * @param options.token - only from the holder with this token; default all who hold it
 * @returns from whom it was taken
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export async function forceUnlock(
  coordinator: Coordinator,
  name: string,
  options: { token?: number } = {},
): Promise<Member[]> {
  checkOptions('forceUnlock', FORCE, options)
  const line = inOrder(await coordinator.list(linePrefix(KEYSPACE.locks, name)))
  const writer = line.findIndex((entry) => !isReader(entry))
  const holders = line.slice(0, writer < 0 ? line.length : Math.max(1, writer))
  const taken: Member[] = []
  for (const entry of holders) {
    if (options.token !== undefined && entry.created !== options.token) continue
    const result = await coordinator.delete(entry.key, { expected: entry.revision })
    if (result.ok) taken.push(memberOf(entry))
  }
  return taken
}
