import type { Coordinator, Entry } from './coordinator.js'
import { isGap } from './errors.js'
import { patiently } from './patiently.js'

/** What keys have, as of a revision. */
export interface Mirrored {
  readonly entries: ReadonlyMap<string, Entry>
  readonly revision: number
}

/**
 * The keys that begin with `prefix`, and again after each of their changes. Goes on by itself, whatever happens to the engine
 * or its history. It may be behind: whoever needs the truth reads.
 *
 * @param signal - ends it, without an error
 */
export async function* mirror(
  coordinator: Coordinator,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<Mirrored, void, undefined> {
  for (;;) {
    const listing = await patiently(coordinator.runtime, () => coordinator.list(prefix), signal)
    if (!listing) return
    const entries = new Map(listing.entries.map((entry) => [entry.key, entry]))
    yield { entries, revision: listing.revision }
    try {
      for await (const { revision, changes } of coordinator.watch(prefix, {
        after: listing.revision,
        signal,
      })) {
        for (const change of changes)
          if (change.kind === 'put') entries.set(change.entry.key, change.entry)
          else entries.delete(change.key)
        yield { entries, revision }
      }
      return
    } catch (error) {
      if (!isGap(error)) throw error
    }
  }
}
