import { patiently } from '../patiently.js'
import type { Coordinator } from '../coordinator.js'
import { isGap } from '../errors.js'

/**
 * Waits until of these keys no more than `may` are left.
 *
 * @param keys - that were there at the revision `after`, and are never made anew
 * @param options.prefix - of all of them; without it there is only one
 * @returns true when it is so; false when the signal aborts or the coordinator is closed first
 */
export async function whenGone(
  coordinator: Coordinator,
  keys: readonly string[],
  after: number,
  signal: AbortSignal,
  { prefix = keys[0]!, may = 0 }: { prefix?: string; may?: number } = {},
): Promise<boolean> {
  const left = new Set(keys)
  for (let from = after; ;) {
    try {
      for await (const { changes } of coordinator.watch(prefix, { after: from, signal })) {
        for (const change of changes) if (change.kind === 'deleted') left.delete(change.key)
        if (left.size <= may) return true
      }
      return false
    } catch (error) {
      if (!isGap(error)) throw error
    }
    // What has happened is not kept any more; what there is can be seen.
    const listing = await patiently(coordinator.runtime, () => coordinator.list(prefix), signal)
    if (!listing) return false
    const there = new Set(listing.entries.map(({ key }) => key))
    for (const key of left) if (!there.has(key)) left.delete(key)
    if (left.size <= may) return true
    from = listing.revision
  }
}
