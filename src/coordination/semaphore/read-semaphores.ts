import type { Coordinator } from '../coordinator.js'
import { KEYSPACE } from '../keyspace.js'
import { fieldsOf, memberOf, type Member } from '../line/member.js'
import { readLines } from '../line/read-lines.js'

/** Who holds a semaphore, and who waits for it. */
export interface SemaphoreState {
  readonly name: string
  /** How many hold it at a time. */
  readonly permits: number
  readonly holders: readonly Member[]
  /** Who comes next comes first. */
  readonly waiting: readonly Member[]
}

/** All semaphores that somebody holds, as the keys say, in the order of their names. */
export async function readSemaphores(coordinator: Coordinator): Promise<SemaphoreState[]> {
  const lines = await readLines(coordinator, KEYSPACE.semaphores)
  return lines.map(({ name, entries }) => {
    const permits = Number(fieldsOf(entries[0]!)['permits'])
    return {
      name,
      permits,
      holders: entries.slice(0, permits).map(memberOf),
      waiting: entries.slice(permits).map(memberOf),
    }
  })
}
