import type { Coordinator } from '../coordinator.js'
import { mirror } from '../mirror.js'
import { electionKeys } from './keys.js'
import { leaderOf, publicLeader, type Leader } from './picture.js'

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
  const { leader: key } = electionKeys(name)
  const { signal = new AbortController().signal } = options
  let token: number | undefined = -1
  for await (const { entries } of mirror(coordinator, key, signal)) {
    const entry = entries.get(key)
    if (entry?.created === token) continue
    token = entry?.created
    yield entry && publicLeader(leaderOf(entry))
  }
}
