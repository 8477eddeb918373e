import type { Coordinator } from '../../../coordinator.js'
import { KEYSPACE, segment } from '../../../keyspace.js'
import { memberOf, type Member } from '../../../line/member.js'
import { readLines } from '../../../line/read-lines.js'

/** Who makes the moves of a sharded application at the moment. */
export type Mover = Pick<Member, 'holder' | 'since'>

/** The lock that it holds. */
export function moverLock(name: string): string {
  return `data-shards/${name}`
}

/** The prefix of the keys of all such locks. */
export const MOVERS = KEYSPACE.locks + segment(moverLock(''))

/** Who makes moves, by the names of the applications: nobody of those that are missing. */
export async function readMovers(coordinator: Coordinator): Promise<ReadonlyMap<string, Mover>> {
  const lines = await readLines(coordinator, MOVERS)
  return new Map(
    lines.map(({ name, entries: [first] }) => {
      const { holder, since } = memberOf(first!)
      return [name, { holder, since }]
    }),
  )
}

/** Who makes the moves of one of them; undefined: nobody does, and they stand still. */
export async function readMover(coordinator: Coordinator, name: string): Promise<Mover | undefined> {
  return (await readMovers(coordinator)).get(name)
}
