import { backoffWait } from '../../../core/backoff.js'
import { duration, type Duration } from '../../../core/duration.js'
import type { OptionTable } from '../../../core/options.js'
import type { Random } from '../../../core/random.js'

/** How waits grow. */
export interface BackoffOptions {
  /** First wait, in ms or as text. Default `'25ms'`. */
  base?: Duration
  /** Longest wait. Default `'1s'`. */
  max?: Duration
  /** By how much a wait is longer than the one before. Default 2. Not used by `decorrelated`. */
  factor?: number
  /**
   * `full`: anything from 0 to the wait; the load spreads best. `decorrelated`: from `base` to three times the last
   * wait. `none`: exactly the wait; callers that failed together come back together. Default `full`.
   */
  jitter?: 'full' | 'decorrelated' | 'none'
}

/** What a backoff accepts. */
export const backoffOptions: OptionTable<BackoffOptions> = {
  base: { kind: 'duration', doc: 'First wait. Default 25ms.' },
  max: { kind: 'duration', doc: 'Longest wait. Default 1s.' },
  factor: {
    kind: 'number',
    min: 1,
    max: 100,
    doc: 'By how much each wait is longer than the last. Default 2.',
  },
  jitter: {
    kind: 'choice',
    values: ['full', 'decorrelated', 'none'],
    doc: 'How chance spreads the waits. Default full.',
  },
}

/** Gives one wait after another, in ms. */
export type Backoff = () => number

/**
 * Waits with exponential growth and jitter (Brooker, "Exponential backoff and jitter", AWS, 2015).
 *
 * @returns makes the waits of one call
 */
export function backoff(options: BackoffOptions, random: Random): () => Backoff {
  const base = duration(options.base ?? '25ms', 'backoff: base')
  const max = Math.max(base, duration(options.max ?? '1s', 'backoff: max'))
  const { factor = 2, jitter = 'full' } = options
  if (jitter === 'decorrelated')
    return () => {
      let wait = base
      return () => (wait = Math.min(max, base + random.next() * (3 * wait - base)))
    }
  return () => {
    let failures = 0
    return () => backoffWait({ base, factor, max }, ++failures, jitter, random)
  }
}
