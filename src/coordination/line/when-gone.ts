import { patiently } from '../patiently.js'
import type { Coordinator } from '../coordinator.js'
import { isGap } from '../errors.js'

/**
 * Waits until of these keys no more than `may` are left.
 *
 * What is there is looked at only when the watch has begun: engines are at once at what comes, and at what has been in their own
 * time (etcd up to 100 ms later).
 *
 * @param keys - that were there, and are never made anew
 * @param options.prefix - of all of them; without it there is only one
 * @returns true when it is so; false when the signal aborts or the coordinator is closed first
 */
export async function whenGone(
  coordinator: Coordinator,
  keys: readonly string[],
  signal: AbortSignal,
  { prefix = keys[0]!, may = 0 }: { prefix?: string; may?: number } = {},
): Promise<boolean> {
  const left = new Set(keys)
  for (;;) {
    let begun = false
    try {
      for await (const { changes } of coordinator.watch(prefix, { signal })) {
        if (!begun) {
          begun = true
          const listing = await patiently(coordinator.runtime, () => coordinator.list(prefix), signal)
          if (!listing) return false
          const there = new Set(listing.entries.map(({ key }) => key))
          for (const key of left) if (!there.has(key)) left.delete(key)
        }
        for (const change of changes) if (change.kind === 'deleted') left.delete(change.key)
        if (left.size <= may) return true
      }
      return false
    } catch (error) {
      // What has happened is not kept any more; what there is can be seen.
      if (!isGap(error)) throw error
    }
  }
}
