import type { Clock } from '../core/clock.js'
import { raceWithTimer } from '../core/race-with-timer.js'

/** What was seen is good for so long, in ms: reading it anew costs a part of a log. */
const FRESH_MS = 5000

/** How long whoever looks waits, in ms. */
const PATIENCE_MS = 2000

/**
 * Looks at something when somebody asks, for all who ask at that time, and not again for a while.
 *
 * @param look - brings what is shown up to date. What cannot be asked is told elsewhere: its errors are not
 * @returns resolves when that was done, or nobody has the patience to wait for it any longer
 */
export function glance(clock: Clock, look: () => Promise<void>): () => Promise<void> {
  let looking: Promise<void> | undefined
  let lookedAt = -Infinity
  return async () => {
    if (!looking && clock.now() - lookedAt < FRESH_MS) return
    looking ??= look()
      .catch(() => undefined)
      .finally(() => {
        lookedAt = clock.now()
        looking = undefined
      })
    await raceWithTimer(clock, looking, PATIENCE_MS)
  }
}
