import type { Coordinator } from '../coordinator.js'
import { mirror } from '../mirror.js'
import { electionKeys } from './keys.js'
import { leaderIn, publicLeader, type Leader } from './picture.js'

/**
 * Who leads, for those who take no part: first the present leader, then each that follows, and undefined while there is none. It
 * may be behind; terms that were over when it looked are not told.
 *
 * @param options.signal - ends it, without an error
 */
export async function* observeElection(
  coordinator: Coordinator,
  name: string,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<Leader | undefined, void, undefined> {
  const keys = electionKeys(name)
  const { signal = new AbortController().signal } = options
  let revision: number | undefined = -1
  for await (const mirrored of mirror(coordinator, keys.prefix, signal)) {
    const leader = leaderIn(keys, mirrored)
    if (leader?.revision === revision) continue
    revision = leader?.revision
    yield leader && publicLeader(leader)
  }
}
